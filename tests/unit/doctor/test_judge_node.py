from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.doctor_here import CONF, DEVICE, UNITS, ids, node, only, quorum
from thirdvote.doctor.facts import Unit
from thirdvote.doctor.judge_node import judge

WITHOUT_DEVICE = CONF[: CONF.index("  device {")] + "}\n"


def found(**changes: Any) -> list[str]:
    return ids(judge(node(**changes)))


def device(**changes: Any) -> list[str]:
    flags = changes.pop("flags", "A,NV,NMW")
    return found(device=replace(DEVICE, **changes), quorum=quorum(flags, "A,V,NMW"))


def test_nothing_is_wrong() -> None:
    assert found() == []
    assert only(judge(node()), "device-votes").evidence == "corosync-quorumtool -s: A,V,NMW; State: Connected"


def test_programs_and_units() -> None:
    assert found(missing_programs=("certutil", "pk12util")) == ["program-missing"]
    finding = only(judge(node(units=(UNITS[0], Unit("corosync-qdevice", True, False)))), "unit-not-enabled")
    assert finding.fix == ("systemctl", "enable", "corosync-qdevice")
    assert only(judge(node(units=(Unit("corosync", True, False),))), "unit-not-enabled").fix == (), "Pacemaker may start it"


def test_corosync_that_does_not_run() -> None:
    off: dict[str, Any] = {"quorum": None, "device": None, "in_force": {}}
    assert found(**off, quorum_problem="Cannot initialize CMAP service") == ["corosync-not-running"]
    assert only(judge(node(**off)), "corosync-not-running").fix == (), "what it starts may start more"
    assert found(**off, quorum_hangs=True) == ["corosync-hangs"]
    assert found(**off, missing_programs=("corosync-quorumtool",)) == ["program-missing"]


def test_membership() -> None:
    assert found(quorum=quorum("A,V,NMW", "A,V,NMW", quorate=False)) == ["not-quorate"]
    finding = only(judge(node(quorum=quorum("A,V,NMW"))), "nodes-missing")
    assert "n2" in finding.what


# ---- a device that does not vote, row by row


def test_nack_by_the_algorithm() -> None:
    assert device(is_casting=False) == ["vote-refused"]


@pytest.mark.parametrize("state", ["Connecting", "Connect failed", "Disconnected"])
def test_no_arbitrator(state: str) -> None:
    assert device(state=state, is_casting=False) == ["device-not-connected"]


def test_waiting_for_the_arbitrator() -> None:
    assert device(is_casting=None) == ["device-waits"]


def test_the_daemon_hangs_or_waits_longer_than_the_timeout() -> None:
    assert device(flags="NA,NV,NMW") == ["device-hangs"]
    assert found(device=None, device_hangs=True, quorum=quorum("NA,NV,NMW", "A,V,NMW")) == ["device-hangs"]


@pytest.mark.parametrize(("flags", "words"), [("NA,NV,NMW", "was killed"), ("NR", "ended in order"), ("", "ended in order")])
def test_the_daemon_does_not_run(flags: str, words: str) -> None:
    finding = only(judge(node(device=None, quorum=quorum(flags, "A,V,NMW"), device_problem="can't connect")), "device-not-running")
    assert words in finding.what
    assert finding.fix == ()


@pytest.mark.parametrize(("enabled", "fix"), [(True, ("systemctl", "start", "corosync-qdevice")), (False, ())])
def test_only_what_is_to_run_is_started(enabled: bool, fix: tuple[str, ...]) -> None:
    units = (UNITS[0], Unit("corosync-qdevice", False, enabled))
    assert only(judge(node(device=None, units=units, quorum=quorum("NR", "A,V,NMW"))), "device-not-running").fix == fix


def test_a_daemon_that_corosync_does_not_know() -> None:
    assert device(flags="NR") == ["device-not-running"]


def test_a_daemon_that_casts_without_an_arbitrator() -> None:
    assert device(state="Connect failed", is_casting=True, flags="A,V,NMW") == ["device-casts-alone"]


def test_heuristics_that_fail() -> None:
    assert device(heuristics="Fail", flags="A,V,NMW") == ["heuristics-fail"]


def test_settings_from_before() -> None:
    assert device(qnetd_host="192.0.2.9:5403", flags="A,V,NMW") == ["device-settings-old"]
    assert device(timeout_ms=10_000, flags="A,V,NMW") == ["device-settings-old"]


def test_without_a_device_none_is_missed() -> None:
    assert found(conf_text=WITHOUT_DEVICE, device=None, quorum=quorum("", "")) == []


@pytest.mark.parametrize(
    ("flags", "kind"),
    [("NR", "device-not-running"), ("NA,NV,NMW", "device-hangs"), ("NA,V,NMW", "device-hangs"), ("A,NV,NMW", "vote-refused")],
)
def test_what_corosync_says_of_another_node(flags: str, kind: str) -> None:
    finding = only(judge(node(quorum=quorum("A,V,NMW", flags))), kind)
    assert finding.where == "node 2, as n1 sees it"
    assert finding.fix == ()


def test_a_clock_that_nobody_sets() -> None:
    assert found(clock_synchronized=False) == ["clock-not-synchronized"]
    assert found(clock_synchronized=None) == []
