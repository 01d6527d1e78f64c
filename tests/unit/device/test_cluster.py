from __future__ import annotations

import pytest

from tests.corosync_confs import ALL, PROXMOX, SUSE
from thirdvote.device import cluster
from thirdvote.device.cluster import Device
from thirdvote.device.corosync_conf import ConfError
from thirdvote.errors import UserError


@pytest.mark.parametrize("text", ALL.values(), ids=ALL.keys())
def test_two_nodes_everywhere(text: str) -> None:
    found = cluster.read(text)
    assert [node.number for node in found.nodes] == [1, 2]
    assert found.node_votes == 2
    assert found.device is None
    assert found.in_the_way == ()


def test_what_is_read() -> None:
    found = cluster.read(PROXMOX)
    assert (found.name, found.version, found.two_node, found.expected_votes) == ("office", 7, False, None)
    assert found.node(2).addresses == ("10.0.0.2", "fd00::2")
    assert found.node(2).label == "pve2"
    assert cluster.read(SUSE).node(1).label == "10.0.0.1"
    assert (cluster.read(SUSE).two_node, cluster.read(SUSE).expected_votes) == (True, 2)
    with pytest.raises(UserError, match="has no such node"):
        found.node(3)


def test_a_device() -> None:
    text = PROXMOX.replace("votequorum\n", "votequorum\n  device {\n    model: net\n    votes: 1\n    net {\n      host: q\n    }\n  }\n")
    assert cluster.read(text).device == Device("net", "q", 5403, 1)
    assert cluster.read(text.replace("host: q", "port: 1")).device == Device("net", None, 1, 1)
    assert Device("disk", None, 5403, None).where == "a device of the model 'disk'"


@pytest.mark.parametrize("key", cluster.EXCLUDES_A_DEVICE)
def test_what_excludes_a_device(key: str) -> None:
    assert cluster.read(PROXMOX.replace("votequorum\n", f"votequorum\n  {key}: 1\n")).in_the_way == (key,)
    assert cluster.read(PROXMOX.replace("votequorum\n", f"votequorum\n  {key}: 0\n")).in_the_way == ()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("cluster_name: office", "x: y", "gives the cluster no name"),
        ("corosync_votequorum", "other", "does not have votes counted"),
        ("nodelist {", "nothing {", "no list of nodes"),
        ("nodeid: 2", "x: y", "has no nodeid"),
        ("nodeid: 2", "nodeid: 0", "has no nodeid"),
        ("nodeid: 2", "nodeid: 1", "more than one node with nodeid 1"),
        ("nodeid: 2", "nodeid: \u00b2", "has no nodeid"),
        ("ring0_addr: 10.0.0.1", "x: y", "has no ring0_addr"),
        ("quorum_votes: 1", "quorum_votes: many", "no number of votes"),
        ("config_version: 7", "config_version: seven", "config_version in corosync.conf is no number"),
        ("config_version: 7", "config_version: -1", "config_version in corosync.conf is no number"),
    ],
)
def test_where_no_device_can_be(old: str, new: str, why: str) -> None:
    with pytest.raises(ConfError, match=why) as refused:
        cluster.read(PROXMOX.replace(old, new))
    assert refused.value.hint


def test_more_nodes_than_an_arbitrator_takes() -> None:
    nodes = "".join(f"node {{\nnodeid: {number}\nring0_addr: n\n}}\n" for number in range(10, 209))
    with pytest.raises(ConfError, match="lists 201 nodes"):
        cluster.read(PROXMOX.replace("nodelist {\n", f"nodelist {{\n{nodes}"))
