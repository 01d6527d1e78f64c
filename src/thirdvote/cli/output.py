"""The one file that writes to the terminal, and the program's one voice: lower case, no full stop, a hint with every error.

Standard output has what was asked for, standard error what went wrong. Colours and wrapped columns are for terminals
only (rich, which is loaded then); everything else gets plain lines that stay as they are.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import IO, Any

from thirdvote.errors import PassingError, UsageError, UserError

OK = 0
FAILED = 1
USAGE = 2
FAULT = 70
"""A fault of the program: EX_SOFTWARE of sysexits."""
PASSING = 75
"""Worth another try: EX_TEMPFAIL."""
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

Piece = str | tuple[str, str]
"""Text, or text and a style of rich: ("no vote", "red")."""

GOOD = "green"
BAD = "red"
ODD = "yellow"
STRONG = "bold"
QUIET = "dim"


def line(*pieces: Piece) -> None:
    """One line on standard output; on a terminal it wraps."""
    _write(sys.stdout, pieces)


def columns(rows: Sequence[Sequence[Piece]], indent: int = 0) -> None:
    """Rows of equally many cells, aligned; on a terminal the last column wraps under itself."""
    if not rows:
        return
    if sys.stdout.isatty():
        _columns_on_terminal(rows, indent)
        return
    cells = [[_plain(piece) for piece in row] for row in rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(cells[0]))]
    for row in cells:
        padded = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(f"{' ' * indent}{padded}".rstrip() + "\n")


def structured(value: Any) -> None:
    """JSON for programs; indented, one value."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def structured_line(value: Any) -> None:
    """JSON for programs, one value a line, as it comes."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def flush() -> None:
    sys.stdout.flush()


def raw(text: str) -> None:
    """Text of a stock program, byte for byte; what is not UTF-8 came with `surrogateescape`."""
    _raw(sys.stdout, text)


def raw_error(text: str) -> None:
    _raw(sys.stderr, text)


def notice(text: str) -> None:
    """Beside what was asked for: what the program is doing, on standard error."""
    _write(sys.stderr, [(text, QUIET)])


def warning(text: str, hint: str | None = None) -> None:
    _write(sys.stderr, ["thirdvote: ", ("warning:", f"{STRONG} {ODD}"), f" {text}"])
    _hint(hint)


def error(text: str, hint: str | None = None) -> None:
    _write(sys.stderr, ["thirdvote: ", ("error:", f"{STRONG} {BAD}"), f" {text}"])
    _hint(hint)


def can_ask() -> bool:
    """Somebody is there who can read a question and answer it."""
    return sys.stdin.isatty()


def ask(question: str) -> str:
    """One line of a person, without blanks around it."""
    prompt(question)
    return sys.stdin.readline().strip()


def prompt(question: str) -> None:
    """On standard error, so that it is seen beside `> file`."""
    sys.stdout.flush()
    sys.stderr.write(question)
    sys.stderr.flush()


def run(command: Callable[[], int]) -> int:
    """The exit status of `command`; whatever it raises becomes a message for a person, never a traceback."""
    try:
        status = command()
        sys.stdout.flush()
    except UserError as problem:
        error(str(problem), problem.hint)
        return _status_of(problem)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        return FAILED
    except Exception as problem:
        if os.environ.get("THIRDVOTE_DEBUG"):
            raise
        what = f"{type(problem).__name__}: {problem}".replace("\n", " ")
        error(f"a fault of the program ({what})", "run it again with THIRDVOTE_DEBUG=1 to see where, and please report it")
        return FAULT
    return status


def _status_of(problem: UserError) -> int:
    match problem:
        case UsageError():
            return USAGE
        case PassingError():
            return PASSING
        case _:
            return FAILED


def _hint(hint: str | None) -> None:
    if hint:
        _write(sys.stderr, [("hint:", STRONG), f" {hint}"])


def _forget_output() -> None:
    """The reader of standard output is gone (`| head`): the interpreter must not complain about it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _plain(piece: Piece) -> str:
    return piece if isinstance(piece, str) else piece[0]


def _raw(stream: IO[str], text: str) -> None:
    stream.flush()
    binary = getattr(stream, "buffer", None)
    if binary is None:
        stream.write(text)
        return
    binary.write(text.encode("utf-8", "surrogateescape"))
    binary.flush()


def _write(stream: IO[str], pieces: Sequence[Piece]) -> None:
    if not stream.isatty():
        stream.write("".join(map(_plain, pieces)) + "\n")
        return
    from rich.console import Console

    Console(file=stream, highlight=False).print(_text(pieces), soft_wrap=True)


def _text(pieces: Sequence[Piece]) -> Any:
    from rich.text import Text

    return Text.assemble(*pieces)


def _columns_on_terminal(rows: Sequence[Sequence[Piece]], indent: int) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    last = len(rows[0]) - 1
    for index in range(last + 1):
        table.add_column(no_wrap=index < last, overflow="fold")
    for row in rows:
        table.add_row(*(_text([piece]) for piece in row))
    Console(file=sys.stdout, highlight=False).print(Padding(table, (0, 0, 0, indent)))
