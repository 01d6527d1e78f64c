from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.certificates import request
from tests.unit.pki.test_running import NEEDED, voter
from thirdvote.cli.ca import ca
from thirdvote.cli.vote_needed import check_not_needed
from thirdvote.errors import UserError
from thirdvote.pki import inventory, store

SNAPSHOT = {"ok": True, "snapshot": {"clusters": [NEEDED]}}


def test_a_cluster_that_needs_the_vote(tmp_path: Path) -> None:
    with voter(tmp_path / "s", SNAPSHOT), pytest.raises(UserError) as refused:
        check_not_needed(tmp_path / "s", "web", "nothing was revoked")
    assert str(refused.value) == "nothing was revoked: node 1 of web has quorum only by the arbitrator's vote now, and would lose it"
    assert "--force" in (refused.value.hint or "")


def test_nobody_runs(tmp_path: Path) -> None:
    check_not_needed(tmp_path / "s", "web", "nothing was revoked")


def test_a_voter_that_can_not_say_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with voter(tmp_path / "s", {"ok": False, "error": "busy", "hint": "again"}):
        check_not_needed(tmp_path / "s", "web", "nothing was revoked")
    assert "it is not known whether web needs the vote now: busy" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["revoke", "sign"])
def test_the_commands_leave_everything_as_it_is_unless_they_are_forced(tmp_path: Path, command: str) -> None:
    store.ensure(tmp_path, datetime.now(UTC))
    store.sign(tmp_path, request("web"), "web")
    (tmp_path / "csr").write_bytes(request("web"))
    wanted = ["web"] if command == "revoke" else [str(tmp_path / "csr"), "--name", "web", "--replace", "--out", str(tmp_path / "crt")]
    words = [command, *wanted, "--data", str(tmp_path)]
    none_shown, done = {"ok": True, "certificates": []}, {"ok": True, "ended": 1}
    answers = [none_shown, SNAPSHOT] if command == "revoke" else [SNAPSHOT]
    with voter(tmp_path / "control.sock", *answers), pytest.raises(UserError, match="would lose it"):
        ca.main(words, standalone_mode=False)
    assert [each.revoked_at for each in inventory.every(tmp_path / "pki")] == [None]
    (tmp_path / "control.sock").unlink()
    with voter(tmp_path / "control.sock", *([none_shown, done] if command == "revoke" else [done])):
        ca.main([*words, "--force"], standalone_mode=False)
    assert [each.revoked_at is None for each in inventory.every(tmp_path / "pki")].count(False) == 1
