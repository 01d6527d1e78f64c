"""What of a data directory lasts, and goes into a backup.

The ledger does not: one that is restored knows nothing of votes that were given since, and is no better than none (docs/ledger.md). In its
place a restored directory has the mark that there was one, so that the start waits as after a loss. Sockets, locks and backups that other
commands have left are not kept either.
"""

from __future__ import annotations

import re
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from thirdvote.errors import UserError
from thirdvote.pki import files, paths

HISTORY = "history.db"
TOKENS = "enroll-tokens.json"
GENERATION = "ledger.generation"
GENERATION_OF_NONE = b"0 closed\n"
"""Beside no ledger: there was one, and it is lost."""

FOLDERS = ("pki", "enroll")
_NAME = re.compile(r"(?:pki|enroll)/[A-Za-z0-9._-]{1,200}|history\.db|enroll-tokens\.json|ledger\.generation")

COPY_SECONDS_MAX = 60.0
"""That the history waits for a writer who has it locked."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file: its name in the backup, its mode, and its content, which is open from the start."""

    name: str
    mode: int
    size: int
    content: BinaryIO


def may_be_in_a_backup(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and "/." not in name


@contextmanager
def parts(data: Path) -> Iterator[list[Part]]:
    """All that lasts, as of one moment as far as it belongs together. UserError."""
    folder = paths.folder_in(data).path
    if not folder.is_dir():
        raise UserError(f"there is nothing to back up in {data}: there is no {folder}", "name the arbitrator's directory with --data")
    opened: list[Part] = []
    try:
        with files.locked(folder):
            for name in FOLDERS:
                opened += _of_folder(data, name)
        opened += [part for part in (_file(data / TOKENS, TOKENS), _history(data)) if part is not None]
        opened.append(_made(GENERATION, GENERATION_OF_NONE))
        yield opened
    except OSError as error:
        raise files.unusable(error, data, "data directory") from None
    finally:
        for part in opened:
            part.content.close()


def _of_folder(data: Path, folder: str) -> list[Part]:
    place = data / folder
    if not place.is_dir():
        return []
    names = sorted(path.name for path in place.iterdir())
    found = [_file(place / name, f"{folder}/{name}") for name in names if may_be_in_a_backup(f"{folder}/{name}")]
    return [part for part in found if part is not None]


def _file(path: Path, name: str) -> Part | None:
    """As it is now, whatever takes its place. None when it is not there, or is no file."""
    try:
        content = path.open("rb")
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        return None
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        content.close()
        return None
    return Part(name, stat.S_IMODE(found.st_mode), found.st_size, content)


def _made(name: str, content: bytes) -> Part:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - `parts` closes it
    file.write(content)
    file.seek(0)
    return Part(name, files.KEY_MODE, len(content), file)


def _history(data: Path) -> Part | None:
    """A copy that is whole, also while the arbitrator writes to it."""
    path = data / HISTORY
    if not path.exists():
        return None
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / HISTORY
        try:
            with (
                closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=COPY_SECONDS_MAX)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target, pages=1_000, sleep=0.01)
        except sqlite3.Error as error:
            remedy = "mend it or move it away, and try again; the arbitrator begins a new one at its next start"
            raise UserError(f"the history, {path}, can not be copied: {error}", remedy) from None
        return Part(HISTORY, files.KEY_MODE, copy.stat().st_size, copy.open("rb"))
