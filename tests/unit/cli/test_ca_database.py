from __future__ import annotations

from pathlib import Path

import pytest

from tests.certificates import request
from tests.unit.pki.test_running import voter
from thirdvote.cli.ca import ca
from thirdvote.errors import UserError
from thirdvote.pki import inventory, revocation, stock, store


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "nssdb"
    stock.initialize(folder, stock.GROUP_WRITES, lambda text: None)
    stock.sign(folder, request("web"), "web", lambda text: None)
    return folder


def _run(*arguments: object) -> None:
    ca.main([str(argument) for argument in arguments], standalone_mode=False)


def test_in_and_what_is_next(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run("import-nss", source, "--data", tmp_path / "data")
    out, error = capsys.readouterr()
    assert "1 cluster with a certificate in it: web" in out
    assert "stop corosync-qnetd" in error
    assert [each.cluster for each in inventory.every(tmp_path / "data" / "pki")] == ["web"]


def test_under_an_arbitrator_that_runs(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    store.ensure(data)
    (source / "cluster-broken.crt").write_bytes(b"rubbish")
    with pytest.raises(UserError, match="has an authority already"):
        _run("import-nss", source, "--data", data)
    with voter(data / "control.sock", {"ok": True, "ended": 0}) as asked:
        _run("import-nss", source, "--data", data, "--force")
    assert asked == ["reload-certificates"]
    out, error = capsys.readouterr()
    assert "the running arbitrator uses it" in out
    assert "left out: " in error
    assert "what was there before is in " in error


def test_out_with_a_word_on_what_is_revoked(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    _run("import-nss", source, "--data", data)
    _run("export-nss", tmp_path / "first", "--data", data)
    assert "revoked" not in capsys.readouterr().err
    revocation.revoke(data, revocation.choose(data, "web"), "")
    _run("export-nss", tmp_path / "second", "--data", data)
    out, error = capsys.readouterr()
    assert "1 certificate revoked here would be accepted there" in error
    assert "systemctl start corosync-qnetd" in out
    assert stock.exists(tmp_path / "second")
