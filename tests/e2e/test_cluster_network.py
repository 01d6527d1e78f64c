"""Cut cables between two nodes and their arbitrator."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from tests.e2e.lab.cluster import StockCluster
from tests.e2e.lab.settings import Settings
from tests.e2e.lab.watch import OVERLAP_RESOLUTION_SECONDS, State

pytestmark = pytest.mark.e2e

SETTINGS = Settings()
NODES = 2

HAND_OVER_SECONDS_MAX = 25
"""Corosync sees the loss in about 2 s; the arbitrator counts a silent node as lost after 12 s; a silent one knows within 16 s."""

STAYS_SECONDS = 6
"""Longer than the 5 s between two polls of a device."""


def one_alone(now: Mapping[int, State]) -> bool:
    """Exactly one node has quorum, in a ring of its own."""
    return [state.alone_quorate for state in now.values() if state.quorate] == [True]


def test_a_split_leaves_exactly_one_side_with_quorum(cluster: StockCluster) -> None:
    start = time.monotonic()
    cluster.switch.partition(["n1"], ["n2"])
    cluster.watch.wait(one_alone, HAND_OVER_SECONDS_MAX, "one side has quorum")
    cluster.watch.stays(one_alone, STAYS_SECONDS, "one side has quorum")
    assert cluster.watch.overlap(start) <= OVERLAP_RESOLUTION_SECONDS
    assert cluster.watch.now[1].quorate, "the tie-breaker is the lowest node id"
    assert cluster.watch.now[2].total_votes == 1

    cluster.switch.heal()
    cluster.wait_all_votes()
    assert cluster.watch.lost_quorum(1, start) == []
    assert cluster.watch.overlap(start) <= OVERLAP_RESOLUTION_SECONDS


def test_the_winner_of_a_split_dies(cluster: StockCluster) -> None:
    cluster.switch.partition(["n1"], ["n2"])
    cluster.watch.wait(one_alone, HAND_OVER_SECONDS_MAX, "one side has quorum")
    assert cluster.watch.now[1].quorate
    dead = time.monotonic()
    cluster.cut_power(cluster.node(1))
    cluster.watch.wait(lambda now: now[2].alone_quorate, HAND_OVER_SECONDS_MAX, "the other side has taken over")
    assert cluster.watch.overlap(dead) == 0.0
    cluster.restore()


@pytest.mark.parametrize(("isolated", "other", "how"), [(1, 2, "cable pulled"), (2, 1, "packets dropped")])
def test_an_isolated_node_ends_without_quorum(cluster: StockCluster, isolated: int, other: int, how: str) -> None:
    start = time.monotonic()
    if how == "cable pulled":
        cluster.switch.pull(f"n{isolated}")
    else:
        cluster.switch.partition([f"n{isolated}"], [f"n{other}", "arbitrator"])
    cluster.watch.wait(
        lambda now: now[other].alone_quorate and not now[isolated].quorate, HAND_OVER_SECONDS_MAX, f"node {other} goes on alone"
    )
    cluster.watch.stays(lambda now: now[other].quorate and not now[isolated].quorate, STAYS_SECONDS, f"only node {other} has quorum")
    cluster.switch.heal()
    cluster.wait_all_votes()
    assert cluster.watch.lost_quorum(other, start) == []


@pytest.mark.parametrize("silent", [1, 2])
def test_a_node_without_its_arbitrator_stays_in_the_cluster(cluster: StockCluster, silent: int) -> None:
    """The nodes hear each other: nobody needs the third vote."""
    start = time.monotonic()
    cluster.switch.partition([f"n{silent}"], ["arbitrator"])
    cluster.watch.wait(lambda now: not now[silent].cast, HAND_OVER_SECONDS_MAX, f"node {silent} has lost the device's vote")
    assert cluster.watch.now[3 - silent].cast
    cluster.switch.heal()
    cluster.wait_all_votes()
    assert [cluster.watch.lost_quorum(node.number, start) for node in cluster.nodes] == [[], []]
