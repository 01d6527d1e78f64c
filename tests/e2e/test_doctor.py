"""`thirdvote doctor` on real nodes: one thing after the other is broken and mended, and each time it names what is broken."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.lab.arbitrator import StockNames
from tests.e2e.lab.cluster import running_cluster
from tests.e2e.lab.joining import JoiningLab, JoiningNode, joining_lab
from tests.e2e.lab.machine import Machine
from tests.e2e.lab.namespaces import run
from tests.e2e.lab.settings import Settings

pytestmark = pytest.mark.e2e

TIMEOUT_MS = 4_000
DOCTOR = (sys.executable, "-m", "thirdvote", "doctor", "--here", "--json")
SEEN_SECONDS_MAX = 30


class Doctor:
    """On a machine of the lab."""

    def __init__(self, lab: JoiningLab) -> None:
        self.lab = lab

    def on(self, machine: Machine, *arguments: str) -> tuple[int, dict[str, str]]:
        """Status, and where each id was found."""
        status, output = self.lab.on(machine, "doctor", "--json", "--ssh", self.lab.ssh, *arguments)
        found: dict[str, Any] = json.JSONDecoder().raw_decode(output[output.index("{") :])[0]  # what --fix does is behind it
        return status, {finding["id"]: finding["where"] for finding in found["findings"]}

    def here(self, machine: Machine, *arguments: str) -> dict[str, str]:
        return self.on(machine, "--here", *arguments)[1]

    def until(self, machine: Machine, *ids: str) -> dict[str, str]:
        """Until it sees them all: corosync and the daemons take their time to notice."""
        deadline = time.monotonic() + SEEN_SECONDS_MAX
        while not set(ids) <= (found := self.here(machine)).keys():
            assert time.monotonic() < deadline, f"{ids} in {found}\n{self.lab.evidence()}"
        return found

    def wait_whole(self) -> None:
        self.lab.wait(lambda: all(node.quorum.total_votes == 3 for node in self.lab.nodes), "all votes are there")


@pytest.fixture(scope="module")
def doctor(real_nodes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doctor]:
    with joining_lab(tmp_path_factory.mktemp("doctor")) as lab:
        status, output = lab.join(lab.token(), "--timeout", str(TIMEOUT_MS))
        assert status == 0, f"{output}\n{lab.evidence()}"
        yield Doctor(lab)


@pytest.fixture
def whole(doctor: Doctor) -> Iterator[Doctor]:
    """Each test leaves it as it was."""
    doctor.wait_whole()
    yield doctor
    doctor.wait_whole()


@contextmanager
def conf_with(lab: JoiningLab, nodes: list[JoiningNode], old: str, new: str) -> Iterator[None]:
    """In the files alone; corosync goes on with what it has read."""
    before = [node.conf for node in nodes]
    for node, text in zip(nodes, before, strict=True):
        assert old in text
        (node.etc / "corosync.conf").write_text(text.replace(old, new))
    try:
        yield
    finally:
        for node, text in zip(nodes, before, strict=True):
            (node.etc / "corosync.conf").write_text(text)


def signal_device(node: JoiningNode, number: signal.Signals) -> None:
    node.run("sh", "-c", f"kill -{number.value} $(cat /run/corosync-qdevice.pid)")


def test_a_whole_cluster_has_nothing_to_mend(whole: Doctor) -> None:
    lab = whole.lab
    status, found = whole.on(lab.nodes[0])
    assert status == 0, found
    assert found.keys() == {"hand-over-slow", "device-votes", "arbitrator-reached"}
    (before,) = json.loads(lab.arbitrator.thirdvote("clusters", "--json"))
    status, found = whole.on(lab.arbitrator, *(node.address for node in lab.nodes))
    assert status == 0, found
    assert found.keys() == {"arbitrator-answers", "ledger-incomplete", "hand-over-slow", "device-votes", "arbitrator-reached"}
    (after,) = json.loads(lab.arbitrator.thirdvote("clusters", "--json"))
    assert [node["connection"] for node in after["nodes"]] == [node["connection"] for node in before["nodes"]], (
        "a live session was disturbed"
    )


def test_a_device_that_was_stopped_and_is_started_by_fix(whole: Doctor) -> None:
    first, second = whole.lab.nodes
    second.run("corosync-qdevice-tool", "-H")
    whole.lab.wait(lambda: "NR" in first.quorumtool(), "corosync sees that the device is gone")
    assert whole.here(first)["device-not-running"] == "node 2, as n1 (this host) sees it"
    status, output = whole.lab.on(first, "doctor", "--fix", "--ssh", whole.lab.ssh)
    assert "mending: n2: systemctl start corosync-qdevice" in output
    assert (status, "device-not-running" in output) == (0, False), output


def test_a_device_that_was_killed(whole: Doctor) -> None:
    first, second = whole.lab.nodes
    signal_device(second, signal.SIGKILL)
    whole.lab.wait(lambda: "NA,NV" in first.quorumtool(), "corosync drops the vote")
    assert whole.here(first)["device-hangs"] == "node 2, as n1 (this host) sees it"
    assert "device-not-running" in whole.here(second)
    second.run("systemctl", "start", "corosync-qdevice")


def test_a_device_that_hangs(whole: Doctor) -> None:
    second = whole.lab.nodes[1]
    signal_device(second, signal.SIGSTOP)
    assert "device-hangs" in whole.here(second)
    signal_device(second, signal.SIGCONT)
    second.run("systemctl", "restart", "corosync-qdevice")


def test_an_arbitrator_that_is_off(whole: Doctor) -> None:
    lab = whole.lab
    lab.arbitrator.stop_server()
    found = whole.until(lab.nodes[0], "connection-refused", "device-not-connected")
    assert found["connection-refused"] == "n1 (this host)"
    status, found = whole.on(lab.arbitrator)
    assert (status, "arbitrator-not-running" in found) == (2, True)
    status, output = lab.on(lab.arbitrator, "doctor", "--quick")
    assert (status, output.count("\n")) == (1, 2), output
    assert "no arbitrator is running here" in output
    lab.arbitrator.start_server()


def test_an_arbitrator_that_hangs(whole: Doctor) -> None:
    server = whole.lab.arbitrator.server
    assert server is not None
    server.signal(signal.SIGSTOP)
    began = time.monotonic()
    status, output = whole.lab.on(whole.lab.arbitrator, "doctor", "--quick")
    assert (status, "does not answer" in output) == (1, True)
    assert time.monotonic() - began < 10
    assert "arbitrator-hangs" in whole.here(whole.lab.arbitrator)
    server.signal(signal.SIGCONT)


def test_a_way_that_is_cut(whole: Doctor) -> None:
    lab = whole.lab
    first = lab.nodes[0]
    lab.switch.partition(["n1"], ["arbitrator"])
    lab.wait(lambda: "State:\t\t\tConnected" not in first.qdevice_tool(), "the device gives up")
    found = whole.here(first)
    assert {"connection-timed-out", "device-not-connected"} <= found.keys()
    lab.switch.heal()


def test_a_split_in_which_the_arbitrator_decides(whole: Doctor) -> None:
    lab = whole.lab
    lab.switch.partition(["n1"], ["n2"])
    whole.until(lab.nodes[1], "vote-refused", "not-quorate", "nodes-missing")
    assert "node-without-vote" in whole.here(lab.arbitrator)
    lab.switch.heal()


def test_a_vote_that_waits_for_a_lost_node(whole: Doctor) -> None:
    """It waits long when the lost node's daemon was killed before; Corosync shows the old members as long as that."""
    lab = whole.lab
    first, second = lab.nodes
    signal_device(second, signal.SIGKILL)
    second.power_off()
    lab.wait(lambda: "Poll timer running:\tNo" in first.qdevice_tool("-v"), "node 1 waits")
    assert "device-waits" in whole.here(first)
    assert {"vote-waits", "node-not-connected"} <= whole.here(lab.arbitrator).keys()
    second.power_on()
    second.start_corosync()
    lab.wait(lambda: len(second.quorum.members) == 2, "node 2 is back")
    second.run("systemctl", "start", "corosync-qdevice")


