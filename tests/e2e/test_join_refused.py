"""Joins that can not work: each says why in a sentence, and leaves the nodes as they were."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.e2e.lab.joining import JoiningLab, JoiningNode, joining_lab
from thirdvote import join_url
from thirdvote.join_url import JoinUrl, Token

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def shared_lab(real_nodes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JoiningLab]:
    with joining_lab(tmp_path_factory.mktemp("join")) as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: JoiningLab) -> Iterator[JoiningLab]:
    """The same for all, and checked after each: nothing is left of what was tried."""
    before = [state(node) for node in shared_lab.nodes]
    yield shared_lab
    assert [state(node) for node in shared_lab.nodes] == before
    for node in shared_lab.nodes:
        quorum = node.quorum
        assert (quorum.total_votes, quorum.expected_votes, quorum.quorate, quorum.device_votes) == (2, 2, True, None)


def state(node: JoiningNode) -> tuple[str, list[str], bool]:
    """corosync.conf but for its version, all files beside it, and whether the device runs."""
    conf = re.sub(r"config_version: \d+", "config_version: N", node.conf)
    files = sorted(str(path.relative_to(node.etc)) for path in node.etc.rglob("*"))
    return conf, files, node.device_runs


def refused(result: tuple[int, str], *said: str) -> str:
    status, output = result
    assert status == 1, output
    assert "Traceback" not in output
    assert "hint:" in output
    for text in said:
        assert text in output, output
    return output


def test_another_arbitrators_fingerprint(lab: JoiningLab) -> None:
    url = join_url.parse(lab.token())
    foreign = JoinUrl(url.host, url.port, Token(url.token.number, url.token.secret, bytes(32)))
    refused(lab.join(foreign.text), "fingerprint", "nothing was sent to it")


def test_a_token_for_another_cluster(lab: JoiningLab) -> None:
    refused(lab.join(lab.token("other")), "is for the cluster 'other'", "says 'office'", "thirdvote enroll token")


def test_a_token_that_nobody_knows(lab: JoiningLab) -> None:
    url = join_url.parse(lab.token())
    refused(
        lab.join(JoinUrl(url.host, url.port, Token(url.token.number, bytes(16), url.token.fingerprint)).text), "does not know this token"
    )


def test_half_a_token(lab: JoiningLab) -> None:
    refused(lab.join(lab.token()[:-5]), "no token, or not all of it")


def test_nobody_at_that_address(lab: JoiningLab) -> None:
    url = join_url.parse(lab.token())
    refused(lab.join(JoinUrl("10.91.0.2", url.port, url.token).text), "10.91.0.2:5443 can not be reached", "connection refused")


def test_an_address_at_which_nobody_votes(lab: JoiningLab) -> None:
    refused(lab.join(lab.token(), "--host", "10.91.0.2"), "n1 can not reach 10.91.0.2 on port 5403")


def test_a_certificate_database_that_is_there(lab: JoiningLab) -> None:
    node = lab.nodes[1]
    node.database.mkdir()
    (node.database / "cert9.db").write_bytes(b"somebody's")
    try:
        refused(lab.join(lab.token()), "n2 has certificates of an arbitrator already", "--replace")
        assert (node.database / "cert9.db").read_bytes() == b"somebody's"
    finally:
        (node.database / "cert9.db").unlink()
        node.database.rmdir()


def test_files_that_differ(lab: JoiningLab) -> None:
    node = lab.nodes[1]
    before = node.conf
    (node.etc / "corosync.conf").write_text(f"{before}# edited\n")
    try:
        refused(lab.join(lab.token()), "corosync.conf of n2 is not that of n1")
    finally:
        (node.etc / "corosync.conf").write_text(before)


def test_a_broken_file(lab: JoiningLab) -> None:
    before = lab.nodes[0].conf
    (lab.nodes[0].etc / "corosync.conf").write_text(before.replace("quorum {", "quorum"))
    try:
        refused(lab.join(lab.token()), "corosync.conf can not be read, line ", "mend that line")
    finally:
        (lab.nodes[0].etc / "corosync.conf").write_text(before)


def test_a_node_that_ssh_does_not_reach(lab: JoiningLab) -> None:
    lab.nodes[1].sshd.stop()
    try:
        refused(lab.join(lab.token()), "n2 can not be reached over ssh", "ssh root@10.91.0.2 true")
    finally:
        lab.nodes[1].start_sshd()
        lab.wait(lambda: lab.nodes[0].run("bash", "-c", "exec 3<>/dev/tcp/10.91.0.2/22") == "", "sshd answers")


def test_a_file_system_that_can_not_be_written(lab: JoiningLab) -> None:
    node = lab.nodes[1]
    node.run("mount", "-o", "remount,bind,ro", "/etc/corosync")
    try:
        refused(lab.join(lab.token()), "/etc/corosync/corosync.conf on n2 can not be written")
    finally:
        node.run("mount", "-o", "remount,bind,rw", "/etc/corosync")


def test_a_timeout_that_is_too_short(lab: JoiningLab) -> None:
    refused(lab.join(lab.token(), "--timeout", "500"), "timeout of 500 ms is not possible")


def test_a_dry_run_shows_all_and_spends_nothing(lab: JoiningLab) -> None:
    url = lab.token()
    for _ in range(2):
        status, output = lab.join(url, "--dry-run", "--timeout", "3000")
        assert status == 0, output
        assert "+    timeout: 3000" in output
        assert "would do: n2: takes certificate and key" in output


def test_a_daemon_that_does_not_start_is_undone_everywhere_and_the_token_counts_again(lab: JoiningLab) -> None:
    url = lab.token()
    fails = lab.nodes[1].etc / "systemctl.fails"
    fails.write_text("restart\n")
    try:
        for _ in range(2):
            output = refused(lab.join(url), "n2: systemctl", "journalctl -u corosync-qdevice", "undoing what was done")
            undone = [line for line in output.splitlines() if line.startswith("undo: ")]
            assert undone[0] == "undo: n2: stops corosync-qdevice"
            assert undone[-1] == "undo: n1: certificates as before"
            assert "the token can be used again" in output
            assert "could not be undone" not in output
    finally:
        fails.unlink()
    signed = json.loads(lab.arbitrator.thirdvote("ca", "list", "--json"))
    assert [each["state"] for each in signed if each["way"] == "https"][-2:] == ["revoked", "revoked"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_interrupt_is_undone(lab: JoiningLab, number: signal.Signals) -> None:
    """The voter holds still, so that it is waited for its vote."""
    voter, node = lab.arbitrator.server, lab.nodes[0]
    assert voter is not None
    url = lab.token()
    voter.signal(signal.SIGSTOP)
    try:
        program = node.start("join", sys.executable, "-u", "-m", "thirdvote", "join", url, "--ssh", lab.ssh)
        deadline = time.monotonic() + 60
        while "waits until every node" not in program.log.read_text():
            assert program.running, program.log.read_text()
            assert time.monotonic() < deadline, program.log.read_text()
            time.sleep(0.05)
        program.signal(number)
        assert program.wait(60) == 130
        output = program.log.read_text()
        program.log.unlink()
    finally:
        voter.signal(signal.SIGCONT)
    assert "interrupted: undoing what was done" in output
    assert "could not be undone" not in output
    assert "undo: n1: certificates as before" in output


def test_plain_users_are_told(lab: JoiningLab) -> None:
    node = lab.nodes[0]
    command = node.command("setpriv", "--reuid", "65534", "--clear-groups", sys.executable, "-m", "thirdvote", "join", lab.token())
    done = subprocess.run(command, capture_output=True, text=True, env=dict(node.environment()), timeout=60, check=False)
    if "Permission denied" not in done.stderr and "No module" not in done.stderr:  # where others may read the checkout
        assert "only root may change" in done.stderr, done.stderr
