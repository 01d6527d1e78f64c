"""Runs stories one after another, with the stock server kept alive between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

from tests.lockstep.compare import Divergence, Report, compare
from tests.lockstep.ours import MemoryServer
from tests.lockstep.servers import Process, Server, SocketServer, start_stock
from tests.lockstep.shrink import shrink
from tests.lockstep.story import Story

Ours = Callable[[], Server]
"""Makes a face of our server for one story."""


class Runner:
    def __init__(self, folder: Path, ours: Ours = MemoryServer) -> None:
        self._folder = folder
        self._ours = ours
        self._stock: Process | None = None
        self._names = (b"story %d" % number for number in count(1))
        self.reports: list[Report] = []

    def run(self, stories: Iterable[Story]) -> None:
        """Raises Divergence, with the story made short, at the first that is not accounted for."""
        for story in stories:
            try:
                self.reports.append(self._tell(story))
            except Divergence:
                self._tell(shrink(story, self._fails))
                raise

    def stop(self) -> None:
        if self._stock is not None:
            self._stock.stop()
            self._stock = None

    def summary(self) -> str:
        defects = Counter(defect for report in self.reports for defect in report.defects)
        differing = sum(report.differing for report in self.reports)
        actions = sum(report.actions for report in self.reports)
        shown = ", ".join(f"{defect} in {number}" for defect, number in sorted(defects.items())) or "none"
        return f"{len(self.reports)} stories, {actions} actions, {differing} with a listed difference; by defect: {shown}"

    def _fails(self, story: Story) -> bool:
        try:
            self._tell(story)
        except Divergence:
            return True
        return False

    def _tell(self, story: Story) -> Report:
        if self._stock is None or not self._stock.alive():
            self.stop()
            self._stock = start_stock(self._folder)
        stock, ours = SocketServer(self._stock), self._ours()
        try:
            report = compare(story, stock, ours, next(self._names))
        finally:
            stock.close_all()
            if isinstance(ours, SocketServer):
                ours.close_all()
        if report.crashed:
            self.stop()
        return report
