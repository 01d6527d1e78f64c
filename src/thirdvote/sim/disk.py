"""The disk under the ledger: what was asked for together is written together, and is there after a crash once it was answered."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from thirdvote.arbiter.interface import Persist, Persisted
from thirdvote.arbiter.record import ClusterRecord
from thirdvote.domain import ClusterName
from thirdvote.sim.engine import Engine, Timer

SLOW_WRITES = 0.02
SLOW_FACTOR = 15
"""A few writes take that many times as long as the others."""


class Disk:
    """`records` is what would be found after a crash now; `complete` whether nothing was ever lost from it."""

    def __init__(self, engine: Engine, random: Random, write_s: float) -> None:
        self.records: dict[ClusterName, ClusterRecord] = {}
        self.complete = True
        self.fails = False
        self.writes = 0
        self._engine = engine
        self._random = random
        self._write_s = write_s
        self._waiting: list[Persist] = []
        self._written: list[Persist] = []
        self._writing: Timer | None = None

    def keep(self, wanted: Persist, answer: Callable[[Persisted], None]) -> None:
        """`answer` is called when it is kept, or is not."""
        self._waiting.append(wanted)
        if self._writing is None:
            self._write(answer)

    def crash(self) -> None:
        """Its process is gone: what was being written may be there or not, what waited is not."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
            if self._random.random() < 0.5 and not self.fails:
                self._apply(self._written)
        self._waiting, self._written = [], []

    def lose(self) -> None:
        self.records = {}
        self.complete = False

    def _write(self, answer: Callable[[Persisted], None]) -> None:
        self._written, self._waiting = self._waiting, []
        seconds = self._write_s * (0.2 + 0.8 * self._random.random())
        if self._random.random() < SLOW_WRITES:
            seconds *= SLOW_FACTOR
        self._writing = self._engine.after(seconds, lambda: self._end_write(answer))

    def _end_write(self, answer: Callable[[Persisted], None]) -> None:
        tickets = tuple(wanted.ticket for wanted in self._written)
        problem = "the simulated disk is full" if self.fails else ""
        if not problem:
            self._apply(self._written)
        self.writes += 1
        self._writing = None
        answer(Persisted(tickets, problem))
        if self._waiting and self._writing is None:
            self._write(answer)

    def _apply(self, wanted: list[Persist]) -> None:
        for item in wanted:
            if item.record is None:
                self.records.pop(item.cluster, None)
            else:
                self.records[item.cluster] = item.record
