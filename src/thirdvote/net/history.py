"""What has happened is kept across restarts, beside the voter's loop: it gives events away and never waits for them.

A thread of its own gathers events for a second and writes them together. Too many for it are dropped and counted. When
the file can not be written, the log says so once, events are counted instead of kept, and it is tried again now and then.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from thirdvote.arbiter.interface import Level, NoteKind
from thirdvote.config import Limits
from thirdvote.net.history_file import BROKEN_SUFFIX, Damaged, HistoryFile, Newer, Occurrence, Selection, set_aside
from thirdvote.net.log import Event

QUEUED_EVENTS_MAX = 5_000
"""About 2 MB, when the disk stands still."""
READS_MAX = 64
GATHER_S = 1.0
"""Events of the same second are written together: this is what a power cut or a kill costs."""
WRITES = 2
"""The second one in a new file, when the old one was found to be damaged."""
RETRY_S = 60.0
FLUSH_S = 2.0
"""At the end, for a disk that is slow."""

STARTED = "started"
STOPPED = "stopped"
OPERATOR = "operator"
HISTORY = "history"
"""Events that no note of the arbiter stands for; the last is about the history itself."""

ENROLMENT = "enrolment"
"""What the process that lets nodes in has to say."""

KEPT_OF_CLUSTERS = frozenset(
    {
        NoteKind.REFUSED, NoteKind.JOINED, NoteKind.LEFT, NoteKind.CHANGED, NoteKind.WAITING, NoteKind.VOTE_SENT, NoteKind.DECIDED,
        NoteKind.HELD_BACK, NoteKind.RELEASED, NoteKind.LEDGER, OPERATOR, ENROLMENT,
    }
)  # fmt: skip
KEPT_OF_VOTER = frozenset({STARTED, STOPPED, NoteKind.LEDGER, ENROLMENT})

Report = Callable[[Level, str], None]
"""For the log; called in the history's thread."""


class Unreadable(Exception):
    """Nothing can be read; says why, for a person."""


