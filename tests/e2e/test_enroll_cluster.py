"""Real clusters that come to three votes by the enrolment: `pvecm qdevice setup`, and the stock node tool's quick start."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.lab.bare import NAME, OwnCluster, add_device, bare_cluster, opened, pvecm_of
from tests.e2e.lab.ssh import PROGRAMS, SshUser
from tests.pvecm_here import SetupFailed
from thirdvote.pki import inventory

MISSING = [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(MISSING), reason="needs OpenSSH (Debian: openssh-client, openssh-server)"),
]

NEVER = datetime.min.replace(tzinfo=UTC)


@pytest.fixture
def bare(real_nodes: None, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OwnCluster]:
    """Two nodes without a device, with two votes, and an arbitrator that knows nobody; the port is the test's parameter."""
    with bare_cluster(tmp_path, getattr(request, "param", 2222)) as cluster:
        yield cluster


@pytest.mark.parametrize("bare", [22, 2222], indirect=True)
def test_pvecm_brings_a_cluster_to_three_votes(bare: OwnCluster, tmp_path: Path) -> None:
    user = SshUser(bare.node(1))
    shown = bare.arbitrator.thirdvote("enroll", "open")
    password = re.findall(r"^  password +(\S+)$", shown, re.MULTILINE)[0]
    user.types(password)
    for line in re.findall(r"^  (printf .*)$", shown, re.MULTILINE)[:1]:
        user.must("sh", "-c", line)  # the port, as the person is told to write it
    assert f"  pvecm qdevice setup {bare.arbitrator.address}" in shown.splitlines()
    pvecm_of(bare, user, tmp_path).certificates()
    add_device(bare)
    prompts = user.prompts.read_text(encoding="utf-8")
    assert any(fingerprint in prompts for fingerprint in re.findall(r"SHA256:\S+", shown)), prompts
    assert f"root@{bare.arbitrator.address}'s password" in prompts
    (cluster,) = json.loads(bare.arbitrator.thirdvote("clusters", "--json"))
    assert [(node["has_vote"], node["certificate_verified"]) for node in cluster["nodes"]] == [(True, True)] * 2
    (window,) = json.loads(bare.arbitrator.thirdvote("enroll", "status", "--json"))["ssh"]["windows"]
    assert (window["taken_by"], window["done"]) == (NAME, True)
    history = bare.arbitrator.thirdvote("history", NAME)
    assert "a certificate was signed in window 1" in history
    assert bare.node(1).address in history


def test_pvecm_is_told_why_it_can_not(bare: OwnCluster, tmp_path: Path) -> None:
    """Closed; then a window for another cluster; and the way out is in what is shown."""
    user = SshUser(bare.node(1))
    user.types("anything")
    user.must("sh", "-c", f"printf 'Host {bare.arbitrator.address}\\n    Port 2222\\n' >> ~/.ssh/config")
    pvecm = pvecm_of(bare, user, tmp_path)
    with pytest.raises(SetupFailed, match="enrolment is closed: on the arbitrator, open it with `thirdvote enroll open`"):
        pvecm.certificates()
    user.types(opened(bare, "--cluster", "home")["password"])
    with pytest.raises(SetupFailed, match="this window is for the cluster 'home', not for 'office'"):
        pvecm.certificates()
    user.types(opened(bare, "--cluster", NAME)["password"])
    pvecm.certificates()
    assert bare.watch.now[1].quorate
    assert bare.watch.now[2].quorate


def test_a_removed_device_is_set_up_again(bare: OwnCluster, tmp_path: Path) -> None:
    """`--replace`: what the cluster had before is revoked."""
    user = SshUser(bare.node(1))
    user.must("sh", "-c", f"printf 'Host {bare.arbitrator.address}\\n    Port 2222\\n' >> ~/.ssh/config")
    pvecm = pvecm_of(bare, user, tmp_path)
    for options in ((), ("--replace",)):
        user.types(opened(bare, *options)["password"])
        pvecm.certificates()
        if not options:
            pvecm.remove()
    add_device(bare)
    first, second = inventory.every(bare.arbitrator.folder / "lib" / "thirdvote" / "pki")
    assert (first.cluster, second.cluster) == (NAME, NAME)
    assert [signed.revoked_at is None for signed in sorted((first, second), key=lambda signed: signed.signed_at or NEVER)] == [False, True]


def test_the_quick_start_of_the_node_tool(bare: OwnCluster) -> None:
    """`corosync-qdevice-net-certutil -Q`, from node 1, with sshd on both nodes."""
    first, second = (SshUser(node) for node in bare.nodes)
    first.lets_in(first)
    second.lets_in(first)
    answer = opened(bare, "--cluster", NAME)
    first.types(answer["password"])
    first.must("sh", "-c", f"printf 'Host {answer['address']}\\n    Port {answer['port']}\\n' >> ~/.ssh/config")
    first.must("sh", "-c", "printf 'Host *\\n    StrictHostKeyChecking accept-new\\n' >> ~/.ssh/config")
    first.must("ssh-copy-id", f"root@{answer['address']}")
    nodes = [node.address for node in bare.nodes]
    done = first.run(["/usr/sbin/corosync-qdevice-net-certutil", "-Q", "-n", NAME, answer["address"], *nodes])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Certificate stored in /etc/corosync/qnetd/nssdb/cluster-office.crt" in done.stdout
    add_device(bare)
