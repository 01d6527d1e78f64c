from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.doctor_here import CONF, RootHost
from tests.unit.device.test_quorum_text import DEVICE as MEMBERS
from tests.unit.device.test_quorum_text import HEAD
from tests.unit.doctor.test_device_text import TEXT as DEVICE
from tests.voter_process import free_port
from thirdvote.doctor import batch, look_node
from thirdvote.doctor.facts import Passed, Unit
from thirdvote.doctor.look_node import look

UNITS = """\
Id=corosync.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled

Id=corosync-qdevice.service
LoadState=loaded
ActiveState=failed
UnitFileState=disabled

Id=other.service
LoadState=not-found
ActiveState=inactive
"""

ADDRESSES = """\
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
1: lo    inet6 ::1/128 scope host \\       valid_lft forever preferred_lft forever
2: lan    inet 192.0.2.1/24 scope global lan\\       valid_lft forever preferred_lft forever
2: lan    inet6 2001:db8::1/64 scope global \\       valid_lft forever preferred_lft forever
2: lan    inet6 fe80::1/64 scope link \\       valid_lft forever preferred_lft forever
"""


def said(text: str, status: int = 0) -> str:
    return f"cat << 'END'\n{text}END\nexit {status}"


def host(folder: Path, **programs: str) -> RootHost:
    usual = {
        "corosync_quorumtool": said(HEAD + MEMBERS),
        "corosync_qdevice_tool": said(DEVICE),
        "corosync_cmapctl": said("quorum.device.votes (u32) = 1\ntotem.cluster_name (str) = my office\n"),
        "systemctl": said(UNITS),
        "journalctl": said("Can not connect\n"),
        "timedatectl": said("no\n"),
        "ip": said(ADDRESSES),
    }
    found = RootHost(folder, **{**usual, **programs})
    (found.root / "systemd/system").mkdir(parents=True)
    (found.root / "corosync/corosync.conf").write_text(CONF.replace("host: 192.0.2.20", f"host: 127.0.0.1\n      port: {free_port()}"))
    return found


def test_a_node(tmp_path: Path) -> None:
    here = host(tmp_path)
    node = look(here, is_this_host=True)
    assert (node.where, node.conf, node.has_systemd, node.clock_ahead_s, node.clock_synchronized) == (
        "n1", "/etc/corosync/corosync.conf", True, None, False,
    )  # fmt: skip
    assert node.conf_text == (here.root / "corosync/corosync.conf").read_text()
    assert node.units == (Unit("corosync", True, True), Unit("corosync-qdevice", False, False))
    assert node.in_force == {"quorum.device.votes": "1", "totem.cluster_name": "my office"}
    assert node.quorum is not None
    assert node.quorum.total_votes == 3
    assert node.device is not None
    assert node.device.state == "Connected"
    assert node.addresses == ("192.0.2.1", "2001:db8::1")
    assert node.resolved == ("127.0.0.1",)
    assert node.probe is not None
    assert (node.probe.passed, node.probe.problem) == (Passed.NOTHING, "connection refused")
    assert node.database is not None
    assert not node.database.exists


def test_daemons_that_do_not_run(tmp_path: Path) -> None:
    here = host(tmp_path, corosync_quorumtool="echo 'Cannot initialize' >&2; exit 1", corosync_qdevice_tool="echo 'no socket' >&2; exit 3")
    node = look(here, is_this_host=True)
    assert (node.quorum, node.quorum_problem, node.quorum_hangs) == (None, "Cannot initialize", False)
    assert (node.device, node.device_problem, node.device_hangs, node.device_log) == (None, "no socket", False, "Can not connect")


def test_daemons_that_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "COMMAND_S", 0.5)
    node = look(host(tmp_path, corosync_quorumtool="sleep 60", corosync_qdevice_tool="sleep 60"), is_this_host=True)
    assert (node.quorum, node.quorum_hangs, node.device, node.device_hangs) == (None, True, None, True)


def test_without_systemd(tmp_path: Path) -> None:
    here = host(tmp_path)
    (here.root / "systemd/system").rmdir()
    node = look(here, is_this_host=True)
    assert (node.has_systemd, node.units) == (False, ())


def test_the_file_of_proxmox_counts_where_it_is(tmp_path: Path) -> None:
    here = host(tmp_path)
    (here.root / "pve").mkdir()
    (here.root / "pve/corosync.conf").write_text("other\n")
    node = look(here, is_this_host=True)
    assert (node.conf, node.conf_text) == ("/etc/pve/corosync.conf", "other\n")
    assert (node.probe, node.database) == (None, None), "it names no arbitrator"


def test_a_name_that_nobody_knows(tmp_path: Path) -> None:
    here = host(tmp_path, getent="exit 2")
    node = look(here, is_this_host=True)
    assert (node.resolved, node.resolve_problem, node.probe) == ((), "status 2", None)


@pytest.mark.parametrize(("shown", "ahead"), [("$(($(date +%s) + 100)).5", 100.5), ("odd", None)])
def test_another_hosts_clock(tmp_path: Path, shown: str, ahead: float | None) -> None:
    """`date` there calls the real one by its path."""
    here = host(tmp_path, date=f"PATH={os.environ['PATH']}; echo {shown}")
    found = look(here, is_this_host=False).clock_ahead_s
    assert found == (None if ahead is None else pytest.approx(ahead, abs=10))


def test_what_is_a_node(tmp_path: Path) -> None:
    here = host(tmp_path)
    assert look_node.is_node(here)
    (here.root / "corosync/corosync.conf").unlink()
    assert not look_node.is_node(here)


@pytest.mark.parametrize(
    ("text", "place"),
    [(CONF, ("192.0.2.20", 5403)), (CONF.replace("tls: on", "port: 99"), ("192.0.2.20", 99)), (None, ("", 5403)), ("}", ("", 5403))],
)
def test_where_the_arbitrator_is(text: str | None, place: tuple[str, int]) -> None:
    assert look_node.device_place(text) == place
