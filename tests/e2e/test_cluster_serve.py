"""`thirdvote serve` for a real cluster, with the certificates made by hand as docs/enrolment.md says."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.lab.arbitrator import OwnNames
from tests.e2e.lab.cluster import Cluster, running_cluster
from tests.e2e.lab.settings import Settings

pytestmark = pytest.mark.e2e

NAME = "home lab"  # a blank in it: the stock device then asks for a server of that name in TLS

OwnCluster = Cluster[OwnNames]

LONE_QUORUM_SECONDS_MAX = 20
VOTE_GONE_SECONDS_MAX = 15


@pytest.fixture(scope="module")
def shared_own_cluster(real_nodes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnCluster]:
    with running_cluster(Settings(cluster_name=NAME), 2, OwnNames, tmp_path_factory.mktemp("serve")) as cluster:
        yield cluster


@pytest.fixture
def own_cluster(shared_own_cluster: OwnCluster) -> OwnCluster:
    shared_own_cluster.restore()
    return shared_own_cluster


def test_the_arbitrator_shows_both_nodes_and_why_they_have_the_vote(own_cluster: OwnCluster) -> None:
    shown = shown_cluster(own_cluster)
    assert (shown["name"], shown["algorithm"], shown["missing"]) == (NAME, "ffsplit", [])
    for number, node in enumerate(shown["nodes"], start=1):
        assert (node["node"], node["has_vote"], node["tls"], node["certificate_verified"]) == (number, True, True, True)
    assert "node 1: vote: 2 of 2 configured nodes are together here" in own_cluster.arbitrator.thirdvote("clusters")
    assert "2 nodes in 1 cluster" in own_cluster.arbitrator.thirdvote("status")


def test_the_arbitrator_shows_who_is_missing(own_cluster: OwnCluster) -> None:
    own_cluster.cut_power(own_cluster.node(2))
    own_cluster.watch.wait(lambda now: now[1].alone_quorate, LONE_QUORUM_SECONDS_MAX, "node 1 goes on alone")
    shown = shown_cluster(own_cluster)
    assert shown["missing"] == [2]
    assert [(node["node"], node["has_vote"]) for node in shown["nodes"]] == [(1, True)]
    own_cluster.restore()
    assert shown_cluster(own_cluster)["missing"] == []


def test_reading_the_settings_again_disturbs_nobody(own_cluster: OwnCluster) -> None:
    start = time.monotonic()
    server = own_cluster.arbitrator.server
    assert server is not None
    server.signal(signal.SIGHUP)
    own_cluster.watch.stays(own_cluster.all_votes, 3, "all votes")
    assert server.running
    assert min(node["connected_for_s"] for node in shown_cluster(own_cluster)["nodes"]) > time.monotonic() - start


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_restart_takes_quorum_from_nobody(own_cluster: OwnCluster, end: signal.Signals) -> None:
    start = time.monotonic()
    server = own_cluster.arbitrator.server
    assert server is not None
    server.signal(end)
    assert server.wait() == (-end if end is signal.SIGKILL else 0)
    own_cluster.watch.wait(lambda now: all(state.total_votes == 2 for state in now.values()), VOTE_GONE_SECONDS_MAX, "the vote is gone")
    own_cluster.arbitrator.start_server()
    own_cluster.wait_all_votes()
    assert [own_cluster.watch.lost_quorum(node.number, start) for node in own_cluster.nodes] == [[], []]


def shown_cluster(cluster: OwnCluster) -> dict[str, Any]:
    (shown,) = json.loads(cluster.arbitrator.thirdvote("clusters", "--json"))
    assert isinstance(shown, dict)
    return shown
