"""A healthy cluster as an administrator sees it, and faults of the arbitrator alone."""

from __future__ import annotations

import re
import signal
import time

import pytest

from tests.e2e.lab.cluster import StockCluster
from tests.e2e.lab.settings import Settings

pytestmark = pytest.mark.e2e

SETTINGS = Settings(cluster_name="office")
NODES = 2

NOTICED_SECONDS_MAX = 15
"""A device is told by the end of its connection, or by an echo that is not answered within two heartbeats of 8 s."""


def test_both_nodes_have_all_votes(cluster: StockCluster) -> None:
    for node in cluster.nodes:
        shown = cluster.watch.now[node.number]
        assert (shown.total_votes, shown.expected_votes, shown.device, shown.cast) == (3, 3, True, True)


@pytest.mark.parametrize("number", [1, 2])
def test_quorumtool_shows_a_working_device(cluster: StockCluster, number: int) -> None:
    output = cluster.node(number).quorumtool()
    assert re.search(r"^Flags: +Quorate Qdevice *$", output, re.MULTILINE), output
    assert re.search(r"^Total votes: +3$", output, re.MULTILINE), output
    assert re.findall(r"^ +\d+ +1 +(\S+) n(\d)", output, re.MULTILINE) == [("A,V,NMW", "1"), ("A,V,NMW", "2")], output
    assert re.search(r"^ +0 +1 +Qdevice$", output, re.MULTILINE), output


@pytest.mark.parametrize("number", [1, 2])
def test_qdevice_tool_shows_the_connection(cluster: StockCluster, number: int) -> None:
    shown = fields(cluster.node(number).qdevice_tool("-v"))
    assert shown["State"] == "Connected"
    assert shown["Cluster name"] == "office"
    assert shown["QNetd host"] == f"{cluster.arbitrator.address}:5403"
    assert shown["Algorithm"] == "Fifty-Fifty split"
    assert shown["TLS active"] == "Yes (client certificate sent)"
    assert shown["Poll timer running"] == "Yes (cast vote)"
    assert shown["Membership node list"] == "1, 2"


def test_qnetd_tool_shows_both_nodes(cluster: StockCluster) -> None:
    status = fields(cluster.arbitrator.qnetd_tool("-s"))
    assert (status["Connected clients"], status["Connected clusters"]) == ("2", "1")
    listed = cluster.arbitrator.qnetd_tool("-lv")
    assert listed.startswith('Cluster "office":\n')
    assert re.findall(r"Node ID (\d+):", listed) == ["1", "2"]
    assert listed.count("Yes (client certificate verified)") == 2
    assert len(re.findall(r"Vote:\t+\S.*ACK", listed)) == 2
    assert "NACK" not in listed


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_of_the_server_takes_quorum_from_nobody(cluster: StockCluster, end: signal.Signals) -> None:
    start = time.monotonic()
    server = cluster.arbitrator.server
    assert server is not None
    server.signal(end)
    assert server.wait() == (0 if end is signal.SIGTERM else -end)
    cluster.watch.wait(lambda now: all(state.total_votes == 2 for state in now.values()), NOTICED_SECONDS_MAX, "the device's vote is gone")
    cluster.arbitrator.start_server()
    cluster.wait_all_votes()
    assert [cluster.watch.lost_quorum(node.number, start) for node in cluster.nodes] == [[], []]


def test_a_power_cut_of_the_arbitrator_takes_quorum_from_nobody(cluster: StockCluster) -> None:
    start = time.monotonic()
    cluster.arbitrator.power_off()
    cluster.watch.wait(lambda now: all(state.total_votes == 2 for state in now.values()), 30, "the device's vote is gone")
    cluster.restore()
    assert [cluster.watch.lost_quorum(node.number, start) for node in cluster.nodes] == [[], []]


def test_a_device_that_ends_in_order_says_so(cluster: StockCluster) -> None:
    assert cluster.node(2).stop_qdevice() == 0
    cluster.watch.wait(lambda now: not now[2].device and now[2].total_votes == 2, NOTICED_SECONDS_MAX, "node 2 has no device")
    assert re.search(r"^ +2 +1 +NR n2", cluster.node(1).quorumtool(), re.MULTILINE)
    assert cluster.watch.now[1].quorate
    assert cluster.watch.now[2].quorate
    cluster.restore()


def fields(output: str) -> dict[str, str]:
    """The lines `Label:<tabs>value` of a tool."""
    return dict(re.findall(r"^\s*([\w ]+):\t+(.*)$", output, re.MULTILINE))
