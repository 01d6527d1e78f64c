"""Every TLS mode of a node against every mode of the server."""

from __future__ import annotations

import re

import pytest

from tests.e2e.lab.cluster import StockCluster
from tests.e2e.lab.settings import Settings, TlsOfNode, TlsOfServer

pytestmark = pytest.mark.e2e

SETTINGS = Settings()
NODES = 2

GIVES_UP_SECONDS_MAX = 20


@pytest.mark.parametrize(
    ("server", "node", "active"),
    [
        ("off", "off", "No"),
        ("off", "on", "No"),
        ("on", "off", "No"),
        ("on", "on", "Yes (client certificate verified)"),
        ("on", "required", "Yes (client certificate verified)"),
        ("req", "on", "Yes (client certificate verified)"),
        ("req", "required", "Yes (client certificate verified)"),
    ],
)
def test_modes_that_fit(shared_cluster: StockCluster, server: TlsOfServer, node: TlsOfNode, active: str) -> None:
    set_modes(shared_cluster, server, node)
    shared_cluster.restore()
    assert re.findall(r"TLS active:\t+(.*)", shared_cluster.arbitrator.qnetd_tool("-lv")) == [active, active]


@pytest.mark.parametrize(("server", "node"), [("off", "required"), ("req", "off")])
def test_modes_that_do_not_fit(shared_cluster: StockCluster, server: TlsOfServer, node: TlsOfNode) -> None:
    """The stock device ends when the arbitrator has not the mode that it needs; the nodes keep the quorum that they have without it."""
    set_modes(shared_cluster, server, node)
    shared_cluster.arbitrator.start_server()
    for cluster_node in shared_cluster.nodes:
        cluster_node.start_qdevice()
    assert [device.wait(GIVES_UP_SECONDS_MAX) for each in shared_cluster.nodes if (device := each.qdevice)] == [1, 1]
    shared_cluster.watch.wait(
        lambda now: all(state.quorate and state.total_votes == 2 and not state.cast for state in now.values()), 5, "two votes on both nodes"
    )
    assert 'Cluster "' not in shared_cluster.arbitrator.qnetd_tool("-l")


def set_modes(cluster: StockCluster, server: TlsOfServer, node: TlsOfNode) -> None:
    """With neither devices nor server running."""
    for cluster_node in cluster.nodes:
        cluster_node.stop_qdevice()
    cluster.arbitrator.stop_server()
    cluster.arbitrator.tls = server
    cluster.configure(node)
