from __future__ import annotations

from dataclasses import replace

from thirdvote.sim.faults import Outcome
from thirdvote.sim.invariants import Failure, Invariant, Measures
from thirdvote.sim.schedule import Fault, HangDaemon, Heal, KillDaemon, Schedule, Setup, Split
from thirdvote.sim.shrink import RUNS_MAX, shrink

GUILTY = KillDaemon(at=5.123, node=1)
BIG = Schedule(
    9, Setup(nodes=3, latency_s=0.03, timeout_ms=1_250), (Split(2.0, ((1,), (2,))), GUILTY, Heal(6.0), HangDaemon(30.0, 1, 1.0)), 40.0
)


def outcome_of(schedule: Schedule, invariant: Invariant | None = Invariant.OVERLAP) -> Outcome:
    failure = None if invariant is None else Failure(invariant, 20.0, 100, "")
    return Outcome(schedule, failure, Measures(), (), 100)


class Runs:
    """Fails as long as the daemon is killed and the timeout is short."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, schedule: Schedule) -> Outcome:
        self.count += 1
        killed = any(isinstance(fault, KillDaemon) for fault in schedule.faults)
        if not killed:
            return outcome_of(schedule, Invariant.LIVENESS)
        return outcome_of(schedule, Invariant.OVERLAP if schedule.setup.timeout_ms == 1_250 else None)


def test_what_is_not_needed_goes_and_the_invariant_stays() -> None:
    runs = Runs()
    small = shrink(outcome_of(BIG), runs)
    assert small.failure is not None
    assert small.failure.invariant is Invariant.OVERLAP
    assert small.schedule.faults == (replace(GUILTY, at=5.1),)
    assert small.schedule.setup == Setup(nodes=3, timeout_ms=1_250)
    assert runs.count < RUNS_MAX


def test_what_can_not_be_made_smaller_is_given_back() -> None:
    assert shrink(outcome_of(BIG), lambda schedule: outcome_of(schedule, None)).schedule == BIG


def test_it_ends() -> None:
    faults: tuple[Fault, ...] = tuple(Heal(at=number + 0.123) for number in range(40))
    count = 0

    def flips(schedule: Schedule) -> Outcome:
        nonlocal count
        count += 1
        return outcome_of(schedule, Invariant.OVERLAP if count % 30 == 0 else None)

    shrink(outcome_of(replace(BIG, faults=faults)), flips)
    assert count <= RUNS_MAX
