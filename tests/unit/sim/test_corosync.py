from __future__ import annotations

from dataclasses import replace

import pytest

from thirdvote.domain import NodeId, RingId
from thirdvote.sim.corosync import NOTHING, Corosync, Report, Ring, quorum_of
from thirdvote.sim.engine import Callback, Clock, Engine
from thirdvote.sim.schedule import Setup

SETUP = Setup()
BOTH = frozenset((1, 2))
ALONE = frozenset((1,))


def at_once(ring: Ring, callback: Callback) -> None:
    callback()


class Device:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def ring_changed(self) -> None:
        self.calls.append("ring")

    def quorum_changed(self) -> None:
        self.calls.append("quorum")

    def corosync_lost(self) -> None:
        self.calls.append("lost")


class Pair:
    """Two corosyncs in one ring; the first has a device that casts the vote."""

    def __init__(self, setup: Setup = SETUP) -> None:
        self.engine = Engine()
        clock = Clock(self.engine, 1.0, 0.0)
        self.reports: list[tuple[float, int, Report]] = []
        self.nodes = {number: Corosync(number, setup, clock, self.reported) for number in (1, 2)}
        for corosync in self.nodes.values():
            corosync.start()
        self.device = Device()
        self.ring(1, 4, 1, 2)
        self.first.register(self.device)
        assert self.first.poll(RingId(NodeId(1), 4), cast=True)

    @property
    def first(self) -> Corosync:
        return self.nodes[1]

    def reported(self, node: int) -> None:
        self.reports.append((self.engine.now, node, self.nodes[node].report))

    def ring(self, lowest: int, sequence: int, *members: int) -> RingId:
        ring = Ring(RingId(NodeId(lowest), sequence), frozenset(members), set(members), at_once, self.engine.now)
        for member in members:
            self.nodes[member].install(ring)
        return ring.ring_id


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_quorum_needs_more_than_half() -> None:
    assert quorum_of(SETUP) == 2
    assert quorum_of(Setup(nodes=4)) == 3


def test_together_they_have_quorum_without_the_device(pair: Pair) -> None:
    assert [corosync.report for corosync in pair.nodes.values()] == [Report(True, BOTH)] * 2


def test_a_changed_ring_is_waited_in_until_it_is_polled_for(pair: Pair) -> None:
    ring_id = pair.ring(1, 8, 1)
    pair.engine.run(10.0)
    assert pair.first.report == Report(True, BOTH), "as before the change"
    assert not pair.first.poll(RingId(NodeId(1), 4), cast=False), "the old ring's poll is refused"
    assert pair.first.report == Report(True, BOTH)
    assert pair.first.poll(ring_id, cast=False)
    assert pair.first.report == Report(False, ALONE)
    assert pair.first.poll(ring_id, cast=True)
    assert pair.first.report == Report(True, ALONE)


def test_nobody_polls_for_the_changed_ring(pair: Pair) -> None:
    pair.ring(1, 8, 1)
    pair.engine.run(29.99)
    assert pair.first.report == Report(True, BOTH)
    pair.engine.run(30.01)
    assert pair.first.report == Report(False, ALONE)


def test_polls_that_stop_take_the_vote_away_after_the_timeout(pair: Pair) -> None:
    ring_id = pair.ring(1, 8, 1)
    pair.first.poll(ring_id, cast=True)
    pair.engine.run(9.9)
    assert pair.first.report.quorate
    pair.engine.run(10.1)
    assert not pair.first.report.quorate
    assert not pair.first.alive


def test_a_device_that_is_not_alive_is_not_waited_for(pair: Pair) -> None:
    pair.engine.run(11.0)
    pair.ring(1, 8, 1)
    assert pair.first.report == Report(False, ALONE)


def test_unregistering_ends_the_wait(pair: Pair) -> None:
    pair.ring(1, 8, 1)
    pair.first.unregister()
    assert pair.first.report == Report(False, ALONE)


def test_a_ring_is_decided_when_its_last_member_is_ready(pair: Pair) -> None:
    pair.ring(1, 8, 1)
    ring_id = pair.ring(1, 12, 1, 2)
    assert pair.nodes[2].report == Report(True, BOTH)
    pair.reports.clear()
    pair.first.poll(ring_id, cast=True)
    assert pair.first.report == Report(True, BOTH)


def test_a_ring_that_stands_still_tells_nobody_anything(pair: Pair) -> None:
    ring_id = pair.ring(1, 8, 1)
    pair.first.ring.stalled = True
    pair.first.poll(ring_id, cast=False)
    assert pair.first.report == Report(True, BOTH)
    pair.first.ring.stalled = False
    pair.first.ring.settle()
    assert pair.first.report == Report(False, ALONE)


def test_a_new_process_takes_over_what_was_polled(pair: Pair) -> None:
    pair.first.device = None
    pair.first.register(Device())
    assert pair.first.alive
    assert pair.first.casting


def test_the_device_hears_of_rings_quorum_and_the_end(pair: Pair) -> None:
    ring_id = pair.ring(1, 8, 1)
    pair.first.poll(ring_id, cast=True)
    pair.first.stop()
    assert pair.device.calls == ["ring", "quorum", "lost"]
    assert pair.first.report == NOTHING


def test_wait_for_all_waits_for_all() -> None:
    pair = Pair(replace(SETUP, wait_for_all=True))
    pair.first.stop()
    pair.first.start()
    ring_id = pair.ring(1, 8, 1)
    pair.first.register(Device())
    pair.first.poll(ring_id, cast=True)
    assert not pair.first.report.quorate
    pair.ring(1, 12, 1, 2)
    pair.first.poll(RingId(NodeId(1), 12), cast=True)
    assert pair.first.report.quorate


def test_a_restarted_corosync_is_alone_in_a_ring_of_its_own(pair: Pair) -> None:
    pair.first.stop()
    pair.first.start()
    assert pair.first.ring.members == ALONE
    assert pair.first.ring.ring_id.sequence > 4
    assert [node.node_id for node in pair.first.quorum_list()] == [2, 1]
