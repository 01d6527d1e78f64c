"""What was signed for clusters: a SQLite file beside the authority's key, which several processes may use at the same time.

It is there to look at, and to find what is to be revoked. What keeps a certificate out is the voter's list of `revocation`,
so that nothing that happens to this file lets anybody in.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from thirdvote.errors import UserError
from thirdvote.pki import files

FILE = "inventory.db"
_WHAT = "inventory of certificates"

WAYS = ("cli", "ssh", "https", "stock", "imported", "seen", "demo")
"""How a certificate came to be known: signed by a command, over one of the two ways in, or for a caller of the stock tool; found in a
stock database; shown by a node, and not known before."""

CERTIFICATES_MAX = 100_000
"""Ten for each of the clusters that an arbitrator serves; some 30 MB. Beyond it, those that have expired make room."""

BUSY_S = 10.0
"""For another process that writes: it takes milliseconds."""

VERSION = 1

_TABLE = """
CREATE TABLE certificate (
  serial_number TEXT PRIMARY KEY, authority TEXT NOT NULL, cluster TEXT NOT NULL, subject TEXT NOT NULL,
  fingerprint_sha256 TEXT NOT NULL, way TEXT NOT NULL, asked_by TEXT NOT NULL, signed_at INTEGER, valid_from INTEGER NOT NULL,
  valid_until INTEGER NOT NULL, revoked_at INTEGER, revoked_because TEXT NOT NULL, last_used INTEGER, last_used_by TEXT NOT NULL
) WITHOUT ROWID
"""
_INDEX = "CREATE INDEX by_cluster ON certificate (cluster)"

_COLUMNS = (
    "serial_number, authority, cluster, subject, fingerprint_sha256, way, asked_by, signed_at, valid_from, valid_until, "
    "revoked_at, revoked_because, last_used, last_used_by"
)
_PLACES = ", ".join("?" for _ in _COLUMNS.split(","))


@dataclass(frozen=True, slots=True)
class Signed:
    """One certificate of a cluster."""

    serial_number: str
    """Hexadecimal, lower case."""
    authority: str
    """Common name of the authority that signed it."""
    cluster: str
    subject: str
    fingerprint_sha256: str
    """Hexadecimal, colons between the bytes."""
    way: str
    asked_by: str
    """Address or user, as far as it is known."""
    signed_at: datetime | None
    valid_from: datetime
    valid_until: datetime
    revoked_at: datetime | None = None
    revoked_because: str = ""
    last_used: datetime | None = None
    last_used_by: str = ""
    """Nodes that have shown it then."""


@dataclass(frozen=True, slots=True)
class Use:
    serial_number: str
    when: datetime
    by: str


def path_in(folder: Path) -> Path:
    return folder / FILE


def every(folder: Path) -> list[Signed]:
    """By cluster, the oldest first; empty when nothing was signed yet. UserError."""
    if not files.is_there(path_in(folder)):
        return []
    with _opened(folder) as database:
        rows = database.execute(f"SELECT {_COLUMNS} FROM certificate ORDER BY cluster, valid_from, serial_number").fetchall()  # noqa: S608
    return [_signed(row) for row in rows]


def add(folder: Path, signed: Iterable[Signed], now: datetime) -> None:
    """On the disk when it returns. One that is known stays as it is. UserError, also when there is no room."""
    with _opened(folder) as database:
        for each in signed:
            _make_room(database, now, path_in(folder))
            database.execute(f"INSERT OR IGNORE INTO certificate ({_COLUMNS}) VALUES ({_PLACES})", _row(each))  # noqa: S608


def revoke(folder: Path, serial_numbers: Iterable[str], when: datetime, because: str) -> None:
    """The first time and reason stay. UserError."""
    with _opened(folder) as database:
        database.executemany(
            "UPDATE certificate SET revoked_at = ?, revoked_because = ? WHERE serial_number = ? AND revoked_at IS NULL",
            [(_seconds(when), because, number) for number in serial_numbers],
        )


def used(folder: Path, uses: Iterable[Use]) -> None:
    """UserError."""
    with _opened(folder) as database:
        database.executemany(
            "UPDATE certificate SET last_used = ?, last_used_by = ? WHERE serial_number = ?",
            [(_seconds(use.when), use.by, use.serial_number) for use in uses],
        )


@contextmanager
def _opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """One transaction: all of it or nothing."""
    path = path_in(folder)
    try:
        _create(path)
        uri = f"file:{quote(str(path))}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = EXTRA")
            database.execute("BEGIN IMMEDIATE")
            _bring_up(database, path)
            yield database
            database.execute("COMMIT")
    except OSError as error:
        raise files.unusable(error, path, _WHAT) from None
    except sqlite3.Error as error:
        raise _unusable(error, path) from None


def _create(path: Path) -> None:
    """Before SQLite does, so that it is nobody else's for no moment; root leaves it to whom the folder belongs."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, files.KEY_MODE)
    except FileExistsError:
        return
    try:
        owner = files.owner_for_root(path.parent)
        if owner is not None:
            os.fchown(descriptor, owner.user, owner.group)
    finally:
        os.close(descriptor)


