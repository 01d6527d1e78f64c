"""The process as such; what it does is tested in tests/e2e/test_enroll_process.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from thirdvote.enroll.settings import EnrollSettings

COMMAND = [sys.executable, "-m", "thirdvote.enroll"]


def test_without_settings_it_says_who_starts_it() -> None:
    ended = subprocess.run(COMMAND, input="", capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "`thirdvote serve` starts it" in json.loads(ended.stdout)["text"]


def test_a_data_directory_that_is_none(tmp_path: Path) -> None:
    line = EnrollSettings(str(tmp_path / "nowhere")).to_line().decode()
    ended = subprocess.run(COMMAND, input=line, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "can not make the socket" in json.loads(ended.stdout)["text"]


def test_it_ends_when_its_input_does(tmp_path: Path) -> None:
    line = EnrollSettings(str(tmp_path)).to_line().decode()
    ended = subprocess.run(COMMAND, input=line, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
