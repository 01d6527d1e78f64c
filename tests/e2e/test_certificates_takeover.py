"""A stock server's nodes go on at ours, with no change, and back; quorum is never lost on the way."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.lab.arbitrator import STOCK_DATABASE, OwnNames, StockNames
from tests.e2e.lab.cluster import Cluster, running_cluster
from tests.e2e.lab.enrolled import enrol_anew
from tests.e2e.lab.network import Switch
from tests.e2e.lab.settings import Settings

pytestmark = [pytest.mark.e2e, pytest.mark.stock]

OURS = (sys.executable, "-m", "thirdvote")
IN_THE_MACHINE = "/etc/corosync/qnetd/nssdb"

VOTE_GONE_SECONDS_MAX = 15


class BothServers(StockNames):
    """Debian's server, and ours on the same address when it is that one's turn."""

    def __init__(self, switch: Switch, folder: Path) -> None:
        super().__init__(switch, folder, server="stock")
        self.is_ours = False

    def start_server(self) -> None:
        self.is_ours = False
        super().start_server()

    def sign(self, request: Path, cluster_name: str) -> Path:
        if not self.is_ours:
            return super().sign(request, cluster_name)
        certificate = self.folder / f"cluster-{cluster_name}.crt"
        self.thirdvote("ca", "sign", request, "--name", cluster_name, "--out", certificate)
        return certificate

    def start_ours(self) -> None:
        self.is_ours = True
        serve = (*OURS, "serve", "--enroll-ssh", "off", "--enroll-https", "off")
        self._start_and_wait("thirdvote", serve, (*OURS, "status"))

    def thirdvote(self, *arguments: str | Path) -> str:
        return self.run(*OURS, *arguments)


def nobody_lost_quorum(cluster: Cluster[Any], since: float) -> bool:
    return [cluster.watch.lost_quorum(node.number, since) for node in cluster.nodes] == [[] for _ in cluster.nodes]


def vote_is_gone(cluster: Cluster[Any]) -> None:
    cluster.watch.wait(lambda now: all(state.total_votes == 2 for state in now.values()), VOTE_GONE_SECONDS_MAX, "the vote is gone")


def test_from_stock_and_back(real_nodes: None, tmp_path: Path) -> None:
    with running_cluster(Settings(), 2, BothServers, tmp_path) as cluster:
        arbitrator, start = cluster.arbitrator, time.monotonic()
        arbitrator.stop_server()
        assert "1 cluster with a certificate in it: lab" in arbitrator.thirdvote("ca", "import-nss", IN_THE_MACHINE)
        vote_is_gone(cluster)
        arbitrator.start_ours()
        cluster.wait_all_votes()
        assert nobody_lost_quorum(cluster, start)
        (known,) = json.loads(arbitrator.thirdvote("ca", "list", "--json"))
        assert (known["cluster"], known["way"], known["in_use"], known["last_used_by"]) == ("lab", "imported", True, "1, 2")
        (shown,) = json.loads(arbitrator.thirdvote("clusters", "--json"))
        assert [(node["tls"], node["certificate_verified"]) for node in shown["nodes"]] == [(True, True)] * 2

        database = arbitrator.etc / STOCK_DATABASE
        database.rename(database.with_name("nssdb.before"))
        arbitrator.thirdvote("ca", "export-nss", IN_THE_MACHINE)
        arbitrator.stop_server()
        vote_is_gone(cluster)
        arbitrator.start_server()
        cluster.wait_all_votes()
        assert nobody_lost_quorum(cluster, start)
        assert "TLS active:\t\tYes (client certificate verified)" in arbitrator.qnetd_tool("-lv")


def test_one_of_ours_follows_the_stock_tools_authority(real_nodes: None, tmp_path: Path) -> None:
    """Node 1 trusts only the stock tool's, node 2 only ours. The server's certificate has no extensions at first, then ours."""
    with running_cluster(Settings(), 2, BothServers, tmp_path) as cluster:
        arbitrator, start = cluster.arbitrator, time.monotonic()
        arbitrator.stop_server()
        arbitrator.thirdvote("ca", "import-nss", IN_THE_MACHINE)
        arbitrator.start_ours()
        arbitrator.thirdvote("ca", "renew", "--authority")
        enrol_anew(cluster.node(2), arbitrator, arbitrator.folder / "lib" / "thirdvote" / "pki" / "ca.crt", "lab")
        cluster.wait_all_votes()
        arbitrator.thirdvote("ca", "renew")
        for node in cluster.nodes:
            node.stop_qdevice()
            node.start_qdevice()
        cluster.wait_all_votes()
        shown = {each["last_used_by"]: each["authority"] for each in json.loads(arbitrator.thirdvote("ca", "list", "--json"))}
        assert shown == {"1": "QNet CA", "2": "QNet CA 2"}
        assert nobody_lost_quorum(cluster, start)


def test_our_own_authority_at_the_stock_server(real_nodes: None, tmp_path: Path) -> None:
    """It was made here, with keys of another kind than the stock tool's; the stock tool signs with it."""
    with running_cluster(Settings(), 2, OwnNames, tmp_path) as cluster:
        arbitrator, start = cluster.arbitrator, time.monotonic()
        arbitrator.thirdvote("ca", "export-nss", IN_THE_MACHINE)
        arbitrator.stop_server()
        vote_is_gone(cluster)
        arbitrator.server = arbitrator.start("qnetd", "corosync-qnetd", "-f", "-d", "-s", "on")
        cluster.wait_all_votes()
        assert nobody_lost_quorum(cluster, start)
        assert "TLS active:\t\tYes (client certificate verified)" in arbitrator.run("corosync-qnetd-tool", "-lv")
        node = cluster.node(1)
        arbitrator.run("corosync-qnetd-certutil", "-s", "-c", node.database / "qdevice-net-node.crq", "-n", "lab")
        assert (arbitrator.etc / STOCK_DATABASE / "cluster-lab.crt").stat().st_size > 0