def test_what_is_wrong_in_the_file(whole: Doctor) -> None:
    lab = whole.lab
    first = lab.nodes[0]
    arbitrator = lab.arbitrator.address
    with conf_with(lab, [first], "  provider:", "  two_node: 1\n  provider:"):
        assert {"device-excluded", "conf-differs"} <= whole.on(first)[1].keys()
    with conf_with(lab, [first], "votes: 1", "votes: 2"):
        assert "device-section-invalid" in whole.here(first)
    with conf_with(lab, [first], "quorum {", "quorum"):
        assert "conf-unreadable" in whole.here(first)
    with conf_with(lab, [first], f"host: {arbitrator}", "host: no-such-host.invalid"):
        assert {"name-unknown", "device-settings-old", "conf-not-in-force"} <= whole.here(first).keys()
    with conf_with(lab, [first], f"host: {arbitrator}", f"host: {first.address}"):
        assert {"arbitrator-on-its-node", "connection-refused"} <= whole.here(first).keys()
    with conf_with(lab, [first], f"timeout: {TIMEOUT_MS}", f"timeout: {TIMEOUT_MS}\n    sync_timeout: 20000"):
        assert "arbitrator-to-be-told" in whole.here(first)


def test_a_file_that_was_not_read_is_read_by_fix(whole: Doctor) -> None:
    lab = whole.lab
    for node in lab.nodes:
        (node.etc / "corosync.conf").write_text(node.conf.replace("config_version: 5", "config_version: 6"))
    status, found = whole.on(lab.nodes[0])
    assert (status, "conf-not-in-force" in found) == (1, True)
    status, found = whole.on(lab.nodes[0], "--fix")
    assert (status, "conf-not-in-force" in found) == (0, False)


