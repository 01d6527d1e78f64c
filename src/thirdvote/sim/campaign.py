"""Many runs, on several cores, and what they add up to."""

from __future__ import annotations

import gc
import multiprocessing
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial

from thirdvote.errors import UserError
from thirdvote.sim.draw import Wanted, draw
from thirdvote.sim.faults import Outcome, run
from thirdvote.sim.invariants import Failure, Invariant, Measures
from thirdvote.sim.schedule import Schedule

BATCH = 50
"""Runs that a process does before it reports: about half a second."""

AHEAD = 4
"""Batches for each process that are given out before they are needed."""

SAMPLES_MAX = 20_000
"""Hand-overs of one kind of fault that are kept for the percentiles."""


@dataclass(slots=True)
class Summary:
    """`failures` has the first seeds that failed; hand-overs are in seconds after the last fault, by its kind."""

    runs: int = 0
    steps: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    overlap_s: float = 0.0
    overlaps: int = 0
    excused_overlap_s: float = 0.0
    wait_s: float = 0.0
    whole_again_s: float = 0.0
    hand_overs: dict[str, list[float]] = field(default_factory=dict)
    failures: list[tuple[int, Failure]] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        measures = outcome.measures
        self.runs += 1
        self.steps += outcome.steps
        self.faults.update(type(fault).__name__ for fault in outcome.schedule.faults)
        self.overlap_s = max(self.overlap_s, measures.overlap_s)
        self.overlaps += measures.overlap_s > 0.1
        self.excused_overlap_s = max(self.excused_overlap_s, measures.excused_overlap_s)
        self.wait_s = max(self.wait_s, measures.wait_s)
        self.whole_again_s = max(self.whole_again_s, measures.whole_again_s or 0.0)
        for hand_over in measures.hand_overs:
            self.hand_overs.setdefault(hand_over.fault, []).append(hand_over.seconds)
        if outcome.failure is not None:
            self.failures.append((outcome.schedule.seed, outcome.failure))

    def take(self, other: Summary) -> None:
        self.runs += other.runs
        self.steps += other.steps
        self.faults.update(other.faults)
        self.overlap_s = max(self.overlap_s, other.overlap_s)
        self.overlaps += other.overlaps
        self.excused_overlap_s = max(self.excused_overlap_s, other.excused_overlap_s)
        self.wait_s = max(self.wait_s, other.wait_s)
        self.whole_again_s = max(self.whole_again_s, other.whole_again_s)
        for fault, seconds in other.hand_overs.items():
            kept = self.hand_overs.setdefault(fault, [])
            kept.extend(seconds)
            if len(kept) > SAMPLES_MAX:  # the longest stays, and every other one of the rest
                kept.sort()
                kept[:] = kept[::-2][::-1]
        self.failures.extend(other.failures)


def campaign(first: int, runs: int, jobs: int, wanted: Wanted) -> Iterator[Summary]:
    """What has come together so far, after each batch; the caller stops when it has enough."""
    starts = range(first, first + runs, BATCH)
    one = partial(batch, last=first + runs, wanted=wanted)
    total = Summary()
    for part in map(one, starts) if jobs == 1 else _together(one, starts, jobs):
        total.take(part)
        yield total


def _together(one: Callable[[int], Summary], starts: Iterable[int], jobs: int) -> Iterator[Summary]:
    """The batches in their order. Some are given out ahead, so that nobody waits for work, and not all, so that memory stays as it is."""
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("fork"), _begin)
    given: deque[Future[Summary]] = deque()
    try:
        for start in starts:
            given.append(pool.submit(one, start))
            if len(given) > AHEAD * jobs:
                yield given.popleft().result()
        while given:
            yield given.popleft().result()
    except BrokenProcessPool:
        raise UserError("a process that ran worlds was killed", "see whether the memory was full; fewer at once: --jobs 1") from None
    finally:
        pool.shutdown(cancel_futures=True)


def batch(start: int, last: int, wanted: Wanted) -> Summary:
    """Seeds from `start`, before `last`. A world is a knot of objects, so the collector is run between worlds only."""
    summary = Summary()
    collects = gc.isenabled()
    gc.disable()
    try:
        for seed in range(start, min(start + BATCH, last)):
            summary.add(_run(draw(seed, wanted)))
    finally:
        if collects:
            gc.enable()
        gc.collect()
    return summary


def _run(schedule: Schedule) -> Outcome:
    """A world that can not even be made has failed, and the others go on."""
    try:
        return run(schedule)
    except Exception as error:
        return Outcome(schedule, Failure(Invariant.PROGRAM, 0.0, 0, f"{type(error).__name__}: {error}"), Measures(), (), 0)


def _begin() -> None:
    """In each process: Ctrl-C is for the one that gave the work, and what is there now stays, so the collector need not look at it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
