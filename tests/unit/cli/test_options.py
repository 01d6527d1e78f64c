from __future__ import annotations

from pathlib import Path

import pytest

from tests.control_here import control_here
from thirdvote.cli import settings
from thirdvote.cli.options import control_client, given
from thirdvote.errors import UserError


def test_given_is_what_was_said() -> None:
    assert given({"tls": "on", "client_cert": None, "log_level": "debug", "config": "f", "wants_json": True}) == {
        "tls": "on",
        "log-level": "debug",
        "config": "f",
    }


def test_the_socket_that_is_named(tmp_path: Path) -> None:
    with control_here(tmp_path / "c"), control_client({"control": str(tmp_path / "c")}) as client:
        assert client.request({"command": "status"})["status"]["pid"] == 4711


def test_without_a_name_the_one_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a voter that runs here as `corosync-qnetd`."""
    monkeypatch.setattr(settings, "DATA_OF_ROOT", str(tmp_path / "none"))
    monkeypatch.setattr(settings, "STOCK_CONTROL", str(tmp_path / "stock"))
    monkeypatch.setattr(settings, "user_data_home", lambda: str(tmp_path))
    with control_here(tmp_path / "stock"), control_client({}) as client:
        assert client.request({"command": "status"})["ok"]
    with control_client({}) as client, pytest.raises(UserError, match="no arbitrator is running here"):
        client.request({"command": "status"})


def test_a_name_is_not_replaced_by_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "STOCK_CONTROL", str(tmp_path / "stock"))
    with (
        control_here(tmp_path / "stock"),
        control_client({"data": str(tmp_path / "d")}) as client,
        pytest.raises(UserError, match=r"d/control\.sock"),
    ):
        client.request({"command": "status"})
