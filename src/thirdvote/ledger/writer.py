"""Writes what is to be kept, in a thread of its own: what falls due while the disk is busy shares the next write.

A vote waits for its record, so nothing is queued behind anything else for longer than one write takes. Nothing is tried
again by itself: who asked hears what is wrong, and asks again when it is still wanted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from thirdvote.arbiter.record import ClusterRecord
from thirdvote.domain import ClusterName
from thirdvote.ledger.interface import Found, Ledger, LedgerProblem

REOPEN_S = 5.0
"""Between two attempts to open a ledger that could not be used."""

STOP_S = 5.0
"""At the end, for a disk that is slow: what is queued is written, but a stop never hangs."""

Answer = Callable[[tuple[int, ...], str], None]
Changed = Callable[[LedgerProblem | None], None]


@dataclass(frozen=True, slots=True)
class LedgerState:
    """`problem` is what was wrong at the last attempt. `doubt`: why the past was not complete at the start."""

    place: str
    problem: LedgerProblem | None
    doubt: str
    records: int
    commits: int
    last_commit_ms: float | None


@dataclass(slots=True)
class _Pending:
    record: ClusterRecord | None
    tickets: list[int] = field(default_factory=list)


class LedgerWriter:
    """Callbacks are called in the writer's thread and must neither wait nor fail: `answer` with the tickets that are done, and
    the problem, if there was one, as a clause; `changed` when a problem comes up, changes, or is over.

    `doubt_s` after `open` no vote that was given before can count any more.
    """

    def __init__(
        self,
        ledger: Ledger,
        answer: Answer,
        changed: Changed,
        doubt_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._answer = answer
        self._changed = changed
        self._doubt_s = doubt_s
        self._clock = clock
        self._work = threading.Condition()
        self._pending: dict[ClusterName, _Pending] = {}
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._is_open = False
        self._failed_to_open = False
        self._tried_at = 0.0
        self._written: dict[ClusterName, ClusterRecord] = {}
        self._problem: LedgerProblem | None = None
        self._doubt = ""
        self._trust_at: float | None = None
        self._commits = 0
        self._last_commit_ms: float | None = None

    def open(self) -> Found:
        """Call it first, and once. Of a ledger that can not even be read nothing is known; `state` has the problem."""
        self._tried_at = self._clock()
        try:
            found = self._ledger.open()
            self._is_open = True
        except LedgerProblem as problem:
            self._problem = problem.with_traceback(None)
            self._failed_to_open = True
            found = problem.found or Found(doubt="the ledger can not be used")
        self._written = dict(found.records)
        self._doubt = found.doubt
        if found.doubt:
            self._trust_at = self._clock() + self._doubt_s
        self._thread.start()
        return found

    def keep(self, ticket: int, cluster: ClusterName, record: ClusterRecord | None) -> None:
        """Does not wait. A record that was not written yet is replaced; its ticket is answered with the later one."""
        with self._work:
            pending = self._pending.setdefault(cluster, _Pending(record))
            pending.record = record
            pending.tickets.append(ticket)
            self._work.notify()

    def close(self) -> None:
        """Returns when all that was asked for is written and answered, or after STOP_S."""
        with self._work:
            self._stopping = True
            self._work.notify()
        self._thread.join(STOP_S)

    @property
    def state(self) -> LedgerState:
        ledger = self._ledger
        return LedgerState(ledger.place, self._problem, self._doubt, ledger.records, self._commits, self._last_commit_ms)

    # ---- in the thread

    def _run(self) -> None:
        while True:
            pending, stopping = self._take()
            if pending:
                problem = self._attempt(partial(self._write, _batch(pending)))
                self._answer(_tickets(pending), "" if problem is None else str(problem))
            elif stopping:
                break
            self._trust_in_time()
        if self._is_open:
            self._ledger.close()

    def _take(self) -> tuple[dict[ClusterName, _Pending], bool]:
        """Waits until there is something to do."""
        with self._work:
            if not self._pending and not self._stopping:
                self._work.wait(None if self._trust_at is None else max(0.0, self._trust_at - self._clock()))
            pending, self._pending = self._pending, {}
            return pending, self._stopping

    def _attempt(self, work: Callable[[], None]) -> LedgerProblem | None:
        problem: LedgerProblem | None = None
        try:
            work()
        except LedgerProblem as error:
            problem = error.with_traceback(None)
        except Exception as error:  # a fault of ours must not end the thread: every vote would wait for it
            problem = LedgerProblem(f"a fault of the program, please report it: {type(error).__name__}: {error}", "", lasting=True)
        self._take_note(problem)
        return problem

    def _take_note(self, problem: LedgerProblem | None) -> None:
        if problem is not None and problem.lasting and self._is_open:
            self._is_open = False
            self._ledger.close()
        before, self._problem = self._problem, problem
        if (before and str(before)) != (problem and str(problem)):
            self._changed(problem)

    def _write(self, batch: dict[ClusterName, ClusterRecord | None]) -> None:
        if not self._is_open:
            self._open_again()
        started = time.monotonic()
        try:
            self._ledger.write(batch)
        except LedgerProblem as problem:
            if not problem.lasting:
                raise
            self._take_note(problem.with_traceback(None))
            self._open_again()
            self._ledger.write(batch)
        self._last_commit_ms = round((time.monotonic() - started) * 1_000, 3)
        self._commits += 1
        self._remember(batch)

    def _remember(self, batch: dict[ClusterName, ClusterRecord | None]) -> None:
        for cluster, record in batch.items():
            if record is None:
                self._written.pop(cluster, None)
            else:
                self._written[cluster] = record

    def _open_again(self) -> None:
        """Gives it back what was in it, should it be another one. What it has of clusters that were not heard of since stays."""
        if self._failed_to_open and self._clock() < self._tried_at + REOPEN_S:
            assert self._problem is not None, "it is kept until an attempt succeeds"
            raise self._problem
        self._tried_at = self._clock()
        self._failed_to_open = True
        found = self._ledger.open()
        try:
            missing = {cluster: record for cluster, record in self._written.items() if found.records.get(cluster) != record}
            if missing:
                self._ledger.write(missing)
            if found.doubt and self._trust_at is None:
                self._ledger.trust()
        except LedgerProblem:
            self._ledger.close()
            raise
        self._failed_to_open = False
        self._is_open = True

    def _trust_in_time(self) -> None:
        if self._trust_at is None or self._clock() < self._trust_at:
            return
        if self._is_open and self._attempt(self._ledger.trust) is None:
            self._trust_at = None
        else:
            self._trust_at = self._clock() + REOPEN_S


def _batch(pending: dict[ClusterName, _Pending]) -> dict[ClusterName, ClusterRecord | None]:
    return {cluster: one.record for cluster, one in pending.items()}


def _tickets(pending: dict[ClusterName, _Pending]) -> tuple[int, ...]:
    return tuple(sorted(ticket for one in pending.values() for ticket in one.tickets))
