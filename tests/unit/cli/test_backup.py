from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from thirdvote.cli.backup import backup, restore
from thirdvote.errors import UsageError, UserError
from thirdvote.net.instance import DataLock
from thirdvote.pki import store


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store.ensure(tmp_path / "data", datetime.now(UTC))
    return tmp_path / "data"


def run(command: object, *words: object) -> None:
    assert hasattr(command, "main")
    command.main([str(word) for word in words], standalone_mode=False)


def test_there_and_back(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(backup, tmp_path / "file", "--data", data)
    assert "not encrypted, with the authority's key in it: keep it safe" in capsys.readouterr().out
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    run(restore, tmp_path / "file", "--data", tmp_path / "new")
    assert "make sure that the arbitrator of before does not run any more" in capsys.readouterr().out
    assert (tmp_path / "new" / "pki" / "ca.key").read_bytes() == (data / "pki" / "ca.key").read_bytes()


def test_with_a_passphrase(data: Path, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("some words to keep\n")
    (tmp_path / "wrong").write_text("some other words\n")
    run(backup, tmp_path / "file", "--passphrase-file", tmp_path / "words", "--data", data)
    with pytest.raises(UserError, match="the passphrase is wrong"):
        run(restore, tmp_path / "file", "--passphrase-file", tmp_path / "wrong", "--data", tmp_path / "new")
    with pytest.raises(UsageError, match="a passphrase is needed"):
        run(restore, tmp_path / "file", "--data", tmp_path / "new")
    run(restore, tmp_path / "file", "--passphrase-file", tmp_path / "words", "--data", tmp_path / "new")
    assert (tmp_path / "new" / "pki" / "ca.key").exists()


def test_passphrases_that_are_none(data: Path, tmp_path: Path) -> None:
    (tmp_path / "short").write_text("short")
    (tmp_path / "long").write_text("x" * 2_000)
    for name, said in (("short", "fewer than 12 characters"), ("long", "that is no passphrase"), ("missing", "can not be read")):
        with pytest.raises(UserError, match=said):
            run(backup, tmp_path / "file", "--passphrase-file", tmp_path / name, "--data", data)
    assert not (tmp_path / "file").exists()


def test_a_file_that_is_there_is_never_replaced(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        run(backup, tmp_path / "file", "--data", data)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_place_that_is_not_there(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can not be written"):
        run(backup, tmp_path / "no" / "file", "--data", data)
    with pytest.raises(UserError, match="can not be read"):
        run(restore, tmp_path / "no" / "file", "--data", tmp_path / "new")


def test_nothing_is_left_of_one_that_failed(data: Path, tmp_path: Path) -> None:
    (data / "history.db").write_text("no database" * 100)
    with pytest.raises(UserError):
        run(backup, tmp_path / "file", "--data", data)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_not_under_a_running_arbitrator(data: Path, tmp_path: Path) -> None:
    run(backup, tmp_path / "file", "--data", data)
    lock = DataLock(data)
    lock.take()
    try:
        with pytest.raises(UserError, match=rf"another thirdvote serve is running on .* \(pid {os.getpid()}\)"):
            run(restore, tmp_path / "file", "--force", "--data", data)
    finally:
        lock.release()
