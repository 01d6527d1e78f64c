from __future__ import annotations

from pathlib import Path

import pytest

from thirdvote.cli.settings import FILE_BYTES_MAX, load, plain_flags, user_data_home
from thirdvote.config import Settings
from thirdvote.domain import TlsSupport
from thirdvote.errors import UserError


def test_the_file_is_named_by_flag_or_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("tls = 'on'")
    other.write_text("tls = 'off'")
    monkeypatch.setenv("THIRDVOTE_CONFIG", str(other))
    assert load({}).settings.tls is TlsSupport.UNSUPPORTED
    assert load({"config": str(one)}).settings.tls is TlsSupport.SUPPORTED
    assert load({"config": str(one), "tls": "required"}).settings.tls is TlsSupport.REQUIRED


def test_roots_commands_read_the_services_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "thirdvote.toml"
    monkeypatch.setattr("thirdvote.cli.settings.SYSTEM_CONFIG", str(file))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.delenv("THIRDVOTE_CONFIG", raising=False)
    assert load({}).settings.data == "/var/lib/thirdvote"
    file.write_text("data = '/srv/thirdvote'")
    assert load({}).settings.data == "/srv/thirdvote"
    assert load({}, data="/of/a/stock/name").settings.data == "/of/a/stock/name"
    monkeypatch.setenv("THIRDVOTE_CONFIG", "")
    assert load({}).settings.data == "/var/lib/thirdvote"
    monkeypatch.delenv("THIRDVOTE_CONFIG")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert load({}).settings.data != "/srv/thirdvote"


def test_defaults_and_data_of_the_caller() -> None:
    found = load({}, Settings(tls=TlsSupport.SUPPORTED), data="/somewhere").settings
    assert (found.tls, found.data) == (TlsSupport.SUPPORTED, "/somewhere")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff", "is not UTF-8 in line 1"), (b"\n\n\xff", "is not UTF-8 in line 3"), (b"#" * (FILE_BYTES_MAX + 1), "has more than")],
)
def test_a_file_that_can_not_be_used(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(content)
    with pytest.raises(UserError, match=message):
        load({"config": str(file)})


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a directory"):
        load({"config": str(tmp_path)})
    with pytest.raises(UserError, match="no such file"):
        load({"config": str(tmp_path / "nowhere")})


def test_data_of_a_plain_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", "/x")
    assert user_data_home() == "/x"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/h")
    assert user_data_home() == "/h/.local/share"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert user_data_home() is None


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        ([], {}),
        (["--tls", "on"], {"tls": "on"}),
        (["--tls=on", "--listen", "[::1]:5403", "--config=f"], {"tls": "on", "listen": "[::1]:5403", "config": "f"}),
        (["--tls=on", "--tls=off"], {"tls": "off"}),
        (["--data="], {"data": ""}),
    ],
)
def test_plain_flags(arguments: list[str], flags: dict[str, str]) -> None:
    assert plain_flags(arguments) == flags


@pytest.mark.parametrize(
    "arguments", [["--help"], ["-h"], ["--tls"], ["on"], ["--nothing=1"], ["--tls", "--data"], ["--", "--tls=on"], ["tls=on"]]
)
def test_whatever_needs_help_or_an_explanation_is_not_plain(arguments: list[str]) -> None:
    assert plain_flags(arguments) is None
