"""The file of a backup: a compressed tar archive, whose last member says what has to be in it; sealed, if there is a passphrase.

`MANIFEST.json` has the version of this form, who made it and when, and of each file its SHA-256. It comes last, so that a file that was cut
off is known as such. Without a passphrase any `tar` opens it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from thirdvote import __version__
from thirdvote.backup import sealed
from thirdvote.backup.content import Part, may_be_in_a_backup
from thirdvote.errors import UserError

MANIFEST = "MANIFEST.json"
FORM = 1

FILES_MAX = 10_000
FILE_BYTES_MAX = 1 << 30
MANIFEST_BYTES_MAX = 4 << 20
CHUNK = 1 << 16

_GZIP = b"\x1f\x8b"


def write(target: BinaryIO, parts: Iterable[Part], passphrase: str | None, now: datetime) -> int:
    """How many files; OSError."""
    if passphrase is None:
        return _write(target, parts, now)
    sealer = sealed.Sealer(target, passphrase)
    count = _write(cast(BinaryIO, sealer), parts, now)
    sealer.close()
    return count


def _write(target: BinaryIO, parts: Iterable[Part], now: datetime) -> int:
    hashes: dict[str, str] = {}
    with (
        gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for part in parts:
            hashed = _Hashed(part.content)
            archive.addfile(_entry(part.name, part.mode, part.size, now), cast(BinaryIO, hashed))
            hashes[part.name] = hashed.hexdigest()
        manifest = {"form": FORM, "made_by": f"thirdvote {__version__}", "made_at": now.isoformat(timespec="seconds"), "files": hashes}
        text = json.dumps(manifest, indent=1).encode() + b"\n"
        archive.addfile(_entry(MANIFEST, 0o600, len(text), now), io.BytesIO(text))
    return len(hashes)


def _entry(name: str, mode: int, size: int, now: datetime) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.size, entry.mtime = mode, size, int(now.timestamp())
    return entry


class _Hashed:
    """What tarfile reads, and no more; it fills up nothing that a shorter file lacks."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content
        self._hash = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._content.read(size)
        self._hash.update(data)
        return data

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


AskPassphrase = Callable[[], str]


def extract(source: BinaryIO, folder: Path, passphrase: AskPassphrase) -> dict[str, Any]:
    """Into the empty `folder`; returns the manifest, by which every file is whole. UserError for whatever is wrong; OSError."""
    try:
        plain = io.BufferedReader(_opened(source, passphrase), CHUNK)
        with gzip.GzipFile(fileobj=plain) as packed, tarfile.open(fileobj=packed, mode="r|") as archive:
            manifest = _extract(archive, folder)
            while rest := packed.read(CHUNK):  # up to the end, which has to be there
                if rest.strip(b"\0"):
                    raise _damaged("has more in it than it should")
            return manifest
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile):
        raise _damaged("is damaged or cut off") from None


def _opened(source: BinaryIO, passphrase: AskPassphrase) -> io.RawIOBase:
    start = source.read(len(sealed.MAGIC))
    if start == sealed.MAGIC:
        return _Joined(sealed.pieces(source, passphrase()))
    if start.startswith(_GZIP):
        return _Joined(_chunks(start, source))
    raise UserError("this is no backup of thirdvote", "name the file that `thirdvote backup` has written")


def _chunks(start: bytes, source: BinaryIO) -> Iterator[bytes]:
    yield start
    while data := source.read(CHUNK):
        yield data


class _Joined(io.RawIOBase):
    """Pieces, as a file that is read in order."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def _extract(archive: tarfile.TarFile, folder: Path) -> dict[str, Any]:
    hashes: dict[str, str] = {}
    manifest: dict[str, Any] | None = None
    for entry in archive:
        if manifest is not None or len(hashes) == FILES_MAX:
            raise _damaged("has more in it than it should")
        content = archive.extractfile(entry) if entry.isreg() else None
        if content is None:
            raise _damaged(f"has something in it that is no file: {entry.name!a}")
        if entry.name == MANIFEST:
            manifest = _manifest(content.read(MANIFEST_BYTES_MAX))
        elif may_be_in_a_backup(entry.name) and entry.size <= FILE_BYTES_MAX and entry.name not in hashes:
            hashes[entry.name] = _kept(content, folder / entry.name, entry.mode)
        else:
            raise _damaged(f"has a file in it that is not known: {entry.name!a}")
    if manifest is None:
        raise _damaged("is cut off")
    if manifest["files"] != hashes:
        raise _damaged("is damaged")
    return manifest


def _manifest(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
        form, known = int(found["form"]), dict(found["files"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _damaged("is damaged") from None
    if form > FORM:
        hint = "restore it with that version or a newer one"
        raise UserError(f"the backup is of a newer version, {found.get('made_by', 'which it does not name')!a}", hint)
    return {**found, "files": known}


def _kept(content: Any, path: Path, mode: int) -> str:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    hashed = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while data := content.read(CHUNK):
            hashed.update(data)
            file.write(data)
        os.fchmod(descriptor, mode & 0o644)
        file.flush()
        os.fsync(descriptor)
    return hashed.hexdigest()


def _damaged(what: str) -> UserError:
    return UserError(f"the backup {what}; nothing was restored", "copy it again from where it was made")


def now() -> datetime:
    return datetime.now(UTC)
