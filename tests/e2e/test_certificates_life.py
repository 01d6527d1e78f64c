"""Renewal, one authority after the other, and revocation, under real nodes that are connected."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.lab.arbitrator import OwnNames
from tests.e2e.lab.cluster import Cluster, running_cluster
from tests.e2e.lab.enrolled import enrol_anew
from tests.e2e.lab.namespaces import CommandFailed
from tests.e2e.lab.settings import Settings

pytestmark = pytest.mark.e2e

OwnCluster = Cluster[OwnNames]

ENDS_SECONDS_MAX = 5
COMES_BACK_SECONDS_MAX = 20
STAYS_OUT_SECONDS = 8
"""A stock device that was sent away tries again every two seconds or so."""


@pytest.fixture
def cluster(real_nodes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnCluster]:
    with running_cluster(Settings(), 2, OwnNames, tmp_path_factory.mktemp("life")) as running:
        yield running


def connected(cluster: OwnCluster) -> dict[int, int]:
    """The connection of each node that is there."""
    clusters = json.loads(cluster.arbitrator.thirdvote("clusters", "--json"))
    return {node["node"]: node["connection"] for shown in clusters for node in shown["nodes"]}


def certificates(cluster: OwnCluster) -> dict[str, dict[str, Any]]:
    """Of the inventory, by serial number."""
    return {each["serial_number"]: each for each in json.loads(cluster.arbitrator.thirdvote("ca", "list", "--json"))}


def shown_by(cluster: OwnCluster, node: int) -> str:
    """The serial number of the certificate that the node shows."""
    (number,) = [number for number, each in certificates(cluster).items() if str(node) in (each["last_used_by"] or "").split(", ")]
    return number


def log(cluster: OwnCluster) -> str:
    server = cluster.arbitrator.server
    assert server is not None
    return server.log.read_text(encoding="utf-8")


def test_a_renewal_disconnects_nobody(cluster: OwnCluster) -> None:
    start, before = time.monotonic(), connected(cluster)
    facts = json.loads(cluster.arbitrator.thirdvote("ca", "show", "--json"))
    cluster.arbitrator.thirdvote("ca", "renew")
    assert json.loads(cluster.arbitrator.thirdvote("ca", "show", "--json"))["server"]["serial_number"] != facts["server"]["serial_number"]
    cluster.watch.stays(cluster.all_votes, 2, "all votes")
    assert connected(cluster) == before
    node = cluster.node(1)
    node.stop_qdevice()
    node.start_qdevice()
    cluster.wait_all_votes()
    assert [cluster.watch.lost_quorum(number, start) for number in (1, 2)] == [[], []]


def test_one_authority_after_the_other(cluster: OwnCluster) -> None:
    """Node 1 keeps trusting only the old one, node 2 only the new one, and both are served until the old one ends."""
    start, arbitrator, before = time.monotonic(), cluster.arbitrator, connected(cluster)
    authority = arbitrator.folder / "lib" / "thirdvote" / "pki" / "ca.crt"
    arbitrator.thirdvote("ca", "renew", "--authority")
    assert connected(cluster) == before
    enrol_anew(cluster.node(2), arbitrator, authority, "lab")
    cluster.node(1).stop_qdevice()
    cluster.node(1).start_qdevice()
    cluster.wait_all_votes()
    shown = json.loads(arbitrator.thirdvote("ca", "show", "--json"))
    assert shown["need_the_old_authority"] == {"lab": "node 1 still shows a certificate of the old authority"}
    with pytest.raises(CommandFailed, match="the old authority is still needed: lab"):
        arbitrator.thirdvote("ca", "renew", "--finish")

    arbitrator.stop_server()
    arbitrator.start_server()
    cluster.wait_all_votes()
    enrol_anew(cluster.node(1), arbitrator, authority, "lab")
    cluster.wait_all_votes()
    at_the_end = connected(cluster)
    arbitrator.thirdvote("ca", "renew", "--finish")
    assert connected(cluster) == at_the_end
    for node in cluster.nodes:
        node.stop_qdevice()
        node.start_qdevice()
    cluster.wait_all_votes()
    assert json.loads(arbitrator.thirdvote("ca", "show", "--json")).keys() == {"authority", "server"}
    assert [cluster.watch.lost_quorum(number, start) for number in (1, 2)] == [[], []]


def test_a_revoked_certificate_ends_its_session_and_no_other(cluster: OwnCluster) -> None:
    arbitrator = cluster.arbitrator
    authority = arbitrator.folder / "lib" / "thirdvote" / "pki" / "ca.crt"
    enrol_anew(cluster.node(2), arbitrator, authority, "lab")
    cluster.wait_all_votes()
    before, number = connected(cluster), shown_by(cluster, 2)
    said = arbitrator.thirdvote("ca", "revoke", number, "--reason", "stolen")
    assert "1 connection ended" in said
    deadline = time.monotonic() + ENDS_SECONDS_MAX
    while 2 in connected(cluster) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert connected(cluster) == {1: before[1]}
    time.sleep(STAYS_OUT_SECONDS)
    assert connected(cluster) == {1: before[1]}
    assert f"its certificate {number} for 'lab' is revoked" in log(cluster)
    assert certificates(cluster)[number]["revoked_because"] == "stolen"

    enrol_anew(cluster.node(2), arbitrator, authority, "lab")
    cluster.wait_all_votes()
    assert connected(cluster)[1] == before[1]


def test_a_cluster_that_renames_itself_is_told_what_to_do(cluster: OwnCluster) -> None:
    for node in cluster.nodes:
        node.power_off()
        cluster.watch.remove(node.number)
    cluster.settings = replace(cluster.settings, cluster_name="renamed")
    cluster.configure()
    for node in cluster.nodes:
        cluster.start_node(node)
    deadline = time.monotonic() + COMES_BACK_SECONDS_MAX
    said = "the client certificate is for 'lab', the node says it is of another cluster; one that was renamed is to be enrolled anew"
    while said not in log(cluster) and time.monotonic() < deadline:
        time.sleep(0.1)
    (line, *_) = [line for line in log(cluster).splitlines() if said in line]
    assert 'cluster "renamed"' in line
    for node in cluster.nodes:
        enrol_anew(node, cluster.arbitrator, cluster.arbitrator.folder / "lib" / "thirdvote" / "pki" / "ca.crt", "renamed")
    cluster.wait_all_votes()


def test_a_revoked_cluster_is_out_until_it_is_enrolled_anew(cluster: OwnCluster) -> None:
    """Both nodes keep their quorum, of two votes of three; a restart of the arbitrator forgets nothing."""
    start, arbitrator = time.monotonic(), cluster.arbitrator
    authority = arbitrator.folder / "lib" / "thirdvote" / "pki" / "ca.crt"
    assert "2 connections ended" in arbitrator.thirdvote("ca", "revoke", "lab")
    cluster.watch.wait(lambda now: all(state.total_votes == 2 for state in now.values()), 15, "the vote is gone")
    arbitrator.stop_server()
    arbitrator.start_server()
    time.sleep(STAYS_OUT_SECONDS)
    assert connected(cluster) == {}
    for node in cluster.nodes:
        enrol_anew(node, arbitrator, authority, "lab")
    cluster.wait_all_votes()
    assert [cluster.watch.lost_quorum(number, start) for number in (1, 2)] == [[], []]
