from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.certificates import request
from thirdvote.backup import content
from thirdvote.errors import UserError
from thirdvote.pki import store


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store.ensure(tmp_path, datetime.now(UTC))
    store.sign(tmp_path, request("web"), "web")
    (tmp_path / "enroll").mkdir()
    (tmp_path / "enroll" / "ssh_host_ed25519_key").write_text("key")
    (tmp_path / "enroll-tokens.json").write_text("{}")
    (tmp_path / "ledger.db").write_text("votes")
    (tmp_path / "control.sock").touch()
    (tmp_path / "pki" / ".new-x").write_text("unfinished")
    (tmp_path / "pki" / "before").mkdir()
    return tmp_path


def test_all_that_lasts_and_nothing_else(data: Path) -> None:
    with content.parts(data) as parts:
        found = {part.name: part.content.read() for part in parts}
        modes = {part.name: part.mode for part in parts}
    pki = {f"pki/{path.name}" for path in (data / "pki").iterdir() if path.is_file() and not path.name.startswith(".")}
    assert found.keys() == pki | {"enroll/ssh_host_ed25519_key", "enroll-tokens.json", "ledger.generation"}
    assert found["pki/ca.key"] == (data / "pki" / "ca.key").read_bytes()
    assert (modes["pki/ca.key"], modes["pki/ca.crt"]) == (0o600, 0o644)
    assert found["ledger.generation"] == content.GENERATION_OF_NONE


def test_a_history_that_is_written_to_meanwhile(data: Path) -> None:
    with closing(sqlite3.connect(data / "history.db")) as database:
        database.execute("CREATE TABLE event (text)")
        database.execute("INSERT INTO event VALUES ('one')")
        database.commit()
        with content.parts(data) as parts:
            (copy,) = [part.content.read() for part in parts if part.name == "history.db"]
    (data / "copy.db").write_bytes(copy)
    with closing(sqlite3.connect(data / "copy.db")) as database:
        assert database.execute("SELECT text FROM event").fetchall() == [("one",)]


def test_a_history_that_is_none(data: Path) -> None:
    (data / "history.db").write_text("no database at all" * 100)
    with pytest.raises(UserError, match=r"history\.db, can not be copied"), content.parts(data):
        pass


def test_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is nothing to back up"), content.parts(tmp_path / "nothing"):
        pass
