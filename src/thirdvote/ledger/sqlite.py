"""The ledger in one SQLite file, and what tells that it is the one that this arbitrator wrote last.

Four things can go wrong with a file that no checksum shows. It can be missing. It can be a copy: then its inode is not the
one that is written in it. It can be an older one, put back in its place: then it counts fewer starts than the file beside
it. And SQLite's log beside it (`-wal`), which holds the latest records until they are moved into the file, can be missing
after a kill. In all of these there may be votes of which there is no record, and `Found.doubt` says so.

Nothing that is found here is ever deleted or written over: a file that can not be used stays for a person to look at.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from thirdvote.arbiter.record import ClusterRecord
from thirdvote.domain import ClusterName
from thirdvote.ledger.generation import Generation, read_generation, write_generation
from thirdvote.ledger.interface import Batch, Found, LedgerProblem
from thirdvote.ledger.rows import record_of, row_of

APPLICATION_ID = 0x33564F54
"""In the file's header, where `file` shows it: "3VOT"."""

BUSY_S = 1.0
"""For another program that looks into the file; a vote waits as long."""

HEADER_BYTES = 100
"""Of every SQLite file that is not empty."""

CACHE_KIB = 256
"""Two thousand clusters; more are read from the file again."""

T = TypeVar("T")

Migration = tuple[str, ...]

MIGRATIONS: tuple[Migration, ...] = (
    (
        "CREATE TABLE about (inode TEXT NOT NULL, generation INTEGER NOT NULL, doubtful INTEGER NOT NULL)",
        "INSERT INTO about VALUES ('', 0, 1)",
        "CREATE TABLE cluster (name BLOB PRIMARY KEY, algorithm INTEGER NOT NULL, partition TEXT NOT NULL, holders TEXT NOT NULL)"
        " WITHOUT ROWID",
    ),
    (),  # holders may have a fourth value, see `rows`
)
"""The statements at index N bring a file of version N (`PRAGMA user_version`) to N + 1; an empty file has version 0."""

_FIRST = "there is no ledger yet"
_LOST = "the ledger was removed or emptied"
_COPY = "the ledger is a copy, or was restored: later records may be missing in it"
_OLDER = "the ledger is not the one of the last start, but an older one: later records may be missing in it"
_WITHOUT_LOG = "the ledger's log (-wal) was removed, and with it the latest records"
_DOUBTFUL = "the start before had doubts about the ledger, and ended before they were over"