def test_certificates_of_a_node(whole: Doctor) -> None:
    first = whole.lab.nodes[0]
    first.database.chmod(0o775)
    assert "node-database-open" in whole.here(first)
    assert "node-database-open" not in whole.here(first, "--fix")
    assert first.database.stat().st_mode & 0o777 == 0o770
    aside = first.database.with_name("aside")
    first.database.rename(aside)
    assert {"node-database-missing", "certificate-refused"} <= whole.here(first).keys()
    first.database.mkdir()
    for name in ("cert9.db", "key4.db", "pkcs11.txt", "pwdfile.txt"):
        shutil.copy(aside / name, first.database)
    run(["certutil", "-D", "-d", str(first.database), "-n", "QNet CA"])
    assert {"node-authority-missing", "node-certificate-missing"} & whole.here(first).keys()
    shutil.rmtree(first.database)
    aside.rename(first.database)


def test_files_of_the_arbitrator(whole: Doctor) -> None:
    arbitrator = whole.lab.arbitrator
    key = arbitrator.folder / "lib/thirdvote/pki/ca.key"
    key.chmod(0o644)
    assert "key-open" in whole.here(arbitrator)
    assert "key-open" not in whole.here(arbitrator, "--fix")
    assert key.stat().st_mode & 0o777 == 0o600


def test_certificates_that_are_revoked(whole: Doctor, tmp_path: Path) -> None:
    """To mend it the arbitrator gets back what it had, which is sooner than to enrol the cluster anew."""
    lab = whole.lab
    folder = lab.arbitrator.folder / "lib/thirdvote/pki"
    shutil.copytree(folder, tmp_path / "pki")
    lab.arbitrator.thirdvote("ca", "revoke", "office", "--reason", "a test")
    _, found = whole.on(lab.arbitrator, *(node.address for node in lab.nodes))
    assert {"certificate-refused", "node-certificate-revoked"} <= found.keys()
    lab.arbitrator.stop_server()
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "pki", folder)
    lab.arbitrator.start_server()


def test_a_stock_arbitrator(real_nodes: None, tmp_path: Path) -> None:
    with running_cluster(Settings(), 2, lambda switch, folder: StockNames(switch, folder, "stock"), tmp_path) as cluster:
        first, arbitrator = cluster.node(1), cluster.arbitrator

        def seen_on(machine: Machine) -> set[str]:
            return {finding["id"] for finding in json.loads(machine.run(*DOCTOR, check=False))["findings"]}

        def connections() -> list[str]:
            """With their ports: a node that came anew has another one."""
            return [line for line in arbitrator.qnetd_tool("-l", "-v").splitlines() if "Client address" in line]

        before = connections()
        assert seen_on(first) == {"hand-over-slow", "device-votes", "arbitrator-reached"}
        assert seen_on(arbitrator) == {"arbitrator-answers", "stock-arbitrator", "tls-not-required"}
        assert connections() == before, "a live session was disturbed"
        arbitrator.stop_server()
        assert "connection-refused" in seen_on(first)
