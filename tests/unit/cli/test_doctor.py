from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.doctor_here import arbitrator, facts, node, quorum
from thirdvote.cli import doctor as module
from thirdvote.cli.main import main
from thirdvote.device.host import LocalHost
from thirdvote.doctor import quick
from thirdvote.doctor.examine import Examined, Wanted
from thirdvote.doctor.facts import Facts, File
from thirdvote.errors import UsageError


class Seen:
    """Facts in place of hosts, one after the other; the last ones stay."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.facts: list[Facts] = [facts(node())]
        self.wanted: list[Wanted] = []
        monkeypatch.setattr(module, "examine", self._examine)

    def _examine(self, wanted: Wanted, connections: Any) -> Examined:
        self.wanted.append(wanted)
        now = self.facts.pop(0) if len(self.facts) > 1 else self.facts[0]
        return Examined(now, {"n1": LocalHost("n1")})


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    return Seen(monkeypatch)


def doctor(*arguments: str) -> int:
    return main(["doctor", *arguments], lambda settings, reload: None)


def test_all_well(seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor() == 0
    assert capsys.readouterr().out == (
        "ok      n1: the device has the arbitrator's vote [device-votes]\n"
        "ok      n1: the arbitrator at 192.0.2.20:5403 answers by TLS, round trip 1.0 ms [arbitrator-reached]\n"
        "all well\n"
    )


def test_a_failure_with_what_was_seen_and_what_to_do(seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    seen.facts = [facts(node(device=None, quorum=quorum("NR", "A,V,NMW"), device_problem="no socket"))]
    assert doctor() == 2
    shown = capsys.readouterr().out
    assert shown.startswith(
        "failure n1: corosync-qdevice does not run (it ended in order), so this node has no vote of the arbitrator [device-not-running]\n"
        "        seen  corosync-quorumtool -s: NR; no socket\n"
        "        do    systemctl enable --now corosync-qdevice\n"
        "              journalctl -u corosync-qdevice -n 20\n"
    )
    assert shown.endswith("\n1 failure\n")


def test_the_status_says_the_worst(seen: Seen) -> None:
    seen.facts = [facts(node(clock_synchronized=False))]
    assert doctor() == 0, "a note is none"
    seen.facts = [facts(node(quorum=quorum("A,V,NMW")))]
    assert doctor() == 1


def test_for_programs(seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    seen.facts = [facts(node(quorum=quorum("A,V,NMW")))]
    assert doctor("--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["worst"], found["fixed"]) == ("warning", [])
    assert found["findings"][0]["id"] == "nodes-missing"


def open_database(path: Path) -> Facts:
    path.touch()
    path.chmod(0o644)
    return facts(arbitrators=(arbitrator(where="n1", files=(File(str(path), 0o644, 0, False, True),)),))


def test_fix_says_what_it_does_and_looks_again(seen: Seen, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen.facts = [open_database(tmp_path / "ca.key"), facts(node())]
    assert doctor("--fix") == 0
    assert capsys.readouterr().out.startswith(f"mending: n1: chmod 600 {tmp_path}/ca.key\nok ")
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
    assert len(seen.wanted) == 2


def test_without_fix_nothing_is_changed(seen: Seen, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen.facts = [open_database(tmp_path / "ca.key")]
    assert doctor() == 2
    assert capsys.readouterr().out.endswith("1 failure; --fix mends 1 of them\n")
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o644


def test_a_fix_that_fails(seen: Seen, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen.facts = [open_database(tmp_path / "ca.key")]
    (tmp_path / "ca.key").unlink()
    assert doctor("--fix", "--json") == 2
    shown = capsys.readouterr()
    assert "warning: n1: chmod 600" in shown.err
    assert json.loads(shown.out)["fixed"][0]["problem"]


def test_what_is_looked_at(seen: Seen, tmp_path: Path) -> None:
    doctor("--as", "node", "--here", "--ssh", "ssh -p 2022", "--data", str(tmp_path))
    (wanted,) = seen.wanted
    assert (wanted.role, wanted.fellows, wanted.ssh, wanted.named) == ("node", False, ("ssh", "-p", "2022"), ())
    assert (wanted.settings.data, wanted.settings.control) == (str(tmp_path), str(tmp_path / "control.sock"))


def test_an_arbitrator_that_is_found_elsewhere(seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "control_path", lambda resolved: str(tmp_path / "control.sock"))
    doctor()
    assert seen.wanted[0].settings.data == str(tmp_path)


@pytest.mark.parametrize("arguments", [("n1", "--here"), ("n1", "--as", "node"), ("--ssh", ""), ("--ssh", "'")])
def test_what_does_not_go_together(seen: Seen, arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        doctor(*arguments)


def test_quick_with_other_options(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setattr(quick, "check", lambda control: f"asked {control}")
    assert doctor("--quick", "--control", str(tmp_path / "c"), "--json") == 0
    assert capsys.readouterr().out == f"asked {tmp_path}/c\n"
