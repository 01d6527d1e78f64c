"""The file of what has happened: bounded in all and for each cluster, so that no cluster's events push out another's.

Every event belongs to a bucket: one for each cluster, one for the voter itself, and one for all strangers, who can say
that they are of any cluster. A bucket numbers its events without a gap, so that its oldest are found without counting.
When there are too many in all, the largest buckets give up their oldest.

SQLite in WAL with synchronous=NORMAL: a power cut may cost the last seconds, never the file. One thread uses it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from thirdvote.arbiter.interface import Level, NoteKind
from thirdvote.domain import printable
from thirdvote.net.log import Event, one_line

SCHEMA_VERSION = 1

SCHEMA = """
CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  bucket TEXT NOT NULL,
  number INTEGER NOT NULL,
  time REAL NOT NULL,
  level INTEGER NOT NULL,
  event TEXT NOT NULL,
  cluster TEXT,
  node INTEGER,
  address TEXT,
  text TEXT NOT NULL
);
CREATE UNIQUE INDEX events_of_bucket ON events (bucket, number);
PRAGMA user_version = 1;
"""
"""`time` in seconds since 1970, `cluster` as it is printed."""

CACHE_KIB = 512
BUSY_S = 1.0
"""Somebody else looks into the file."""
WAL_BYTES_MAX = 4 << 20

TEXT_MAX = 2_000
"""Characters of one event; the longest that we write name all nodes of a large cluster."""

ROOM = 0.05
"""Share that is given up at once when there are too many in all, so that it is not looked at for each event."""

PAGE_EVENTS = 100
"""Read at once: under a millisecond during which the event loop may have to wait for the interpreter's lock."""

VOTER = "voter"
STRANGERS = "strangers"
OF_CLUSTER = "cluster "

BROKEN_SUFFIX = ".broken"

_FILE_MODE = 0o600


class Damaged(Exception):
    """This is no SQLite file, or not a whole one."""


class Newer(Exception):
    """A later version of the program has written it."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An event at a time, in seconds since 1970."""

    time: float
    event: Event


@dataclass(frozen=True, slots=True)
class Selection:
    """The newest `limit` events since `since`, of one cluster and of the voter itself; `cluster` None: of all.

    `cluster` as it is printed, `spelling` another way in which it may be.
    """

    limit: int
    cluster: str | None = None
    spelling: str | None = None
    since: float = float("-inf")


_NEWEST = """
SELECT min(id), max(id) FROM (
  SELECT id FROM events WHERE time >= :since AND (:cluster IS NULL OR bucket = 'voter' OR cluster IN (:cluster, :spelling))
  ORDER BY id DESC LIMIT :limit
)
"""

_PAGE = """
SELECT id, time, level, event, cluster, node, address, text FROM events
WHERE id BETWEEN :first AND :last AND time >= :since AND (:cluster IS NULL OR bucket = 'voter' OR cluster IN (:cluster, :spelling))
ORDER BY id LIMIT :page
"""

_INSERT = "INSERT INTO events (bucket, number, time, level, event, cluster, node, address, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"

_TRIM = """
DELETE FROM events WHERE number <= (SELECT max(number) FROM events AS other WHERE other.bucket = events.bucket) - ?
"""