class History:
    """`take` and `pages` belong to the event loop; all that touches the file happens in the thread."""

    def __init__(self, path: Path, limits: Limits, report: Report) -> None:
        self._path = path
        self._limits = limits
        self._report = report
        self._events: deque[Occurrence] = deque()
        self._reads: deque[tuple[Callable[[HistoryFile], Any], Future[Any]]] = deque()
        self._some = threading.Event()
        self._hurry = threading.Event()
        self._stopping = False
        self._dropped = self._dropped_before = 0
        self._unwritten = 0
        self._file: HistoryFile | None = None
        self._problem: str | None = None
        self._retry_at = 0.0
        self._replaced = False
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    # ---- for the event loop

    def take(self, event: Event) -> None:
        """Never waits, never fails."""
        if event.level < Level.INFO or event.event not in (KEPT_OF_VOTER if event.cluster is None else KEPT_OF_CLUSTERS):
            return
        if len(self._events) >= QUEUED_EVENTS_MAX:
            self._dropped += 1
            return
        self._events.append(Occurrence(time.time(), event))
        self._some.set()
        if len(self._events) >= QUEUED_EVENTS_MAX // 2:
            self._hurry.set()

    async def pages(self, selection: Selection) -> AsyncIterator[str]:
        """JSON objects with commas between, a few at a time, oldest first; what was taken before is there. Raises Unreadable."""
        first, last = await self._ask(partial(HistoryFile.bounds, selection=selection))
        while first <= last:
            text, first = await self._ask(partial(HistoryFile.page, selection=selection, first=first, last=last))
            if text:
                yield text

    def set_limits(self, limits: Limits) -> None:
        self._limits = limits

    @property
    def problem(self) -> str | None:
        """Why events are not kept at present."""
        return self._problem

    def stop(self) -> None:
        """Writes what was taken, and waits for that FLUSH_S at most."""
        self._stopping = True
        self._some.set()
        self._hurry.set()
        self._thread.join(FLUSH_S)

    async def _ask(self, read: Callable[[HistoryFile], Any]) -> Any:
        if self._stopping or len(self._reads) >= READS_MAX:
            raise Unreadable("the arbitrator is stopping" if self._stopping else "too many ask at once")
        answer: Future[Any] = Future()
        self._reads.append((read, answer))
        self._some.set()
        self._hurry.set()
        return await asyncio.wrap_future(answer)

    # ---- the thread

    def _run(self) -> None:
        self._guarded(self._ready)
        last = False
        while not last:
            self._some.wait()
            self._hurry.wait(GATHER_S)
            last = self._stopping
            self._some.clear()
            self._hurry.clear()
            reads = [self._reads.popleft() for _ in range(len(self._reads))]
            self._guarded(self._write_all)
            for read, answer in reads:
                self._guarded(partial(self._read, read, answer))
        self._close()

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # a fault of ours must not end the thread, which others wait for
            self._fail(f"a fault of the program, please report it: {type(error).__name__}: {error}")

    def _write_all(self) -> None:
        self._ready()
        gathered = [self._events.popleft() for _ in range(len(self._events))]
        dropped, self._dropped_before = self._dropped - self._dropped_before, self._dropped
        missing = self._unwritten + dropped
        if not gathered and not missing:
            return
        batch = [*gathered, _gap(missing)] if missing else gathered
        self._unwritten = missing + len(gathered)
        for _ in range(WRITES):
            if self._unwritten and self._ready():
                self._append(batch)

    def _append(self, batch: list[Occurrence]) -> None:
        """Afterwards nothing is unwritten, or the file is closed."""
        assert self._file is not None
        self._file.most, self._file.most_of_one = self._limits.history_events, self._limits.history_per_cluster
        try:
            self._file.append(batch)
        except Damaged as error:
            self._replace(error)
        except sqlite3.Error as error:
            self._fail(_reason(error))
        else:
            self._unwritten = 0
            self._replaced = False
            if self._problem is not None:
                self._problem = None
                self._report(Level.INFO, f"what happens is kept again in {self._path}")

    def _read(self, read: Callable[[HistoryFile], Any], answer: Future[Any]) -> None:
        """What can not be written may still be read."""
        if not answer.set_running_or_notify_cancel():
            return
        try:
            if self._file is None:
                self._open()
            if self._file is None:
                raise Unreadable(self._problem or "it is damaged")
            answer.set_result(read(self._file))
        except Unreadable as error:
            answer.set_exception(error)
        except Exception as error:  # whoever asked must not wait for ever
            answer.set_exception(Unreadable(_reason(error)))

    def _ready(self) -> bool:
        """Opens the file if it is time to; one that is damaged makes room for a new one."""
        while self._file is None and time.monotonic() >= self._retry_at:
            self._open()
        return self._file is not None

    def _open(self) -> None:
        try:
            self._file = HistoryFile(self._path, self._limits.history_events, self._limits.history_per_cluster)
            unfinished = self._unfinished(self._file) if self._problem is None else None
        except Damaged as error:
            self._replace(error)
        except Newer:
            self._fail(f"a later version of thirdvote has written it; to begin a new one: mv {self._path} {self._path}.later")
        except (sqlite3.Error, OSError) as error:
            self._fail(_reason(error))
        else:
            if unfinished is not None:
                self._events.appendleft(unfinished)

    def _unfinished(self, file: HistoryFile) -> Occurrence | None:
        """The run before did not say that it ended."""
        latest = file.latest()
        if latest is None or latest[0] == STOPPED:
            return None
        at = datetime.fromtimestamp(latest[1]).astimezone()
        text = f"the arbitrator did not end in order: it was killed, or its host failed, at {at:%Y-%m-%d %H:%M:%S} or later"
        return Occurrence(time.time(), Event(Level.WARNING, HISTORY, text))

    def _replace(self, error: Damaged) -> None:
        """A damaged file is kept for whoever wants to look at it; the next write begins a new one."""
        self._close()
        if self._replaced:
            self._fail(f"a new one is damaged, too ({error})")
            return
        self._replaced = True
        try:
            set_aside(self._path)
        except OSError as problem:
            self._fail(f"it is damaged ({error}) and can not be set aside ({_reason(problem)})")
            return
        aside = f"it is set aside as {self._path.name}{BROKEN_SUFFIX}, and a new one begins; votes are not affected"
        self._report(Level.WARNING, f"{self._path} is damaged ({error}): {aside}")

    def _fail(self, problem: str) -> None:
        self._close()
        self._retry_at = time.monotonic() + RETRY_S
        if problem != self._problem:
            self._problem = problem
            self._report(Level.WARNING, f"what happens is not kept in {self._path}: {problem}; votes are not affected")

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None


def _gap(missing: int) -> Occurrence:
    text = f"{missing} events are missing before this: they came too fast, or could not be written"
    return Occurrence(time.time(), Event(Level.WARNING, HISTORY, text))


def _reason(error: Exception) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return f"{text[:1].lower()}{text[1:]}"