def _bring_up(database: sqlite3.Connection, path: Path) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        hint = f"update thirdvote here, or begin a new one, which says nothing of what was signed before: mv {path} {path}.later"
        raise UserError(f"the {_WHAT}, {path}, was written by a later version of thirdvote", hint)
    if version < VERSION:
        database.execute(_TABLE)
        database.execute(_INDEX)
        database.execute(f"PRAGMA user_version = {VERSION}")


def _make_room(database: sqlite3.Connection, now: datetime, path: Path) -> None:
    if _count(database) < CERTIFICATES_MAX:
        return
    database.execute("DELETE FROM certificate WHERE valid_until < ?", (_seconds(now),))
    if _count(database) >= CERTIFICATES_MAX:
        hint = f"nobody needs so many: see `thirdvote ca list`; to begin a new inventory: mv {path} {path}.full"
        raise UserError(f"the {_WHAT}, {path}, is full: {CERTIFICATES_MAX} certificates are valid", hint)


def _count(database: sqlite3.Connection) -> int:
    (count,) = database.execute("SELECT count(*) FROM certificate").fetchone()
    return int(count)


def _unusable(error: sqlite3.Error, path: Path) -> UserError:
    reason = str(error)
    if "locked" in reason:
        return UserError(
            f"the {_WHAT}, {path}, is in use by another process", "try again; if it stays so, see who has it: fuser -v " + str(path)
        )
    if "readonly" in reason or "unable to open" in reason:
        return UserError(f"the {_WHAT}, {path}, can not be written: {reason}", f"see whose it is, and use that user or root: ls -l {path}")
    hint = f"restore it from a backup; to begin a new one, which says nothing of what was signed before: mv {path} {path}.broken"
    return UserError(f"the {_WHAT}, {path}, can not be used: {reason}", hint)


def _seconds(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp())


def _row(signed: Signed) -> tuple[str | int | None, ...]:
    return (
        signed.serial_number, signed.authority, signed.cluster, signed.subject, signed.fingerprint_sha256, signed.way, signed.asked_by,
        _seconds(signed.signed_at), _seconds(signed.valid_from), _seconds(signed.valid_until),
        _seconds(signed.revoked_at), signed.revoked_because, _seconds(signed.last_used), signed.last_used_by,
    )  # fmt: skip


def _signed(row: tuple[str | int | None, ...]) -> Signed:
    number, authority, cluster, subject, fingerprint, way, asked_by, signed, start, end, revoked, because, last, by = row
    text: Callable[[object], str] = str
    return Signed(
        serial_number=text(number),
        authority=text(authority),
        cluster=text(cluster),
        subject=text(subject),
        fingerprint_sha256=text(fingerprint),
        way=text(way),
        asked_by=text(asked_by),
        signed_at=_time(signed),
        valid_from=_certain(start),
        valid_until=_certain(end),
        revoked_at=_time(revoked),
        revoked_because=text(because),
        last_used=_time(last),
        last_used_by=text(by),
    )


def _time(seconds: str | int | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) else None


def _certain(seconds: str | int | None) -> datetime:
    found = _time(seconds)
    assert found is not None, "a column that is never empty"
    return found