class HistoryFile:
    """Raises Damaged, Newer, or sqlite3.Error."""

    def __init__(self, path: Path, most: int, most_of_one: int) -> None:
        self.most = most
        self.most_of_one = most_of_one
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE))
        self._database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        try:
            self._prepare()
            (self.count,) = self._one("SELECT count(*) FROM events")
        except BaseException as error:
            self.close()
            raise _explained(error) from None

    def _prepare(self) -> None:
        (version,) = self._one("PRAGMA user_version")
        if version > SCHEMA_VERSION:
            raise Newer
        for pragma in (f"cache_size = -{CACHE_KIB}", "journal_mode = WAL", "synchronous = NORMAL", f"journal_size_limit = {WAL_BYTES_MAX}"):
            self._database.execute(f"PRAGMA {pragma}").fetchall()
        (said,) = self._one("PRAGMA quick_check(1)")
        if said != "ok":
            raise Damaged(said)
        if version == 0:
            self._database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")

    def close(self) -> None:
        self._database.close()

    # ---- writing

    def append(self, occurrences: Sequence[Occurrence]) -> None:
        """All of them, or none."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            count = self.count + len(occurrences) - self._insert(occurrences)
            if count > self.most:
                count -= self._trim(int(self.most * (1 - ROOM)))
            self._database.execute("COMMIT")
        except BaseException as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise _explained(error) from None
        self.count = count

    def _insert(self, occurrences: Sequence[Occurrence]) -> int:
        """How many older ones had to go."""
        last: dict[str, int] = {}
        for occurrence in occurrences:
            event = occurrence.event
            cluster = None if event.cluster is None else printable(event.cluster)
            bucket = bucket_of(event, cluster)
            if bucket not in last:
                (last[bucket],) = self._one("SELECT coalesce(max(number), 0) FROM events WHERE bucket = ?", bucket)
            last[bucket] += 1
            values = (occurrence.time, int(event.level), event.event, cluster, event.node, event.address, _text(event))
            self._database.execute(_INSERT, (bucket, last[bucket], *values))
        oldest = [(bucket, number - self.most_of_one) for bucket, number in last.items()]
        return sum(self._changed("DELETE FROM events WHERE bucket = ? AND number <= ?", *one) for one in oldest)

    def _trim(self, wanted: int) -> int:
        """Leaves at most `wanted`: as many of each bucket as still fit when all have the same, and of the newest when not even one does."""
        fits = "SELECT coalesce(sum(min(size, ?)), 0) FROM (SELECT count(*) AS size FROM events GROUP BY bucket)"
        low, high = 1, self.most_of_one
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._one(fits, middle)[0] <= wanted else (low, middle - 1)
        gone = self._changed(_TRIM, low)
        (left,) = self._one("SELECT count(*) FROM events")
        excess = max(0, left - wanted)
        return gone + self._changed("DELETE FROM events WHERE id IN (SELECT id FROM events ORDER BY id LIMIT ?)", excess)

    # ---- reading

    def latest(self) -> tuple[str, float] | None:
        """What the voter said last of itself, and the time of the last event of all."""
        found = self._database.execute("SELECT event FROM events WHERE bucket = ? ORDER BY number DESC LIMIT 1", (VOTER,)).fetchone()
        return None if found is None else (found[0], self._one("SELECT time FROM events ORDER BY id DESC LIMIT 1")[0])

    def bounds(self, selection: Selection) -> tuple[int, int]:
        """Ids of the first and the last that are selected; the first is above the last when none is."""
        first, last = self._database.execute(_NEWEST, asdict(selection)).fetchone()
        return (1, 0) if first is None else (first, last)

    def page(self, selection: Selection, first: int, last: int) -> tuple[str, int]:
        """Up to PAGE_EVENTS selected ones as JSON objects with commas between, and the id from which to go on."""
        values = asdict(selection) | {"first": first, "last": last, "page": PAGE_EVENTS}
        rows = self._database.execute(_PAGE, values).fetchall()
        return ", ".join(json.dumps(_fields(*row[1:])) for row in rows), (rows[-1][0] + 1 if rows else last + 1)

    def _one(self, statement: str, *values: object) -> Any:
        """The row that there always is."""
        return self._database.execute(statement, values).fetchone()

    def _changed(self, statement: str, *values: object) -> int:
        return self._database.execute(statement, values).rowcount


def bucket_of(event: Event, cluster: str | None) -> str:
    """Whoever is sent away before it is a node can have named any cluster."""
    if event.event == NoteKind.REFUSED:
        return STRANGERS
    return VOTER if cluster is None else OF_CLUSTER + cluster


def set_aside(path: Path) -> Path:
    """Renames a damaged file, in place of the one that was set aside before."""
    broken = path.with_name(path.name + BROKEN_SUFFIX)
    path.replace(broken)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return broken


def _explained(error: BaseException) -> BaseException:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return Damaged(str(error)) if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else error


def _text(event: Event) -> str:
    text = one_line(event.text)
    return text if len(text) <= TEXT_MAX else text[:TEXT_MAX] + "…"


def _fields(
    time: float, level: int, event: str, cluster: str | None, node: int | None, address: str | None, text: str
) -> dict[str, object]:
    """With the names of docs/logging.md."""
    found = {
        "time": datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds"),
        "level": Level(level).name.lower(),
        "event": event,
        "cluster": cluster,
        "node": node,
        "address": address,
        "text": text,
    }
    return {name: value for name, value in found.items() if value is not None}
