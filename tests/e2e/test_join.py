"""`thirdvote join`, `setup` and `remove` on real nodes: from no device to all votes, without SSH on the arbitrator, and back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.lab.joining import JoiningLab, joining_lab
from thirdvote.device.edit import TWO_NODE_REMEMBERED

pytestmark = pytest.mark.e2e


def with_version(text: str, version: int) -> str:
    return re.sub(r"config_version: \d+", f"config_version: {version}", text)


def assert_done(lab: JoiningLab, result: tuple[int, str]) -> str:
    status, output = result
    assert status == 0, f"{output}\n{lab.evidence()}"
    return output


def assert_votes(lab: JoiningLab, device: int) -> None:
    for node in lab.nodes:
        quorum = node.quorum
        nodes = len(lab.nodes)
        assert (quorum.total_votes, quorum.expected_votes, quorum.quorate) == (nodes + device, nodes + device, True)
        assert quorum.device_votes == (device or None)


@pytest.fixture(scope="module")
def plain(real_nodes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JoiningLab]:
    """Two nodes, for the tests that follow each other in this file."""
    with joining_lab(tmp_path_factory.mktemp("plain")) as lab:
        yield lab


def test_two_nodes_join(plain: JoiningLab) -> None:
    before = plain.nodes[0].conf
    output = assert_done(plain, plain.join(plain.token(), "--timeout", "5000"))
    assert "n2: takes certificate and key" in output
    assert_votes(plain, 1)
    for node in plain.nodes:
        assert node.conf == with_version(before, 5).replace(
            "votequorum\n",
            "votequorum\n  device {\n    model: net\n    votes: 1\n    timeout: 5000\n    net {\n      tls: on\n"
            f"      host: {plain.arbitrator.address}\n      algorithm: ffsplit\n    }}\n  }}\n",
        )
        assert (node.etc / "corosync.conf.before-thirdvote").read_text() == before
        assert node.is_enabled
        assert "TLS active:\t\tYes (client certificate sent)" in node.qdevice_tool("-v")
    (cluster,) = json.loads(plain.arbitrator.thirdvote("clusters", "--json"))
    assert cluster["name"] == "office"


def test_the_key_is_private_and_the_same_on_all_nodes(plain: JoiningLab) -> None:
    keys = set()
    for node in plain.nodes:
        folder = node.etc / "qdevice/net/thirdvote"
        assert (folder / "cluster.key").stat().st_mode & 0o777 == 0o600
        node.run("openssl", "verify", "-purpose", "sslclient", "-CAfile", folder / "ca.crt", folder / "cluster.crt")
        certificate = node.run("openssl", "x509", "-in", folder / "cluster.crt", "-noout", "-pubkey")
        assert node.run("openssl", "pkey", "-in", folder / "cluster.key", "-pubout") == certificate
        keys.add((folder / "cluster.key").read_text())
    assert len(keys) == 1


def test_who_has_joined_needs_not_join_again(plain: JoiningLab) -> None:
    status, output = plain.join(plain.token())
    assert status == 1
    assert f"has its device at {plain.arbitrator.address} already" in output


def test_a_device_is_replaced_by_choice(plain: JoiningLab) -> None:
    before = plain.nodes[0].conf
    assert_done(plain, plain.join(plain.token("office", "--replace"), "--replace"))
    assert_votes(plain, 1)
    assert plain.nodes[0].conf == with_version(before, 6)
    shown = plain.arbitrator.thirdvote("history", "office")
    assert "the older certificates of the cluster 'office' are revoked" in shown


def test_a_cluster_that_needs_the_device_keeps_it(plain: JoiningLab) -> None:
    before = plain.nodes[0].conf
    plain.nodes[1].power_off()
    plain.wait(lambda: len(plain.nodes[0].quorum.members) == 1 and plain.nodes[0].quorum.quorate, "node 1 goes on alone")
    status, output = plain.remove()
    assert status == 1
    assert "without the device's vote n1 would have no quorum: its nodes have 1 of the 2 votes that are needed" in output
    assert plain.nodes[0].conf == before
    status, output = plain.join(plain.token(), "--replace")
    assert status == 1
    assert "n1 does not see all nodes of the cluster: n2 is missing" in output
    plain.nodes[1].power_on()
    plain.nodes[1].start_corosync()
    plain.wait(lambda: len(plain.nodes[1].quorum.members) == 2, "node 2 is back")
    plain.nodes[1].run("systemctl", "start", "corosync-qdevice")
    plain.wait(lambda: all(node.quorum.total_votes == 3 for node in plain.nodes), "all votes are back")


def test_two_nodes_leave(plain: JoiningLab) -> None:
    text = plain.nodes[0].conf
    output = assert_done(plain, plain.remove("--certificates"))
    assert "without the device two nodes need each other" in output
    assert_votes(plain, 0)
    for node in plain.nodes:
        assert "device" not in node.conf
        assert with_version(text, 7).startswith(node.conf.partition("}\n\nlogging")[0])
        assert not node.is_enabled
        assert not node.device_runs
        assert not node.database.exists()
        assert not (node.etc / "qdevice/net/thirdvote").exists()


def test_who_has_left_can_not_leave_again(plain: JoiningLab) -> None:
    status, output = plain.remove()
    assert status == 1
    assert "has no device" in output


def test_setup_from_the_arbitrators_host(plain: JoiningLab) -> None:
    """Without a token, and without anything of ours on the nodes."""
    addresses = [node.address for node in plain.nodes]
    arbitrator = plain.arbitrator
    command = ("setup", *addresses, "--arbitrator", arbitrator.address, "--ssh", plain.ssh)
    assert_done(plain, plain.on(arbitrator, *command))
    assert_votes(plain, 1)
    assert_done(plain, plain.on(arbitrator, "remove", *addresses, "--ssh", plain.ssh))
    assert_votes(plain, 0)


def test_setup_wants_all_nodes(plain: JoiningLab) -> None:
    url = plain.token()
    status, output = plain.on(plain.arbitrator, "setup", plain.nodes[0].address, "--token", url, "--ssh", plain.ssh)
    assert status == 1
    assert "has more nodes than were named: n2" in output


def test_two_node_mode_and_expected_votes_come_back(real_nodes: None, tmp_path: Path) -> None:
    with joining_lab(tmp_path, quorum="  expected_votes: 2\n  two_node: 1\n") as lab:
        before = lab.nodes[0].conf
        assert_done(lab, lab.join(lab.token()))
        assert_votes(lab, 1)
        assert f"  expected_votes: 3\n  # {TWO_NODE_REMEMBERED}\n  two_node: 0\n" in lab.nodes[1].conf
        assert "2Node" not in lab.nodes[1].quorumtool()
        assert_done(lab, lab.remove(node=2))
        assert_votes(lab, 0)
        assert [node.conf for node in lab.nodes] == [with_version(before, 6)] * 2
        assert "2Node" in lab.nodes[1].quorumtool()


def test_three_nodes_only_by_force(real_nodes: None, tmp_path: Path) -> None:
    with joining_lab(tmp_path, nodes=3) as lab:
        status, output = lab.join(lab.token())
        assert status == 1
        assert "the number of nodes, 3, is odd" in output
        assert "--force" in output
        output = assert_done(lab, lab.join(lab.token(), "--force"))
        assert "warning: the number of nodes, 3, is odd: algorithm lms, 2 votes" in output
        assert_votes(lab, 2)
        assert_done(lab, lab.remove())
        assert_votes(lab, 0)
