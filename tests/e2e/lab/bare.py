"""Clusters without a device, for those who put it in as `pvecm qdevice setup` does."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.lab.arbitrator import OwnNames
from tests.e2e.lab.cluster import ALL_VOTES_SECONDS_MAX, Cluster
from tests.e2e.lab.network import Switch
from tests.e2e.lab.node import corosync_conf
from tests.e2e.lab.settings import Settings
from tests.e2e.lab.ssh import HOME, Done, SshUser, run_on
from tests.pvecm_here import Pvecm

NAME = "office"

OwnCluster = Cluster[OwnNames]


@contextmanager
def bare_cluster(folder: Path, port: int) -> Iterator[OwnCluster]:
    """Two nodes without a device, with two votes, and an arbitrator that knows nobody."""
    with cluster_at(folder, lambda switch: OwnNames(switch, folder / "arbitrator", ("--enroll-ssh", str(port)))) as cluster:
        yield cluster


@contextmanager
def cluster_at(folder: Path, arbitrator: Callable[[Switch], OwnNames]) -> Iterator[OwnCluster]:
    switch = Switch()
    try:
        cluster = Cluster(switch, Settings(cluster_name=NAME), 2, arbitrator(switch), folder)
        try:
            start_bare(cluster)
            yield cluster
        finally:
            cluster.end()
    finally:
        switch.end()


def start_bare(cluster: OwnCluster) -> None:
    cluster.arbitrator.power_on()
    cluster.arbitrator.start_server()
    text = without_device(configuration(cluster, 1))
    authkey = os.urandom(256)
    for node in cluster.nodes:
        cluster._power_on(node)
        node.configure(text, authkey)
        node.start_corosync()
    cluster.watch.wait(
        lambda now: all(state.quorate and len(state.members) == 2 and state.total_votes == 2 for state in now.values()),
        ALL_VOTES_SECONDS_MAX,
        "two votes without a device",
    )


def configuration(cluster: OwnCluster, version: int) -> str:
    return corosync_conf(cluster.settings, cluster.nodes, cluster.arbitrator.address, version)


def without_device(text: str) -> str:
    shorter = re.sub(r"  device \{.*?\n  \}\n", "", text, flags=re.DOTALL)
    assert shorter != text
    return shorter


def opened(cluster: OwnCluster, *options: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(cluster.arbitrator.thirdvote("enroll", "open", "--json", *options))
    return answer


def add_device(cluster: OwnCluster) -> None:
    """The rest of a setup: the configuration everywhere, read by Corosync (in Proxmox VE its file system sees to that), the daemon."""
    for node in cluster.nodes:
        (node.etc / "corosync.conf").write_text(configuration(cluster, 2), encoding="utf-8")
    cluster.nodes[0].run("corosync-cfgtool", "-R")
    for node in cluster.nodes:
        node.start_qdevice()
    cluster.wait_all_votes()


def pvecm_of(cluster: OwnCluster, user: SshUser, folder: Path) -> Pvecm:
    """Typed by `user`; on the other nodes only programs are run, which needs no SSH here."""
    shared = folder / "pve"
    shared.mkdir(exist_ok=True)

    def on_node(number: int, command: Sequence[str]) -> Done:
        node = cluster.node(number)
        return user.run(command) if node is user.machine else run_on(node, command)

    numbers = [node.number for node in cluster.nodes]
    return Pvecm(cluster.arbitrator.address, NAME, numbers, user.run, on_node, shared, f"{HOME}/.ssh/id_rsa")
