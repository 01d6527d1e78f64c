from __future__ import annotations

from pathlib import Path

import pytest

from tests.control_here import control_here
from thirdvote.__main__ import dispatch
from thirdvote.cli.doctor_quick import simple
from thirdvote.config import Settings
from thirdvote.config_sources import resolve
from thirdvote.doctor import quick
from thirdvote.errors import UserError


def test_one_line_and_a_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(quick, "answers", lambda host, port: "")
    with control_here(tmp_path / "c"):
        for arguments in (["--quick", "--control", str(tmp_path / "c")], ["--control", str(tmp_path / "c"), "--quick"]):
            assert dispatch("thirdvote", ["doctor", *arguments]) == 0
            assert capsys.readouterr().out == "the arbitrator answers on port 5403: 0 connections, 0 clusters\n"


def test_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no arbitrator is running here"):
        dispatch("thirdvote", ["doctor", "--quick", "--data", str(tmp_path)])


@pytest.mark.parametrize(
    ("arguments", "environment", "control"),
    [
        (["--control", "c"], {"THIRDVOTE_DATA": "d"}, "c"),
        (["--data", "d"], {}, "d/control.sock"),
        ([], {"THIRDVOTE_DATA": "d"}, "d/control.sock"),
        ([], {"THIRDVOTE_DATA": "d", "THIRDVOTE_CONTROL": "c"}, "c"),
        ([], {}, None),
        ([], {"THIRDVOTE_DATA": "d", "THIRDVOTE_CONFIG": "f"}, None),
        (["--json"], {"THIRDVOTE_DATA": "d"}, None),
        (["--config", "f"], {"THIRDVOTE_DATA": "d"}, None),
        (["--data=d"], {}, None),
        (["--data", "--help"], {}, None),
    ],
)
def test_the_socket_is_the_one_that_all_commands_ask(arguments: list[str], environment: dict[str, str], control: str | None) -> None:
    """Where it can be told without reading more; the others go the way of all commands."""
    assert simple(["doctor", "--quick", *arguments], environment) == control
    flags = dict(zip((name.removeprefix("--") for name in arguments[::2]), arguments[1::2], strict=False))
    if control is not None:
        assert resolve(flags, environment, None, "/default", Settings()).settings.control == control


def test_other_commands_are_not_for_it() -> None:
    assert simple(["doctor", "--data", "d"], {}) is None
    assert simple(["status", "--quick"], {}) is None


def test_with_anything_else_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch("thirdvote", ["doctor", "--quick", "--help"]) == 0
    assert "Usage: thirdvote doctor" in capsys.readouterr().out
