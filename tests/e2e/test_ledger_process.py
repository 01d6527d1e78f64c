"""The voter as a process, with its ledger in each state in which a start can find it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.ledger_here import WEB, ended_ledger, record_with, small_file_system
from tests.voter_process import VoterProcess, voter_process
from thirdvote.ledger.sqlite import SqliteLedger

needs_mount = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="needs root, to mount a small file system")


def ledger_of(voter: VoterProcess) -> dict[str, Any]:
    found: dict[str, Any] = voter.status()["ledger"]
    return found


def test_a_first_start_and_the_next(tmp_path: Path) -> None:
    with voter_process(tmp_path, "--tls", "off") as voter:
        voter.wait_for_log(" info    ledger: there is no ledger yet: ")
        found = ledger_of(voter)
        assert found["path"] == str(voter.data / "ledger.db")
        assert (found["state"], found["problem"], found["hint"]) == ("ok", None, None)
        assert (found["records"], found["past_complete"], found["commits"], found["last_commit_ms"]) == (0, False, 0, None)
        assert voter.stop() == 0
    assert not (voter.data / "ledger.db-wal").exists()
    with voter_process(tmp_path, "--tls", "off") as voter:
        voter.wait_for_log(" warning ledger: the start before had doubts about the ledger, and ended before they were over: ")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_what_is_known_of_the_past_is_known_after_any_end(tmp_path: Path, end: signal.Signals) -> None:
    voter = VoterProcess(tmp_path, "--tls", "off")
    voter.data.mkdir()
    ended_ledger(voter.data / "ledger.db")
    for _ in range(2):
        voter = VoterProcess(tmp_path, "--tls", "off")
        voter.start()
        found = ledger_of(voter)
        assert (found["records"], found["past_complete"]) == (1, True)
        voter.stop(end)
        assert "ledger:" not in voter.log()


def test_a_restored_one_is_said(tmp_path: Path) -> None:
    voter = VoterProcess(tmp_path, "--tls", "off")
    voter.data.mkdir()
    ended_ledger(voter.data / "ledger.db")
    (voter.data / "ledger.db").rename(tmp_path / "backup")
    shutil.copy(tmp_path / "backup", voter.data / "ledger.db")
    with voter_process(tmp_path, "--tls", "off") as voter:
        voter.wait_for_log(" warning ledger: the ledger is a copy, or was restored: later records may be missing in it: ")
        assert ledger_of(voter)["past_complete"] is False


def test_a_damaged_one_is_left_alone_and_the_voter_starts(tmp_path: Path) -> None:
    voter = VoterProcess(tmp_path, "--tls", "off")
    voter.data.mkdir()
    path = voter.data / "ledger.db"
    path.write_bytes(b"nothing that could be read" * 400)
    with voter_process(tmp_path, "--tls", "off") as voter:
        line = voter.wait_for_log(" error   ledger: ")
        assert f"no vote is given that needs a new record: the ledger {path} is damaged (file is not a database)" in line
        assert f"(hint: to begin a new one, `mv {path} {path}.broken`; each cluster then waits once" in line
        found = ledger_of(voter)
        assert (found["state"], found["past_complete"]) == ("failing", False)
        assert found["problem"] in line
        assert found["hint"] in line
        assert voter.stop() == 0
    assert path.read_bytes() == b"nothing that could be read" * 400
    assert not path.with_suffix(".generation").exists()


def test_one_that_is_locked_can_still_be_read(tmp_path: Path) -> None:
    voter = VoterProcess(tmp_path, "--tls", "off")
    voter.data.mkdir()
    path = voter.data / "ledger.db"
    ended_ledger(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with voter_process(tmp_path, "--tls", "off") as voter:
            voter.wait_for_log(f"the ledger {path} is locked by another program (hint: find it with `fuser {path}` and end it)")
            assert (ledger_of(voter)["state"], ledger_of(voter)["past_complete"]) == ("failing", True)
        other.execute("ROLLBACK")


@needs_mount
def test_a_disk_that_is_full_at_the_start(tmp_path: Path) -> None:
    voter = VoterProcess(tmp_path, "--tls", "off")
    with small_file_system(voter.data):
        ended_ledger(voter.data / "ledger.db")
        (voter.data / "lock").write_text("1\n", encoding="ascii")
        with pytest.raises(OSError, match="No space left"):
            (voter.data / "other").write_bytes(bytes(1 << 20))
        with voter_process(tmp_path, "--tls", "off") as voter:
            voter.wait_for_log(f"can not be written: no room is left on its file system (hint: make room: `df {voter.data}`)")
            assert ledger_of(voter)["past_complete"] is True
        (voter.data / "other").unlink()
        ledger = SqliteLedger(voter.data / "ledger.db")
        assert ledger.open().records == {WEB: record_with(1, 2)}
        ledger.close()
