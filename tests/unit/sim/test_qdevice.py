"""The daemon's model against what the stock one was seen to do; its arbitrator decides as corosync-qnetd."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thirdvote.domain import Algorithm, Handover, RingId, Vote
from thirdvote.sim.corosync import Corosync
from thirdvote.sim.faults import apply, run
from thirdvote.sim.qdevice import Process
from thirdvote.sim.schedule import (
    HangDaemon,
    KillCorosync,
    KillDaemon,
    PowerOn,
    Schedule,
    Setup,
    Split,
    StopDaemon,
)
from thirdvote.sim.world import World

STOCK = Setup(handover=Handover.STOCK, late_answers=False)
ISOLATED = Split(at=9.0, sides=((2,), (0, 1)))
APART = Split(at=9.0, sides=((1,), (2,)))


def world(setup: Setup = STOCK, seed: int = 5) -> World:
    """With all votes."""
    made = World(Schedule(seed, setup, (), 1_000.0), tracing=True)
    made.engine.run(4.0)
    assert made.whole
    made.applied.append(APART)  # so that losing quorum is no surprise
    return made


def lines(made: World, node: int) -> list[str]:
    return [line.split(maxsplit=3)[3].strip() for line in made.trace if f"node {node} " in line]


def test_a_daemon_casts_what_it_is_told() -> None:
    made = world()
    assert made.nodes[1].daemon.vote is Vote.ACK
    assert made.nodes[1].corosync.casting


def test_it_gives_up_two_heartbeats_after_the_last_answered_echo() -> None:
    """Its echoes go out at 8.2, 16.2 and 24.2 s: the first is answered."""
    outcome = run(Schedule(5, STOCK, (ISOLATED,), 40.0))
    (gone,) = outcome.lost_quorum(2)
    assert 24.0 < gone < 24.4


def test_one_that_gave_up_before_its_ring_changed_is_frozen_until_it_polls() -> None:
    short = replace(STOCK, timeout_ms=4_000)
    for seed in range(12):
        outcome = run(Schedule(seed, short, (Split(at=2.0, sides=((2,), (0,))), Split(at=20.0, sides=((2,), (0, 1)))), 40.0))
        (gone,) = outcome.lost_quorum(2)
        ring_changed = 20.0 + 2.1
        assert ring_changed - 0.2 < gone < ring_changed + 0.9 * 2.0 + 2.0 + 0.4


def test_one_that_hangs_loses_its_vote_after_the_timeout() -> None:
    made = world()
    made.nodes[1].daemon.stop()
    made.engine.run(4.0 + 10.1)
    assert not made.nodes[1].corosync.casting
    made.nodes[1].daemon.go_on()
    assert made.nodes[1].daemon.process is Process.RUNS or made.nodes[1].daemon.process is Process.SLEEPS


def test_a_killed_one_is_frozen_in_a_changed_ring_until_the_sync_timeout() -> None:
    outcome = run(Schedule(5, STOCK, (KillDaemon(at=8.5, node=1), APART), 60.0))
    (gone,) = outcome.lost_quorum(1)
    assert 9.0 + 2.0 + 30.0 < gone < 9.0 + 2.3 + 30.5


def test_a_killed_one_that_is_started_again_says_no_when_it_can_not_connect() -> None:
    """Its connect timer is one heartbeat; measured: restart + H."""
    faults = (KillDaemon(at=9.0, node=2, restart_s=0.5), replace(ISOLATED, at=9.0))
    (gone,) = run(Schedule(5, STOCK, faults, 60.0)).lost_quorum(2)
    assert 9.5 + 8.0 < gone < 9.5 + 8.3


def test_one_that_ends_in_order_says_no_and_is_not_waited_for() -> None:
    made = world()
    apply(made, StopDaemon(at=4.0, node=2))
    made.engine.run(4.1)
    assert not made.nodes[2].corosync.registered
    assert "ends in order" in lines(made, 2)
    assert any("goodbye" in line for line in made.trace)
    made.engine.run(60.0)
    assert made.nodes[2].daemon.process is Process.OFF, "systemd does not start it again"


def test_one_that_loses_its_corosync_ends_and_comes_back_with_it() -> None:
    made = world()
    apply(made, KillCorosync(at=4.0, node=2))
    made.engine.run(5.0)
    assert made.nodes[2].daemon.process is Process.OFF
    apply(made, PowerOn(at=5.0, host=2))
    made.engine.run(30.0)
    assert made.whole


@pytest.mark.parametrize(
    "setup", [replace(STOCK, algorithm=Algorithm.TWO_NODE_LMS), replace(STOCK, algorithm=Algorithm.LMS, wait_for_all=True)]
)
def test_some_go_on_casting_without_an_arbitrator(setup: Setup) -> None:
    made = world(setup)
    made.network.split(((1, 2), (0,)))
    made.engine.run(60.0)
    assert made.nodes[1].corosync.casting
    made.network.split(((1,), (2,), (0,)))
    made.engine.run(150.0)
    assert [host.corosync.report.quorate for host in made.nodes.values()] == [False, False], "a change of the ring ends it"


def test_while_heuristics_run_a_vote_is_answered_and_not_cast(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world(replace(STOCK, heuristics_s=0.3))
    daemon = made.nodes[1].daemon
    polls: list[bool] = []

    def poll(corosync: Corosync, ring_id: RingId, cast: bool) -> bool:
        polls.append(cast)
        return True

    monkeypatch.setattr(Corosync, "poll", poll)
    daemon._paused = True
    daemon._update(Vote.NACK)
    assert daemon.vote is Vote.NACK
    assert polls == []
    daemon._paused = False
    daemon._tick()
    assert polls == [False]


def test_what_comes_while_it_hangs_waits() -> None:
    made = world()
    apply(made, HangDaemon(at=4.0, node=1, seconds=6.0))
    apply(made, APART)
    made.engine.run(9.9)
    assert made.nodes[1].daemon.vote is Vote.ACK
    assert made.nodes[1].daemon.hung_at == 9.9
    made.engine.run(12.0)
    assert made.nodes[1].daemon.connected_in(made.nodes[1].corosync.ring.ring_id)
    assert made.nodes[1].corosync.report.members == {1}


def test_it_is_known_whether_the_arbitrator_heard_of_a_death() -> None:
    made = world()
    made.nodes[1].daemon.kill()
    made.engine.run(4.5)
    assert not made.nodes[1].daemon.died_unseen
    made.network.split(((2,), (0,)))
    made.nodes[2].daemon.kill()
    made.engine.run(5.0)
    assert made.nodes[2].daemon.died_unseen
