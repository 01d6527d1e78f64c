from __future__ import annotations

import pytest

from thirdvote.domain import Handover
from thirdvote.sim.draw import Wanted, draw
from thirdvote.sim.faults import run
from thirdvote.sim.schedule import (
    Delay,
    DiskFails,
    Fault,
    HangArbitrator,
    HangDaemon,
    Heal,
    JumpClock,
    KillArbitrator,
    KillCorosync,
    KillDaemon,
    OneWayLoss,
    PowerCut,
    PowerOn,
    Schedule,
    Setup,
    Shutdown,
    SlowArbitrator,
    Split,
    StopDaemon,
)

EVERY_KIND: tuple[Fault, ...] = (
    Split(3.0, ((1,), (0, 2))),
    OneWayLoss(3.0, 1, 2),
    Delay(3.0, 0, 2, 0.2),
    Heal(3.0),
    PowerCut(3.0, 0),
    PowerCut(3.0, 2),
    PowerOn(3.0, 1),
    Shutdown(3.0, 2),
    KillDaemon(3.0, 1, 0.5),
    StopDaemon(3.0, 1),
    HangDaemon(3.0, 2, 30.0),
    KillCorosync(3.0, 1),
    KillArbitrator(3.0, None),
    KillArbitrator(3.0, 1.0, disk_lost=True),
    HangArbitrator(3.0, 5.0),
    SlowArbitrator(3.0, 5.0, 0.1),
    DiskFails(3.0, 2.0),
    JumpClock(3.0, 1e5),
)


@pytest.mark.parametrize("fault", EVERY_KIND, ids=lambda fault: type(fault).__name__)
def test_after_any_fault_all_votes_come_back(fault: Fault) -> None:
    outcome = run(Schedule(4, Setup(handover=Handover.STOCK), (fault,), 8.0))
    assert outcome.failure is None
    assert outcome.measures.whole_again_s is not None


def test_the_same_schedule_is_the_same_world() -> None:
    for seed in range(5):
        schedule = draw(seed, Wanted(Handover.STOCK))
        first, second = run(schedule), run(schedule, tracing=True)
        assert (first.steps, first.changes, first.measures) == (second.steps, second.changes, second.measures)
        assert second.trace
        assert not first.trace


def test_an_outcome_tells_when_nodes_lost_quorum_and_went_on() -> None:
    outcome = run(Schedule(4, Setup(handover=Handover.STOCK), (PowerCut(9.0, 2),), 30.0))
    assert outcome.lost_quorum(2) == [9.0]
    assert outcome.lost_quorum(2, after=9.0) == []
    assert outcome.lost_quorum(1) == []
    alone = outcome.went_on_without(1, lost=2)
    assert alone is not None
    assert 11.0 < alone < 22.0
    assert outcome.went_on_without(1, lost=2, after=30.0) is None
