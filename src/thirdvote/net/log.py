"""The log: one event a line on standard error, in the words of docs/logging.md.

Lines are written by a thread of their own, so that a terminal that is stopped or a pipe that nobody reads can not hold
up a vote. What does not fit into its queue is dropped and counted.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from thirdvote.arbiter.interface import Level, Note
from thirdvote.config import Limits
from thirdvote.domain import ClusterName, printable, quoted
from thirdvote.net.ratelimit import RateLimit

QUEUED_LINES_MAX = 2_000
"""About 300 KiB, when nobody reads the log."""

LINES_PER_WRITE = 64

FLUSH_S = 1.0
"""At the end, for a reader that is slow."""

STRANGERS = 10
"""Times the limit of one address is the limit of all addresses together, for what nodes that have not joined cause."""

_JOURNAL_PRIORITY = {Level.DEBUG: 7, Level.INFO: 6, Level.WARNING: 4, Level.ERROR: 3}

LEVELS = {level.name.lower(): level for level in Level}


class LineWriter:
    """Takes lines, never blocks, never fails."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._dropped = 0
        self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        if self._lines.qsize() >= QUEUED_LINES_MAX:
            self._dropped += 1
        else:
            self._lines.put(line)

    def close(self) -> None:
        self._lines.put(None)
        self._thread.join(FLUSH_S)

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            lines = [line]
            last = False
            while len(lines) < LINES_PER_WRITE and not self._lines.empty() and not last:
                following = self._lines.get()
                last = following is None
                lines += [following] if following is not None else []
            dropped, self._dropped = self._dropped, 0
            if dropped:
                lines.append(f"{dropped} lines were dropped here, because nobody read the log fast enough")
            self._write("".join(f"{text}\n" for text in lines).encode("utf-8", "backslashreplace"))
            if last:
                return

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            return  # closed or broken: there is nobody to tell


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log. `event` is a name that stays; the fields that are None are left out."""

    level: Level
    event: str
    text: str
    cluster: ClusterName | None = None
    node: int | None = None
    connection: int | None = None
    address: str | None = None

    @classmethod
    def of(cls, note: Note) -> Event:
        return cls(note.level, str(note.kind), note.text, note.cluster, note.node, note.connection, note.address)

    def fields(self) -> dict[str, object]:
        """For JSON: the names of docs/logging.md, printable values."""
        found = {
            "level": self.level.name.lower(),
            "event": self.event,
            "cluster": None if self.cluster is None else printable(self.cluster),
            "node": self.node,
            "connection": self.connection,
            "address": self.address,
            "text": one_line(self.text),
        }
        return {name: value for name, value in found.items() if value is not None}


def one_line(text: str) -> str:
    """Nothing in it that ends a line or that a terminal obeys."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def as_json(event: Event, when: datetime) -> str:
    return json.dumps({"time": when.isoformat(timespec="milliseconds"), **event.fields()}, ensure_ascii=False)


def as_text(event: Event, when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} {event.level.name.lower():<7} {_sentence(event)}"


def as_journal(event: Event, when: datetime) -> str:
    """The journal has the time, and takes the level from the number in front."""
    return f"<{_JOURNAL_PRIORITY[event.level]}>{_sentence(event)}"


def _sentence(event: Event) -> str:
    subject = []
    if event.cluster is not None:
        subject.append(f'cluster "{quoted(event.cluster)}"')
    if event.node is not None:
        subject.append(f"node {event.node}")
    if event.address is not None:
        subject.append(f"({event.address})" if subject else event.address)
    text = one_line(event.text)
    return f"{event.event}: {' '.join(subject)}: {text}" if subject else f"{event.event}: {text}"


FORMATS: dict[str, Callable[[Event, datetime], str]] = {"text": as_text, "json": as_json, "journal": as_journal}


class Log:
    """Events that the network can cause go through `allows` first; what it holds back is counted and told by `tell_suppressed`."""

    def __init__(self, write: Callable[[str], None], form: Callable[[Event, datetime], str], level: Level, limits: Limits) -> None:
        self._write = write
        self._form = form
        self.level = level
        self._limit = RateLimit(limits.log_burst, limits.log_per_second)
        self._strangers = RateLimit(limits.log_burst * STRANGERS, limits.log_per_second * STRANGERS)

    def set_limits(self, limits: Limits) -> None:
        self._limit.burst, self._limit.per_second = limits.log_burst, limits.log_per_second
        self._strangers.burst, self._strangers.per_second = limits.log_burst * STRANGERS, limits.log_per_second * STRANGERS

    def allows(self, event: Event, now: float) -> bool:
        """False when too much of its kind came from its source lately: the node for one that has joined, else the address."""
        source = _source(event)
        if not self._limit.allows(source, now):
            return False
        return event.node is not None or self._strangers.allows(replace(source, host=None), now)

    def write(self, event: Event) -> None:
        if event.level >= self.level:
            self._write(self._form(event, datetime.now().astimezone()))

    def tell_suppressed(self, now: float) -> None:
        for source, count in (*self._limit.take_suppressed(now), *self._strangers.take_suppressed(now)):
            assert isinstance(source, _Source)
            self.write(
                Event(
                    source.level, source.event, f"{count} more like this were not written", source.cluster, source.node, address=source.host
                )
            )

    def error(self, event: str, text: str) -> None:
        self.write(Event(Level.ERROR, event, text))

    def warning(self, event: str, text: str) -> None:
        self.write(Event(Level.WARNING, event, text))

    def info(self, event: str, text: str) -> None:
        self.write(Event(Level.INFO, event, text))


@dataclass(frozen=True, slots=True)
class _Source:
    level: Level
    event: str
    cluster: ClusterName | None
    node: int | None
    host: str | None


def _source(event: Event) -> _Source:
    if event.node is not None:
        return _Source(event.level, event.event, event.cluster, event.node, None)
    host = event.address.rpartition(":")[0] if event.address else None
    return _Source(event.level, event.event, None, None, host)
