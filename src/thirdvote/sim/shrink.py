"""A failing schedule made as small as it gets while it still breaks the same invariant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace

from thirdvote.sim.faults import Outcome, run
from thirdvote.sim.schedule import Schedule, Setup

RUNS_MAX = 400
PLAIN = Setup()

Run = Callable[[Schedule], Outcome]


def shrink(outcome: Outcome, run: Run = run) -> Outcome:
    """Of the smallest schedule that was found; `outcome` has a failure."""
    assert outcome.failure is not None
    invariant, runs = outcome.failure.invariant, 0
    progress = True
    while progress and runs < RUNS_MAX:
        progress = False
        for smaller in _smaller(outcome.schedule, outcome.failure.at if outcome.failure else 0.0):
            runs += 1
            tried = run(smaller)
            if tried.failure is not None and tried.failure.invariant is invariant:
                outcome, progress = tried, True
                break
            if runs >= RUNS_MAX:
                break
    return outcome


def _smaller(schedule: Schedule, failed_at: float) -> Iterator[Schedule]:
    """Without one fault, with a plainer cluster, with rounder times."""
    late = tuple(fault for fault in schedule.faults if fault.at <= failed_at)
    if len(late) < len(schedule.faults):
        yield replace(schedule, faults=late)
    for number in range(len(schedule.faults)):
        yield replace(schedule, faults=schedule.faults[:number] + schedule.faults[number + 1 :])
    for item in fields(Setup):
        plain = getattr(PLAIN, item.name)
        if item.name not in ("handover", "nodes", "algorithm") and getattr(schedule.setup, item.name) != plain:
            yield replace(schedule, setup=replace(schedule.setup, **{item.name: plain}))
    for number, fault in enumerate(schedule.faults):
        if round(fault.at, 1) != fault.at:
            rounder = replace(fault, at=round(fault.at, 1))
            yield replace(schedule, faults=(*schedule.faults[:number], rounder, *schedule.faults[number + 1 :]))
