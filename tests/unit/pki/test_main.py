from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.pki.test_running import SHOWN, voter
from thirdvote.pki import inventory, issue, material, paths, renewal, rollover, store


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "thirdvote.pki", *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_the_answer_is_one_object(tmp_path: Path) -> None:
    ended = _run("ensure", str(tmp_path))
    assert (ended.returncode, ended.stderr) == (0, "")
    answer = json.loads(ended.stdout)
    assert answer["created"] is True
    assert answer["warnings"] == []
    assert {Path(path).name for path in answer["paths"].values()} == {"ca.crt", "server.crt", "server.key"}


def test_a_failure_is_a_line_and_a_hint(tmp_path: Path) -> None:
    (tmp_path / "pki").touch()
    ended = _run("ensure", str(tmp_path))
    assert (ended.returncode, ended.stdout) == (1, "")
    what, hint = ended.stderr.splitlines()
    assert f"{tmp_path}/pki" in what
    assert hint.startswith("hint: ")


def test_a_server_certificate_that_ends_soon_is_renewed_and_said(tmp_path: Path) -> None:
    store.ensure(tmp_path)
    folder, authority = paths.folder_in(tmp_path), store.load_authority(tmp_path)
    begin = datetime.now(UTC) - timedelta(days=800)
    soon = issue.Authority(issue.new_authority(authority.key, begin - issue.VALIDITY + timedelta(days=830)).certificate, authority.key)
    key = material.read_key(folder.server_key, "key")
    renewal.write(folder, issue.server_certificate(key.public_key(), soon, begin), begin)
    answer = json.loads(_run("ensure", str(tmp_path)).stdout)
    assert (answer["created"], answer["renewed"], answer["warnings"]) == (False, True, [])
    assert json.loads(_run("ensure", str(tmp_path)).stdout)["renewed"] is False


def test_while_authorities_change_the_voter_trusts_both(tmp_path: Path) -> None:
    store.ensure(tmp_path)
    rollover.begin(paths.folder_in(tmp_path), datetime.now(UTC))
    answer = json.loads(_run("ensure", str(tmp_path)).stdout)
    assert Path(answer["paths"]["ca_certificate"]).name == "trusted.crt"
    assert answer["facts"].keys() == {"authority", "server", "old_authority"}


def test_uses_are_recorded(tmp_path: Path) -> None:
    store.ensure(tmp_path)
    with voter(tmp_path / "s", {"ok": True, "certificates": [SHOWN]}):
        assert _run("record", str(tmp_path), str(tmp_path / "s")).returncode == 0
    assert [each.last_used_by for each in inventory.every(tmp_path / "pki")] == ["1"]
    assert _run("record", str(tmp_path), str(tmp_path / "nobody")).returncode == 0


@pytest.mark.parametrize("arguments", [(), ("ensure",), ("other", "x"), ("extract", "a")])
def test_usage(arguments: tuple[str, ...]) -> None:
    ended = _run(*arguments)
    assert ended.returncode == 1
    assert ended.stderr.startswith("usage: ")
