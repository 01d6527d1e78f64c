from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from tests.control_here import control_here
from thirdvote.cli.main import main
from thirdvote.errors import UsageError, UserError


def holder(node: int, because: str = "silent since 12:02:51") -> dict[str, Any]:
    return {"node": node, "connected": False, "because": because, "until": None, "until_s": None}


ONE = [holder(2)]
TWO = [*ONE, holder(3, because="was killed at 12:02:52")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def release(path: Path, *arguments: str, lost: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the arbitrator was asked to do."""
    with control_here(path, lost=lost) as requests:
        assert main(["release", "web", *arguments, "--control", str(path)], lambda settings, reload: None) == 0
    return [request for request in requests if not request.get("check")]


def test_it_names_the_node_and_the_risk_and_asks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    assert release(tmp_path / "c", lost=ONE) == [{"command": "release", "cluster": "web", "node": [2]}]
    shown = capsys.readouterr()
    assert shown.out == (
        "web: may still report quorum by the vote that it had:\n"
        "  node 2: silent since 12:02:51\n"
        "if node 2 still runs, both sides may write to the same storage\n"
        "node 2 counts as off; `thirdvote clusters web` shows who has the vote now\n"
    )
    assert shown.err == "type yes if you know that node 2 is off: "


def test_of_several_lost_nodes_those_that_were_shown_are_released(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    assert release(tmp_path / "c", lost=TWO) == [{"command": "release", "cluster": "web", "node": [2, 3]}]
    shown = capsys.readouterr()
    assert "if nodes 2 and 3 still run, both sides" in shown.out
    assert "nodes 2 and 3 count as off" in shown.out
    assert "that nodes 2 and 3 are off: " in shown.err


def test_one_of_several(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    assert release(tmp_path / "c", "3", lost=TWO) == [{"command": "release", "cluster": "web", "node": [3]}]
    assert "node 2" not in capsys.readouterr().out


@pytest.mark.parametrize("answer", ["y\n", "no\n", "YES\n", "\n", ""])
def test_whatever_is_not_yes_releases_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    with control_here(tmp_path / "c", lost=ONE) as requests, pytest.raises(UserError, match="nothing was released"):
        main(["release", "web", "--control", str(tmp_path / "c")], lambda settings, reload: None)
    assert [request["check"] for request in requests] == [True]


def test_a_script_has_to_say_that_it_is_sure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    with control_here(tmp_path / "c", lost=ONE) as requests, pytest.raises(UsageError, match="there is no terminal to ask at"):
        main(["release", "web", "--control", str(tmp_path / "c")], lambda settings, reload: None)
    assert [request["check"] for request in requests] == [True]
    assert release(tmp_path / "d", "--yes", lost=ONE) == [{"command": "release", "cluster": "web", "node": [2]}]
