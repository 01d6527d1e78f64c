"""Transcripts: sessions at a terminal, as text that is read by people and checked by the tests.

    # for the reader
    file thirdvote.toml          what follows, with two blanks in front, is written into that file
      tls = "on"
    arbitrator                   answers from now on; what follows is the story that it has seen (tests/scenarios)
      cluster ffsplit of nodes 1 2
    $ thirdvote status           a command; a first word NAME=VALUE sets a variable for it
    running    …                 what it writes; "! " in front is standard error
    exit 1                       its exit status, if that is not 0

Each transcript has a directory of its own, shown as DIR, and starts with data/ as the data directory, in UTC. The version of
the program is shown as VERSION, the directory that it is installed in as BIN.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from tests.control_here import control_here
from thirdvote import __version__
from thirdvote.__main__ import dispatch
from thirdvote.cli import output

HERE = Path(__file__).parent
BLANKS = "  "


def transcripts() -> list[Path]:
    return sorted(HERE.glob("*.txt"))


@dataclass
class Block:
    """A line that does something, and the lines below it."""

    line: str
    body: list[str] = field(default_factory=list)


class _Sink(io.StringIO):
    """Marks what is written to standard error, line by line, in the order of writing."""

    def __init__(self, lines: list[str], mark: str) -> None:
        super().__init__()
        self._lines = lines
        self._mark = mark
        self._rest = ""

    def write(self, text: str) -> int:
        *complete, self._rest = (self._rest + text).split("\n")
        self._lines += [f"{self._mark}{line}".rstrip() for line in complete]
        return len(text)


class Session:
    """Plays the blocks of one transcript in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Session:
        self._open.enter_context(contextlib.chdir(self._folder))
        environment = {name: text for name, text in os.environ.items() if not name.startswith("THIRDVOTE_")}
        environment |= {"THIRDVOTE_DATA": "data", "PATH": "/usr/bin", "TZ": "UTC"}
        self._open.callback(time.tzset)
        self._open.enter_context(patch.dict(os.environ, environment, clear=True))
        time.tzset()
        return self

    def __exit__(self, *details: object) -> None:
        self._open.close()

    def play(self, block: Block) -> list[str]:
        """The lines that belong below it."""
        word, _, rest = block.line.partition(" ")
        match word:
            case "file":
                (self._folder / rest).write_text("".join(f"{line.removeprefix(BLANKS)}\n" for line in block.body), encoding="utf-8")
                return block.body
            case "arbitrator":
                story = [line.strip() for line in block.body]
                self._open.enter_context(control_here(self._folder / "data" / "control.sock", story))
                return block.body
            case "$":
                return self._run(shlex.split(rest))
            case _:
                raise AssertionError(f"{block.line!r} is none of the lines that a transcript knows")

    def _run(self, words: list[str]) -> list[str]:
        variables = {}
        while "=" in words[0]:
            name, _, text = words.pop(0).partition("=")
            variables[name] = text
        program, *arguments = words
        lines: list[str] = []
        with (
            patch.dict(os.environ, variables),
            patch.object(sys, "argv", [f"/usr/bin/{program}", *arguments]),
            contextlib.redirect_stdout(_Sink(lines, "")),
            contextlib.redirect_stderr(_Sink(lines, "! ")),
        ):
            status = output.run(lambda: dispatch(program, arguments))
        ending = [f"exit {status}"] if status else []
        return [self._same_everywhere(line) for line in lines] + ending

    def _same_everywhere(self, line: str) -> str:
        line = line.replace(str(self._folder), "DIR").replace(str(Path(sys.executable).parent), "BIN")
        return line.replace(__version__, "VERSION")


def blocks(text: str) -> Iterator[Block | str]:
    """Blocks, and the lines for the reader between them."""
    block: Block | None = None
    for line in text.splitlines():
        starts = line.startswith(("$ ", "file ", "arbitrator"))
        if starts or line.startswith("#") or (block is not None and line == "" and not _is_output(block)):
            if block is not None:
                yield block
            block = Block(line) if starts else None
            if not starts:
                yield line
        elif block is None:
            assert not line.startswith(BLANKS), f"{line!r} belongs to no block: a blank line ends one"
            yield line
        else:
            block.body.append(line)
    if block is not None:
        yield block


def _is_output(block: Block) -> bool:
    return block.line.startswith("$ ")


def played(text: str, folder: Path) -> str:
    """The transcript as it comes out now."""
    lines: list[str] = []
    with Session(folder) as session:
        for item in blocks(text):
            if isinstance(item, str):
                lines.append(item)
                continue
            gap = _gap(item)
            lines += [item.line, *session.play(item), *gap]
    return "\n".join(lines) + "\n"


def _gap(block: Block) -> list[str]:
    """Empty lines at the end of a block are for the reader."""
    count = 0
    while block.body and block.body[-1] == "":
        block.body.pop()
        count += 1
    return [""] * count
