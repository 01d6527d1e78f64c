from __future__ import annotations

import pytest

from thirdvote.domain import Handover
from thirdvote.sim.corosync import Report
from thirdvote.sim.faults import apply
from thirdvote.sim.invariants import Invariant
from thirdvote.sim.schedule import HangDaemon, KillArbitrator, OneWayLoss, Schedule, Setup, Split
from thirdvote.sim.world import World

FIRST = Report(True, frozenset((1,)))
SECOND = Report(True, frozenset((2,)))


SETUP = Setup()


def world(setup: Setup = SETUP, *, tracing: bool = False) -> World:
    made = World(Schedule(5, setup, (), 1_000.0), tracing)
    made.engine.run(4.0)
    assert made.whole
    return made


def both_alone(made: World) -> None:
    for node, report in ((1, FIRST), (2, SECOND)):
        made.nodes[node].corosync.report = report
        made._reported(node)


def test_all_votes_come_at_the_start() -> None:
    made = world(tracing=True)
    assert made.failure is None
    assert any("reports quorum with [1, 2]" in line for line in made.trace)
    assert world().trace == []


def test_overlap_that_lasts_is_a_failure_and_the_world_stops() -> None:
    made = world()
    both_alone(made)
    made.engine.run(10.0)
    assert made.failure is not None
    assert made.failure.invariant is Invariant.OVERLAP
    assert made.engine.now == pytest.approx(4.1, abs=0.01)


def test_overlap_that_is_over_at_once_is_none() -> None:
    made = world()
    made.applied.append(Split(at=4.0, sides=((1,), (2,))))
    both_alone(made)
    made.engine.run(4.05)
    made.nodes[2].corosync.report = Report(False, frozenset((2,)))
    made._reported(2)
    made.engine.run(6.0)
    assert made.failure is None
    assert made.measures.overlap_s == pytest.approx(0.05)


def test_under_another_policy_overlap_is_measured_only() -> None:
    made = world(Setup(handover=Handover.STOCK))
    both_alone(made)
    made.engine.run(4.5)
    made.look_at_overlap()
    assert made.failure is None
    assert made.measures.overlap_s == pytest.approx(0.5)


@pytest.mark.parametrize(("sides", "excused"), [(((1, 0), (2,)), True), (((1,), (2,)), False)], ids=["unseen", "seen"])
def test_overlap_of_a_daemon_that_hangs_unseen_in_a_changed_ring_is_excused(sides: tuple[tuple[int, ...], ...], excused: bool) -> None:
    made = world()
    apply(made, HangDaemon(at=4.0, node=2, seconds=60.0))
    apply(made, Split(at=4.0, sides=sides))
    made.note_who_hears()
    made.engine.run(7.0)
    assert not made.nodes[2].corosync.ring.settled
    both_alone(made)
    made.engine.run(8.0)
    made.look_at_overlap()
    assert (made.failure is None) is excused
    assert (made.measures.excused_overlap_s > 0.9) is excused


@pytest.mark.parametrize(("tells", "fails"), [(False, False), (True, True)])
def test_one_way_loss_is_excused_where_the_token_is_not_told(tells: bool, fails: bool) -> None:
    made = world(Setup(tells_token=tells))
    made.applied.append(OneWayLoss(at=4.0, source=1, target=2))
    both_alone(made)
    made.engine.run(6.0)
    assert (made.failure is not None) is fails


def test_quorum_that_is_lost_by_the_arbitrator_alone_is_a_failure() -> None:
    made = world()
    made.applied.append(KillArbitrator(at=4.0))
    made.nodes[1].corosync.report = Report(False, frozenset((1, 2)))
    made._reported(1)
    assert made.failure is not None
    assert made.failure.invariant is Invariant.HEALTHY


def test_the_first_failure_counts() -> None:
    made = world()
    made.fail(Invariant.WAIT, "first")
    made.fail(Invariant.LIVENESS, "second")
    assert made.failure is not None
    assert made.failure.text == "first"
