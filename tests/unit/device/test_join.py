from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.corosync_confs import PROXMOX, with_nodes
from tests.nodes_here import NodesHere, nodes_here
from thirdvote.device import certificates, join
from thirdvote.device.conf_change import BACKUP
from thirdvote.device.join import Join, Options
from thirdvote.device.services import Systemd
from thirdvote.device.site import CONF, Site, from_inside, look
from thirdvote.device.steps import Interrupted, Interruption
from thirdvote.errors import UserError

HOST = "10.0.0.9"


@dataclass
class Enrolment:
    """As the arbitrator does it; `refuses` is what it says instead of signing."""

    port: int = 5403
    refuses: str | None = None
    signed: list[tuple[str, bytes]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    given_back: list[str] = field(default_factory=list)

    def authority(self) -> str:
        return "authority\n"

    def vote_port(self, cluster_name: str) -> int:
        return self.port

    def certificate(self, cluster_name: str, request: bytes) -> tuple[str, str]:
        self.signed.append((cluster_name, request))
        if self.refuses:
            raise UserError(self.refuses, "make another one")
        return "certificate\n", "authority\n"

    def keep(self, cluster_name: str) -> None:
        self.kept.append(cluster_name)

    def give_back(self, cluster_name: str) -> str:
        self.given_back.append(cluster_name)
        return "the token can be used again"


@pytest.fixture
def here(tmp_path: Path) -> NodesHere:
    return nodes_here(tmp_path, PROXMOX)


def site_of(here: NodesHere) -> Site:
    first, *others = here.hosts
    by_number = {host.number: host for host in others}
    return from_inside(first, look(first), lambda node: by_number[node.number])


def job(here: NodesHere, said: list[str] | None = None, enrolment: Enrolment | None = None, **options: Any) -> Join:
    say = (said if said is not None else []).append
    chosen = Options(str(options.pop("host", HOST)), **options)
    return Join(site_of(here), enrolment or Enrolment(), Systemd(say), chosen, say, Interruption())


def joined(here: NodesHere, **options: Any) -> list[str]:
    said: list[str] = []
    work = job(here, said, **options)
    work.prepare()
    work.run()
    return said


def state(here: NodesHere) -> list[tuple[dict[str, str], bool, bool]]:
    """Versions of corosync.conf aside."""
    return [
        ({path: re.sub(r"config_version: \d+", "", text) for path, text in host.files.items()}, host.runs, host.is_enabled)
        for host in here.hosts
    ]


def test_everything_is_said_and_done(here: NodesHere) -> None:
    enrolment = Enrolment()
    said = joined(here, enrolment=enrolment)
    assert said == [
        f"n1: trusts the arbitrator's authority ({certificates.DATABASE})",
        f"n2: trusts the arbitrator's authority ({certificates.DATABASE})",
        "n1: makes the cluster's key and a request for its certificate",
        "the arbitrator signs it",
        "n1: takes the certificate",
        "n2: takes certificate and key",
        f"n1: writes {CONF}; the old one is {CONF}{BACKUP}",
        f"n2: writes {CONF}; the old one is {CONF}{BACKUP}",
        "corosync reads it on all nodes",
        "n1: starts corosync-qdevice, now and at each boot",
        "n2: starts corosync-qdevice, now and at each boot",
        "waits until every node counts the device's vote (corosync-quorumtool -s)",
    ]
    assert enrolment.signed == [("office", b"request for office\n")]
    for host in here.hosts:
        assert host.conf == here.in_force
        assert f"host: {HOST}" in host.conf
        assert host.runs
        assert host.is_enabled
        assert host.path(certificates.BUNDLE).read_text() == "certificate\n"
        assert host.path(certificates.AUTHORITY).read_text() == "authority\n"
        assert host.path(certificates.KEY).stat().st_mode & 0o777 == 0o600
        assert host.path(f"{CONF}{BACKUP}").read_text() == PROXMOX


def test_prepare_changes_nothing_and_shows_the_difference(here: NodesHere) -> None:
    before = state(here)
    lines = job(here, timeout_ms=3_000).prepare()
    assert "+    timeout: 3000" in lines
    assert state(here) == before


def test_another_port_is_written(here: NodesHere) -> None:
    joined(here, enrolment=Enrolment(port=5404))
    assert "port: 5404" in here.in_force


NOT_ITS_TASK = {
    ("corosync-qdevice-net-certutil -m", 0),
    ("corosync-qdevice-net-certutil -M", 1),
    ("corosync-qdevice-net-certutil -r", 1),
    ("corosync-cfgtool -R", 1),
}


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize(
    "fails",
    [
        "corosync-qdevice-net-certutil -i",
        "corosync-qdevice-net-certutil -m",
        "corosync-qdevice-net-certutil -M",
        "corosync-qdevice-net-certutil -r",
        "certutil -L",
        "sh -c set -e; umask 077; openssl",
        "sh -c set -e; cp -p",
        "corosync-cfgtool -R",
        "systemctl enable",
        "systemctl restart",
    ],
)
def test_whatever_fails_wherever_is_undone(here: NodesHere, fails: str, host: int) -> None:
    """Unless it is nothing that this node has to do; then it is done."""
    before, said = state(here), list[str]()
    enrolment = Enrolment()
    work = job(here, said, enrolment)
    work.prepare()
    here.hosts[host].fails = {fails}
    if (fails, host) in NOT_ITS_TASK:
        work.run()
        assert (enrolment.kept, enrolment.given_back) == (["office"], [])
        return
    with pytest.raises(UserError) as failed:
        work.run()
    assert failed.value.hint
    assert any("could not be undone" in line for line in said) == ("cfgtool" in fails)
    assert state(here) == before
    assert (enrolment.kept, enrolment.given_back) == ([], ["office"] if enrolment.signed else [])
    assert ("the token can be used again" in said) == bool(enrolment.signed)


def test_before_anybody_has_read_it_the_old_file_comes_back_byte_for_byte(here: NodesHere) -> None:
    work = job(here)
    work.prepare()
    here.hosts[1].fails = {"sh -c set -e; cp -p"}
    with pytest.raises(UserError):
        work.run()
    assert [host.conf for host in here.hosts] == [PROXMOX, PROXMOX]
    assert not (here.folder / "reloads").exists()


def test_what_was_read_comes_back_as_a_newer_version_and_is_read(here: NodesHere) -> None:
    work = job(here)
    work.prepare()
    here.hosts[1].fails = {"systemctl restart"}
    with pytest.raises(UserError):
        work.run()
    newer = PROXMOX.replace("config_version: 7", "config_version: 9")
    assert [host.conf for host in here.hosts] == [newer, newer]
    assert here.in_force == newer


def test_a_refused_signature_is_undone(here: NodesHere) -> None:
    before = state(here)
    work = job(here, enrolment=Enrolment(refuses="the token has expired"))
    work.prepare()
    with pytest.raises(UserError, match="the token has expired"):
        work.run()
    assert state(here) == before


@pytest.mark.parametrize(
    ("device_state", "hint"),
    [("Connect failed", "says 'Connect failed'"), ("Connected", "thirdvote clusters"), (None, "does not run on n1")],
)
def test_a_vote_that_does_not_come_is_undone_with_what_the_device_says(
    here: NodesHere, monkeypatch: pytest.MonkeyPatch, device_state: str | None, hint: str
) -> None:
    monkeypatch.setattr(join, "VOTE_S", 0.0)
    (here.folder / "no-vote").touch()
    if device_state is not None:
        (here.folder / "state").write_text(device_state)
    before = state(here)
    work = job(here)
    work.prepare()
    if device_state is None:
        here.hosts[0].fails = {"corosync-qdevice-tool"}
    with pytest.raises(UserError, match="does not count on n1") as failed:
        work.run()
    assert hint in (failed.value.hint or "")
    assert state(here) == before


def test_an_interrupt_is_undone(here: NodesHere) -> None:
    before, interruption, said = state(here), Interruption(), list[str]()

    def say(text: str) -> None:
        said.append(text)
        interruption.asked = interruption.asked or text.startswith("n2: starts")

    work = Join(site_of(here), Enrolment(), Systemd(say), Options(HOST), say, interruption)
    work.prepare()
    with pytest.raises(Interrupted):
        work.run()
    assert state(here) == before
    assert "undo: n2: stops corosync-qdevice" in said


def test_somebody_else_changes_the_file_meanwhile(here: NodesHere) -> None:
    work = job(here)
    work.prepare()
    changed = f"{PROXMOX}# by somebody\n"
    here.hosts[1].path(CONF).write_text(changed)
    with pytest.raises(UserError, match="somebody else has changed"):
        work.run()
    assert [host.conf for host in here.hosts] == [PROXMOX, changed]


def test_a_device_that_is_there(here: NodesHere) -> None:
    joined(here)
    with pytest.raises(UserError, match=f"has its device at {HOST} already"):
        job(here).prepare()
    with pytest.raises(UserError, match=f"has a device already: {HOST}"):
        job(here, host="10.0.0.8").prepare()
    joined(here, host="10.0.0.8", replaces=True)
    assert "host: 10.0.0.8" in here.in_force
    assert here.hosts[0].path(f"{certificates.DATABASE}.replaced/cert9.db").exists()


def test_a_replacement_that_fails_leaves_the_old_device_at_work(here: NodesHere) -> None:
    joined(here)
    before = state(here)
    work = job(here, host="10.0.0.8", replaces=True)
    work.prepare()
    here.hosts[1].fails = {"corosync-qdevice-net-certutil -m"}
    with pytest.raises(UserError):
        work.run()
    after = state(here)
    assert [(files, runs, enabled) for files, runs, enabled in after] == before


def test_a_database_that_is_there(here: NodesHere) -> None:
    folder = here.hosts[1].path(certificates.DATABASE)
    folder.mkdir(parents=True)
    (folder / "cert8.db").write_text("old")
    with pytest.raises(UserError, match="n2 has certificates of an arbitrator already"):
        job(here).prepare()
    joined(here, replaces=True)
    assert not (folder / "cert8.db").exists()


def test_an_arbitrator_that_a_node_does_not_reach(here: NodesHere) -> None:
    with pytest.raises(UserError, match="n1 can not reach unreachable on port 5403"):
        job(here, host="unreachable").prepare()


def test_an_odd_number_is_forced_with_a_warning(tmp_path: Path) -> None:
    here = nodes_here(tmp_path, with_nodes(PROXMOX, 3), 3)
    with pytest.raises(UserError, match="is odd"):
        job(here).prepare()
    said = joined(here, forced=True)
    assert said[0].startswith("warning: the number of nodes, 3, is odd")
    assert "algorithm: lms" in here.in_force


def test_without_openssl_only_our_own_key_is_missing(here: NodesHere) -> None:
    here.hosts[1].fails = {"sh -c command -v openssl"}
    said = joined(here)
    assert any(line.startswith("n2: openssl is not installed") for line in said)
    assert not here.hosts[1].path(certificates.KEY).exists()


@pytest.mark.parametrize("name", ["a,b", "a=b", 'a"b'])
def test_names_that_the_stock_tool_breaks(tmp_path: Path, name: str) -> None:
    here = nodes_here(tmp_path, PROXMOX.replace("cluster_name: office", f"cluster_name: {name}"))
    with pytest.raises(UserError, match="makes no request for a name with"):
        job(here).prepare()
