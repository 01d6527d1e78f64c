"""A node of two loses its power: the other one goes on alone, with the third vote."""

from __future__ import annotations

import time

import pytest

from tests.e2e.lab.cluster import StockCluster
from tests.e2e.lab.settings import Settings

pytestmark = pytest.mark.e2e

SETTINGS = Settings()
NODES = 2

LONE_QUORUM_SECONDS_MAX = 20
"""The arbitrator counts a silent node as lost after one and a half heartbeats of 8 s; corosync needs about 2 s before."""


@pytest.mark.parametrize(("dead", "survivor"), [(1, 2), (2, 1)])
def test_the_survivor_keeps_quorum(cluster: StockCluster, dead: int, survivor: int) -> None:
    start = time.monotonic()
    cluster.cut_power(cluster.node(dead))
    cluster.watch.wait(lambda now: now[survivor].alone_quorate, LONE_QUORUM_SECONDS_MAX, f"node {survivor} goes on alone")
    assert cluster.watch.lost_quorum(survivor, start) == []
    cluster.watch.wait(lambda now: now[survivor].total_votes == 2, 1, "its own vote and the device's")
    cluster.start_node(cluster.node(dead))
    cluster.wait_all_votes()
    assert cluster.watch.lost_quorum(survivor, start) == []


def test_one_after_the_other_dies_and_comes_back(cluster: StockCluster) -> None:
    """The last node is alone, then off; it comes back alone and does not wait for the other one."""
    cluster.cut_power(cluster.node(1))
    cluster.watch.wait(lambda now: now[2].alone_quorate, LONE_QUORUM_SECONDS_MAX, "node 2 goes on alone")
    cluster.cut_power(cluster.node(2))
    cluster.start_node(cluster.node(2))
    cluster.watch.wait(lambda now: now[2].alone_quorate, LONE_QUORUM_SECONDS_MAX, "node 2 is back and has the vote again")
    cluster.start_node(cluster.node(1))
    cluster.wait_all_votes()