class SqliteLedger:
    """`migrations` are given by tests only."""

    def __init__(self, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        self._path = path.absolute()
        self._generation_path = self._path.with_suffix(".generation")
        self._migrations = migrations
        self._database: sqlite3.Connection | None = None
        self._inode = 0
        self._generation = 0
        self._records = 0
        self._had_log = False

    @property
    def place(self) -> str:
        return str(self._path)

    @property
    def records(self) -> int:
        return self._records

    def open(self) -> Found:
        try:
            return self._guarded(self._open)
        except LedgerProblem as problem:
            self._drop()
            self._say_that_the_log_is_in()
            problem.found = self._only_read()
            raise

    def write(self, batch: Batch) -> None:
        self._guarded(lambda: self._write(batch))

    def trust(self) -> None:
        self._guarded(lambda: self._transaction(lambda database: database.execute("UPDATE about SET doubtful = 0")))

    def close(self) -> None:
        """The last records go into the file itself, where that is possible; else they stay in the log beside it."""
        try:
            if self._database is not None and self._inode_now() == self._inode:
                self._count_end()
        except (sqlite3.Error, OSError):
            self._drop()  # the next start finds it as after a kill

    # ---- opening

    @property
    def _log_path(self) -> Path:
        return self._path.with_name(f"{self._path.name}-wal")

    def _open(self) -> Found:
        self._make_file()
        self._had_log = self._had_log or self._log_path.exists()
        database = self._connect(str(self._path))
        self._database = database
        is_new = self._check_kind(database)
        self._prepare(database)
        beside = read_generation(self._generation_path)
        is_first = is_new and beside is None
        doubt = _FIRST if is_first else _LOST if is_new else self._doubt(database, beside)
        self._count_start(database, beside, doubt)
        records = self._read(database)
        self._records = len(records)
        return Found(records, doubt, is_first)

    def _only_read(self) -> Found | None:
        """Of a ledger that is whole, but is locked, or has no room to grow: who had the vote keeps it. None when it can not be read."""
        address = f"file:{quote(self.place)}?mode=ro"
        with suppress(sqlite3.Error, OSError, LedgerProblem):
            self._inode = self._inode_now()
            if not (self._log_path.exists() and self._log_path.stat().st_size):
                address += "&immutable=1"  # else it makes files beside it, for which there is no room
            with closing(self._connect(address, is_address=True)) as database:
                if self._check_kind(database) or _pragma(database, "user_version") != len(self._migrations):
                    return None
                return Found(self._read(database), self._doubt(database, read_generation(self._generation_path)))
        return None

    def _say_that_the_log_is_in(self) -> None:
        """SQLite moves it into the file when it closes that, also after an attempt that failed."""
        with suppress(OSError):
            beside = read_generation(self._generation_path)
            if self._had_log and not self._log_path.exists() and beside is not None and not beside.closed:
                write_generation(self._generation_path, replace(beside, closed=True))

    def _make_file(self) -> None:
        """For its owner alone, before SQLite can make one for everybody. It is closed again before SQLite holds a lock on it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._inode = os.fstat(descriptor).st_ino
        os.close(descriptor)

    def _connect(self, place: str, is_address: bool = False) -> sqlite3.Connection:
        return sqlite3.connect(place, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=16, uri=is_address)

    def _doubt(self, database: sqlite3.Connection, beside: Generation | None) -> str:
        """`beside` is from the file beside it."""
        inode, generation, doubtful = database.execute("SELECT inode, generation, doubtful FROM about").fetchone()
        if inode != str(self._inode):
            return _COPY
        if beside is None or generation not in (beside.number, beside.number + 1):
            return _OLDER
        if generation == beside.number and not beside.closed and not self._had_log:
            return _WITHOUT_LOG
        return _DOUBTFUL if doubtful else ""

    def _check_kind(self, database: sqlite3.Connection) -> bool:
        """True for an empty file. Nothing was changed in it when this raises."""
        application = _pragma(database, "application_id")
        version = _pragma(database, "user_version")
        if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] and not version:
            if 0 < self._path.stat().st_size < HEADER_BYTES:
                raise self._damaged("too short for a database")  # SQLite would begin a new one in it
            return True
        if application != APPLICATION_ID:
            raise LedgerProblem(f"{self._path} is no ledger, but a database of another program", self._move_away("to begin a new one"))
        if version > len(self._migrations):
            message = (
                f"the ledger {self._path} is of a newer version of the program (schema {version}, known up to {len(self._migrations)})"
            )
            raise LedgerProblem(message, f"run that version again; or, {self._move_away('to begin a new one')}")
        check = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if check != "ok":
            raise self._damaged(str(check).splitlines()[-1])
        return False

    def _prepare(self, database: sqlite3.Connection) -> None:
        """FULL: a record is on the disk when its transaction ends. NORMAL would wait for the next checkpoint."""
        mode = database.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise LedgerProblem(f"the ledger {self._path} can not have a log beside it (journal mode {mode})", self._other_place())
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        for version in range(_pragma(database, "user_version"), len(self._migrations)):
            self._migrate(version)

    def _migrate(self, version: int) -> None:
        def steps(database: sqlite3.Connection) -> None:
            for statement in self._migrations[version]:
                database.execute(statement)
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {version + 1}")

        self._transaction(steps)

    def _count_start(self, database: sqlite3.Connection, beside: Generation | None, doubt: str) -> None:
        """In the database first: when this ends in between, the database is one ahead, and no record can have come since."""
        counted = int(database.execute("SELECT generation FROM about").fetchone()[0])
        generation = max(counted, beside.number if beside else 0) + 1
        values = (str(self._inode), generation, bool(doubt))
        self._transaction(lambda database: database.execute("UPDATE about SET inode = ?, generation = ?, doubtful = ?", values))
        write_generation(self._generation_path, Generation(generation, closed=False))
        self._generation = generation

    def _count_end(self) -> None:
        """Copies that were made in this run are older ones from here on."""
        generation = self._generation + 1
        self._transaction(lambda database: database.execute("UPDATE about SET generation = ?", (generation,)))
        self._drop()
        write_generation(self._generation_path, Generation(generation, closed=not self._log_path.exists()))

    def _read(self, database: sqlite3.Connection) -> dict[ClusterName, ClusterRecord]:
        try:
            return dict(record_of(row) for row in database.execute("SELECT name, algorithm, partition, holders FROM cluster"))
        except ValueError as error:
            raise self._damaged(f"a record that can not be read: {error}") from None

    # ---- writing

    def _write(self, batch: Batch) -> None:
        if self._inode_now() != self._inode:
            message = f"the ledger {self._path} was removed or replaced while the arbitrator ran"
            raise LedgerProblem(message, "a new one is begun, with all that this one should have")
        names = [(name,) for name in batch]
        rows = [row_of(name, record) for name, record in batch.items() if record is not None]
        removed = 0

        def steps(database: sqlite3.Connection) -> None:
            nonlocal removed
            removed = database.executemany("DELETE FROM cluster WHERE name = ?", names).rowcount
            database.executemany("INSERT INTO cluster VALUES (?, ?, ?, ?)", rows)

        self._transaction(steps)
        self._records += len(rows) - removed

    def _inode_now(self) -> int:
        """0 when there is no file. OSError."""
        try:
            return self._path.stat().st_ino
        except FileNotFoundError:
            return 0

    def _transaction(self, steps: Callable[[sqlite3.Connection], object]) -> None:
        database = self._database
        assert database is not None, "it is open"
        database.execute("BEGIN IMMEDIATE")
        try:
            steps(database)
            database.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                database.execute("ROLLBACK")  # SQLite has done it by itself after some errors
            raise

    def _drop(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            with suppress(sqlite3.Error):
                database.close()

    # ---- problems

    def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except sqlite3.Error as error:
            raise self._problem(error) from None
        except OSError as error:
            raise self._unusable((error.strerror or str(error)).lower()) from None

    def _problem(self, error: sqlite3.Error) -> LedgerProblem:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        match code:
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                message = f"the ledger {self._path} is locked by another program"
                return LedgerProblem(message, f"find it with `fuser {shlex.quote(self.place)}` and end it", lasting=False)
            case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR if code == sqlite3.SQLITE_FULL or self._has_no_room():
                message = f"the ledger {self._path} can not be written: no room is left on its file system"
                return LedgerProblem(message, f"make room: `df {shlex.quote(str(self._path.parent))}`", lasting=False)
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                return self._damaged(str(error))
            case _:
                return self._unusable(str(error))

    def _has_no_room(self) -> bool:
        """SQLite calls some writes that find none an error of the disk."""
        with suppress(OSError):
            return os.statvfs(self._path.parent).f_bavail == 0
        return False

    def _damaged(self, reason: str) -> LedgerProblem:
        return LedgerProblem(f"the ledger {self._path} is damaged ({reason})", self._move_away("to begin a new one"))

    def _unusable(self, reason: str) -> LedgerProblem:
        return LedgerProblem(f"the ledger {self._path} can not be used ({reason})", self._other_place())

    def _move_away(self, why: str) -> str:
        source = shlex.quote(self.place)
        target = shlex.quote(f"{self.place}.broken")
        return f"{why}, `mv {source} {target}`; each cluster then waits once until votes given before can not count any more"

    def _other_place(self) -> str:
        user, group = os.geteuid(), os.getegid()
        folder = shlex.quote(str(self._path.parent))
        return (
            f"check that {folder} and the files in it can be written by user {user}, group {group}, or choose another directory with --data"
        )


def _pragma(database: sqlite3.Connection, name: str) -> int:
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])
