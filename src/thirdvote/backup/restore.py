"""A data directory from a backup: everything is there, checked, before anything takes its place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from thirdvote.backup import archive
from thirdvote.errors import UserError
from thirdvote.pki import files

_NOT_OURS = frozenset({"lock", "lost+found"})
"""What an empty directory may have: the lock that is held meanwhile, and what a file system puts into its root."""

ASIDE = "before-restore-"


def restore(
    source: BinaryIO, data: Path, passphrase: archive.AskPassphrase, forced: bool, now: datetime
) -> tuple[dict[str, Any], Path | None]:
    """Into `data`, whose lock is held. The manifest, and where is what was there before, if anything. UserError: nothing has changed."""
    there = _there(data)
    if there and not forced:
        shown = ", ".join(path.name for path in there[:3])
        hint = "restore into an empty directory (--data), or add --force: what is there is then moved aside, into a folder in it"
        raise UserError(f"{data} is not empty: there is {shown}{', …' if len(there) > 3 else ''}", hint)
    try:
        with files.unfinished_folder(data) as new:
            manifest = archive.extract(source, new, passphrase)
            _give_to_owner(new, data)
            aside = data / f"{ASIDE}{now:%Y%m%d-%H%M%S}" if there else None
            with _all_or_nothing() as moves:
                if aside is not None:
                    aside.mkdir(mode=0o700)
                    moves.extend((path, aside / path.name) for path in there)
                moves.extend((path, data / path.name) for path in sorted(new.iterdir()))
            files.sync_folder(data)
    except OSError as error:
        raise files.unusable(error, data, "data directory") from None
    return manifest, aside


def _there(data: Path) -> list[Path]:
    """What is in the way."""
    try:
        return sorted(path for path in data.iterdir() if path.name not in _NOT_OURS and not path.name.startswith((ASIDE, ".")))
    except OSError as error:
        raise files.unusable(error, data, "data directory") from None


def _give_to_owner(new: Path, data: Path) -> None:
    owner = files.owner_for_root(data)
    if owner is None:
        return
    for path in new.rglob("*"):
        os.chown(path, owner.user, owner.group)


@contextmanager
def _all_or_nothing() -> Iterator[list[tuple[Path, Path]]]:
    """Carries the moves out at the end; when one fails, those before it are taken back."""
    moves: list[tuple[Path, Path]] = []
    yield moves
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            source.rename(target)
            done.append((source, target))
    except BaseException:
        for source, target in reversed(done):
            target.rename(source)
        raise
