from __future__ import annotations

from random import Random

import pytest

from thirdvote.sim.corosync import Corosync
from thirdvote.sim.engine import Clock, Engine
from thirdvote.sim.network import Network
from thirdvote.sim.schedule import Setup
from thirdvote.sim.totem import Totem


class Rings:
    """Nodes without any device: who is in which ring, and since when."""

    def __init__(self, nodes: int = 2, token_s: float = 1.0) -> None:
        self.engine = Engine()
        self.network = Network(self.engine, Random(1), 0.001)
        clock = Clock(self.engine, 1.0, 0.0)
        numbers = range(1, nodes + 1)
        self.nodes = {number: Corosync(number, Setup(nodes=nodes), clock, lambda node: None) for number in numbers}
        self.totem = Totem(self.engine, Random(2), self.network, self.nodes, token_s)
        self.network.powered.update(numbers)
        for corosync in self.nodes.values():
            corosync.start()
        self.totem.start()
        self.network.changed = self.totem.look
        self.engine.run(1.0)

    def members(self, until: float) -> list[set[int]]:
        self.engine.run(until)
        return [set(corosync.ring.members) for corosync in self.nodes.values()]

    def since(self, node: int) -> float:
        return self.nodes[node].ring.since


@pytest.fixture
def rings() -> Rings:
    return Rings()


def test_a_loss_is_seen_after_two_tokens_on_both_sides_at_about_the_same_time(rings: Rings) -> None:
    rings.network.split(((1,), (2,)))
    assert rings.members(3.0) == [{1, 2}, {1, 2}]
    assert rings.members(3.3) == [{1}, {2}]
    assert 3.0 < rings.since(1) < 3.3
    assert abs(rings.since(1) - rings.since(2)) < 0.05
    assert rings.nodes[1].ring.ring_id != rings.nodes[2].ring.ring_id


def test_the_side_that_is_not_heard_sees_it_a_token_later(rings: Rings) -> None:
    rings.network.lose(1, 2)
    rings.engine.run(6.0)
    assert 0.9 < rings.since(1) - rings.since(2) < 1.1


def test_a_long_token_takes_longer() -> None:
    slow = Rings(token_s=3.0)
    slow.network.split(((1,), (2,)))
    assert slow.members(7.0) == [{1, 2}, {1, 2}]
    assert slow.members(8.0) == [{1}, {2}]


def test_they_come_together_again_with_a_higher_sequence(rings: Rings) -> None:
    rings.network.split(((1,), (2,)))
    rings.engine.run(6.0)
    before = max(corosync.sequence for corosync in rings.nodes.values())
    rings.network.heal()
    assert rings.members(8.0) == [{1, 2}, {1, 2}]
    assert rings.nodes[1].ring is rings.nodes[2].ring
    assert rings.nodes[1].ring.ring_id.sequence == before + 4


def test_a_short_break_changes_nothing_and_a_longer_one_the_ring_only(rings: Rings) -> None:
    first = rings.nodes[1].ring
    rings.network.split(((1,), (2,)))
    rings.engine.run(1.5)
    rings.network.heal()
    rings.engine.run(5.0)
    assert rings.nodes[1].ring is first
    rings.network.split(((1,), (2,)))
    rings.engine.run(6.5)
    rings.network.heal()
    assert rings.members(9.0) == [{1, 2}, {1, 2}]
    assert rings.nodes[1].ring is not first


def test_a_node_that_leaves_in_order_is_missed_at_once(rings: Rings) -> None:
    rings.totem.left_in_order(2)
    rings.nodes[2].stop()
    rings.network.switch_off(2)
    rings.engine.run(3.0)
    assert rings.nodes[1].ring.members == {1}
    assert rings.since(1) < 1.2


def test_beside_a_silent_node_a_leave_takes_the_consensus() -> None:
    rings = Rings(nodes=3)
    rings.network.split(((1,), (2, 3)))
    rings.engine.run(1.5)
    rings.totem.left_in_order(2)
    rings.nodes[2].stop()
    rings.network.switch_off(2)
    rings.engine.run(9.0)
    assert rings.nodes[3].ring.members == {3}
    assert 2.6 < rings.since(3) < 2.8


def test_a_partition_keeps_together_and_who_hears_not_everybody_is_left_out() -> None:
    rings = Rings(nodes=4)
    rings.network.split(((1, 3), (2, 4)))
    assert rings.members(6.0) == [{1, 3}, {2, 4}, {1, 3}, {2, 4}]
    odd = Rings(nodes=3)
    odd.network.lose(2, 3)
    assert odd.members(9.0) == [{1, 2}, {1, 2}, {3}]


def test_a_ring_stands_still_while_a_member_is_not_heard(rings: Rings) -> None:
    rings.network.split(((1,), (2,)))
    assert rings.nodes[1].ring.stalled
    rings.network.heal()
    assert not rings.nodes[1].ring.stalled
