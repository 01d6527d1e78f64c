"""Three nodes and `lms`: the device's two votes keep the last man standing."""

from __future__ import annotations

import time

import pytest

from tests.e2e.lab.cluster import StockCluster
from tests.e2e.lab.settings import Settings
from tests.e2e.lab.watch import OVERLAP_RESOLUTION_SECONDS

pytestmark = pytest.mark.e2e

SETTINGS = Settings(algorithm="lms")
NODES = 3

SECONDS_MAX = 30
"""Corosync with three nodes, then one and a half heartbeats of 8 s until a silent node counts as lost, or two until it gives up."""


def test_all_five_votes(cluster: StockCluster) -> None:
    assert [(state.total_votes, state.expected_votes) for state in cluster.watch.now.values()] == [(5, 5)] * NODES
    assert "Algorithm:\t\tLMS\n" in cluster.arbitrator.qnetd_tool("-l")


def test_an_isolated_node_loses_and_two_go_on(cluster: StockCluster) -> None:
    start = time.monotonic()
    cluster.switch.pull("n3")
    cluster.watch.wait(
        lambda now: all(now[node].quorate and now[node].members == {1, 2} for node in (1, 2)) and not now[3].quorate,
        SECONDS_MAX,
        "two nodes go on, the third knows that it is alone",
    )
    cluster.watch.wait(lambda now: now[1].total_votes == now[2].total_votes == 4, SECONDS_MAX, "two nodes and the device's two votes")
    cluster.switch.heal()
    cluster.wait_all_votes()
    assert [cluster.watch.lost_quorum(node, start) for node in (1, 2)] == [[], []]


def test_a_split_leaves_the_larger_side_with_quorum(cluster: StockCluster) -> None:
    start = time.monotonic()
    cluster.switch.partition(["n1"], ["n2", "n3"])
    cluster.watch.wait(
        lambda now: all(now[node].quorate and now[node].members == {2, 3} for node in (2, 3)) and not now[1].quorate,
        SECONDS_MAX,
        "the larger side has quorum",
    )
    assert cluster.watch.overlap(start) <= OVERLAP_RESOLUTION_SECONDS
    cluster.switch.heal()
    cluster.wait_all_votes()


def test_the_last_man_stands(cluster: StockCluster) -> None:
    start = time.monotonic()
    cluster.cut_power(cluster.node(3))
    cluster.watch.wait(
        lambda now: all(now[node].quorate and now[node].members == {1, 2} and now[node].total_votes == 4 for node in (1, 2)),
        SECONDS_MAX,
        "two nodes go on",
    )
    cluster.cut_power(cluster.node(1))
    cluster.watch.wait(lambda now: now[2].alone_quorate and now[2].total_votes == 3, SECONDS_MAX, "node 2 goes on alone")
    assert cluster.watch.lost_quorum(2, start) == []
    cluster.restore()
