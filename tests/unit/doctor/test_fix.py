from __future__ import annotations

from pathlib import Path

from tests.nodes_here import nodes_here
from thirdvote.device.host import LocalHost
from thirdvote.doctor.findings import Finding, Kind
from thirdvote.doctor.fix import Done, fix


def finding(*command: str, where: str = "n1") -> Finding:
    return Finding(Kind.DATA_OPEN, where, "open", fix=command)


def test_each_command_once_and_said_before(tmp_path: Path) -> None:
    path = tmp_path / "a file"
    path.touch(mode=0o644)
    said: list[str] = []
    command = ("chmod", "600", str(path))
    done = fix([finding(*command), finding(*command), finding()], {"n1": LocalHost("n1")}, said.append)
    assert said == [f"n1: chmod 600 '{path}'"]
    assert done == [Done("n1", f"chmod 600 '{path}'", "")]
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_fails_is_said(tmp_path: Path) -> None:
    (done,) = fix([finding("chmod", "600", str(tmp_path / "none"))], {"n1": LocalHost("n1")}, lambda text: None)
    assert "No such file" in done.problem


def test_a_host_that_is_not_reached_any_more(tmp_path: Path) -> None:
    host = nodes_here(tmp_path, "").hosts[0]
    host.fails = {"unreachable"}
    (done,) = fix([finding("systemctl", "start", "corosync-qdevice")], {"n1": host}, lambda text: None)
    assert "can not be reached" in done.problem


def test_nothing_but_what_is_safe_is_done(tmp_path: Path) -> None:
    for command in (
        ("systemctl", "stop", "corosync"),
        ("rm", "-r", str(tmp_path)),
        ("corosync-cfgtool", "-H"),
        ("systemctl", "restart", "x"),
    ):
        assert fix([finding(*command)], {"n1": LocalHost("n1")}, lambda text: None) == []
    assert tmp_path.exists()


def test_a_host_that_nobody_knows() -> None:
    assert fix([finding("chmod", "600", "x", where="node 2, as n1 sees it")], {"n1": LocalHost("n1")}, lambda text: None) == []
