from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.certificates import request
from tests.unit.pki.test_running import SHOWN, voter
from thirdvote.cli.ca import ca
from thirdvote.errors import UsageError, UserError
from thirdvote.pki import paths, rollover, store


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store.ensure(tmp_path)
    return tmp_path


def _run(*arguments: object) -> None:
    ca.main([str(argument) for argument in arguments], standalone_mode=False)


def _backups(data: Path) -> list[Path]:
    return sorted(path for path in data.iterdir() if path.name.startswith("pki-"))


def test_the_servers_certificate_by_hand(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = store.facts(data)[1].serial_number
    with voter(data / "control.sock", {"ok": True, "ended": 0}) as asked:
        _run("renew", "--data", data)
    assert asked == ["reload-certificates"]
    assert store.facts(data)[1].serial_number != before
    assert "those that are there go on" in capsys.readouterr().out
    assert _backups(data) == []


def test_one_authority_after_the_other(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.sign(data, request("web"), "web")
    _run("renew", "--authority", "--data", data)
    out, error = capsys.readouterr()
    assert "QNet CA 2 is the authority from now on" in out
    assert str(_backups(data)[0]) in error
    _run("show", "--data", data)
    assert "1 cluster still needs the old one:\n  web: has no certificate of the new authority" in capsys.readouterr().out
    with pytest.raises(UserError, match="still needed: web: has no certificate"):
        _run("renew", "--finish", "--data", data)
    store.sign(data, request("web"), "web")
    _run("show", "--data", data)
    assert "nobody that is known needs the old one" in capsys.readouterr().out
    _run("renew", "--finish", "--data", data)
    assert not rollover.is_under_way(paths.folder_in(data))
    assert "trusted no more" in capsys.readouterr().out


def test_a_node_that_still_shows_the_old_ones(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run("renew", "--authority", "--data", data)
    capsys.readouterr()
    with voter(data / "control.sock", {"ok": True, "certificates": [SHOWN]}):
        _run("show", "--data", data, "--json")
    assert json.loads(capsys.readouterr().out)["need_the_old_authority"] == {"web": "node 1 still shows a certificate of the old authority"}


def test_by_force(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.sign(data, request("web"), "web")
    _run("renew", "--authority", "--data", data)
    _run("renew", "--finish", "--force", "--data", data)
    assert "1 cluster can not connect again until enrolled anew: web" in capsys.readouterr().out
    _run("list", "--data", data, "--all")
    assert "of an authority that is gone" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [("--authority", "--finish"), ("--force",), ("--authority", "--force")])
def test_what_does_not_go_together(data: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        _run("renew", *arguments, "--data", data)


@pytest.mark.parametrize(
    ("first", "second", "match"), [((), ("--finish",), "no new authority"), (("--authority",), ("--authority",), "already")]
)
def test_steps_out_of_order_change_nothing(data: Path, first: tuple[str, ...], second: tuple[str, ...], match: str) -> None:
    if first:
        _run("renew", *first, "--data", data)
    before = {path.name: path.read_bytes() for path in (data / "pki").iterdir()}
    backups = _backups(data)
    with pytest.raises(UserError, match=match):
        _run("renew", *second, "--data", data)
    assert {path.name: path.read_bytes() for path in (data / "pki").iterdir()} == before
    assert _backups(data) == backups


def test_before_the_first_start(tmp_path: Path) -> None:
    for arguments in ((), ("--authority",), ("--finish",)):
        with pytest.raises(UserError, match="there is no certificate authority"):
            _run("renew", *arguments, "--data", tmp_path / "nothing")
