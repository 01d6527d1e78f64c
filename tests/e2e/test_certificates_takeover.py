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

    def start_ours(self) -> None:
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
