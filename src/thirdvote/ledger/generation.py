"""The file beside the ledger that counts its starts, by which an older copy of the ledger is told from the ledger itself."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_FORM = re.compile(rb"([0-9]{1,18}) (open|closed)\n?")


@dataclass(frozen=True, slots=True)
class Generation:
    """`closed`: the ledger was closed in order, so that all of it is in its one file."""

    number: int
    closed: bool


def read_generation(path: Path) -> Generation | None:
    """None when there is no file, or another one. OSError."""
    try:
        with path.open("rb") as file:
            found = _FORM.fullmatch(file.read(64))
    except FileNotFoundError:
        return None
    return None if found is None else Generation(int(found[1]), found[2] == b"closed")


def write_generation(path: Path, generation: Generation) -> None:
    """As a whole or not at all, also after a loss of power; and with it whatever was made in the directory before. OSError."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, f"{generation.number} {'closed' if generation.closed else 'open'}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
