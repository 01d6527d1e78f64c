from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.certificates import request
from tests.unit.pki.test_inventory import signed
from tests.unit.pki.test_running import SHOWN, voter
from thirdvote.cli.ca import ca
from thirdvote.errors import UserError
from thirdvote.pki import inventory, revocation, revocation_list, store

NOW = datetime.now(UTC)
NOT_CONNECTED = {"ok": True, "snapshot": {"clusters": []}}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store.ensure(tmp_path)
    return tmp_path


def _run(*arguments: object) -> None:
    ca.main([str(argument) for argument in arguments], standalone_mode=False)


def _listed(data: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[list[str]]:
    _run("list", "--data", data, *arguments)
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_nothing_yet(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _listed(data, capsys) == [["no", "certificate", "was", "signed", "yet"]]


def test_before_the_first_start(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no certificate authority"):
        _run("list", "--data", tmp_path / "nothing")


def test_what_is_valid_and_with_all_what_was(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.sign(data, request("web"), "web")
    inventory.add(data / "pki", [signed("67", "old", NOW - timedelta(days=1))], NOW - timedelta(days=2))
    store.sign(data, request("out"), "out")
    revocation.revoke(data, revocation.choose(data, "out"), "stolen")
    head, web = _listed(data, capsys)
    assert head == ["CLUSTER", "SERIAL", "SIGNED", "BY", "UNTIL", "STATE"]
    assert (web[0], web[3], web[5]) == ("web", "cli", "valid")
    _, old, out, web = _listed(data, capsys, "--all")
    assert (old[0], old[-1]) == ("old", "expired")
    assert (out[0], out[5:]) == ("out", ["revoked", "on", f"{NOW.astimezone():%Y-%m-%d}:", "stolen"])
    assert [row[0] for row in _listed(data, capsys, "web")] == ["CLUSTER", "web"]


def test_certificates_of_demos_are_no_clusters(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.sign(data, request("demo-x"), "demo-x", way="demo")
    _run("list", "--data", data)
    out, error = capsys.readouterr()
    assert "demo-x" not in out
    assert "1 more certificate" in error
    assert [row[0] for row in _listed(data, capsys, "--all")] == ["CLUSTER", "demo-x"]


def test_for_programs(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.sign(data, request("web"), "web", way="ssh", asked_by="192.0.2.7")
    _run("list", "--data", data, "--json")
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["cluster"], shown["way"], shown["asked_by"], shown["state"], shown["in_use"]) == (
        "web",
        "ssh",
        "192.0.2.7",
        "valid",
        False,
    )
    assert shown["last_used"] is None


def test_the_running_arbitrator_says_who_uses_them(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = [SHOWN, SHOWN | {"node": 2}]
    with voter(data / "control.sock", {"ok": True, "certificates": shown}):
        _, row = _listed(data, capsys)
    assert row[:2] == ["web", "67"]
    assert row[-5:] == ["shown", "by", "nodes", "1,", "2"]
    _, row = _listed(data, capsys)
    assert row[-4:-1] == ["last", "shown", "on"]


def test_one_that_does_not_answer_keeps_nobody_from_looking(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.sign(data, request("web"), "web")
    with voter(data / "control.sock", {"ok": False, "error": "unknown command", "hint": "known are status"}):
        _run("list", "--data", data)
    out, error = capsys.readouterr()
    assert "web" in out
    assert "the last use is not known: unknown command" in error


def test_revoked_and_the_arbitrator_is_told(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.sign(data, request("web"), "web")
    with voter(data / "control.sock", {"ok": True, "certificates": []}, NOT_CONNECTED, {"ok": True, "ended": 1}) as asked:
        _run("revoke", "web", "--reason", "stolen", "--data", data)
    assert asked == ["certificates", "snapshot", "reload-certificates"]
    out = capsys.readouterr().out
    assert "every other certificate for web is refused, too" in out
    assert "1 connection ended" in out
    assert revocation_list.read(data / "pki").refuse(1, [b"web"])


def test_revoked_while_no_arbitrator_runs(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.sign(data, request("web"), "web")
    (known,) = inventory.every(data / "pki")
    _run("revoke", known.serial_number[:8], "--data", data)
    out, error = capsys.readouterr()
    assert known.serial_number[:16] in out
    assert "every other" not in out
    assert "it will refuse them when it starts" in error


def test_one_that_only_a_node_has_shown_can_be_revoked(data: Path) -> None:
    """It was signed before there was an inventory."""
    shown = {"ok": True, "certificates": [SHOWN]}
    with voter(data / "control.sock", shown, NOT_CONNECTED, shown, {"ok": True, "ended": 1}):
        _run("revoke", "67", "--data", data)
    assert revocation_list.read(data / "pki").refuse(0x67, [b"web"])
