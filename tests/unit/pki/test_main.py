from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


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


@pytest.mark.parametrize("arguments", [(), ("ensure",), ("other", "x"), ("extract", "a")])
def test_usage(arguments: tuple[str, ...]) -> None:
    ended = _run(*arguments)
    assert ended.returncode == 1
    assert ended.stderr.startswith("usage: ")
