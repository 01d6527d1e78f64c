"""What `make dist` makes, installed as a person does it: by pipx and by uv, each into a folder of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.lab.debian import ROOT
from thirdvote import __version__

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

TOOLS = ROOT / "build" / "dist-venv" / "bin"


@pytest.fixture(scope="module")
def wheel() -> Path:
    made = subprocess.run([ROOT / "scripts" / "dist"], capture_output=True, text=True, check=False, timeout=600)
    assert made.returncode == 0, made.stderr
    return ROOT / next(name for name in made.stdout.split() if name.endswith(".whl"))


@pytest.mark.parametrize("command", ["pipx install", "uv tool install"])
def test_it_is_installed_and_runs(command: str, wheel: Path, tmp_path: Path) -> None:
    program, *words = command.split()
    places = {"PIPX_HOME": "pipx", "PIPX_BIN_DIR": "bin", "PIPX_MAN_DIR": "man", "UV_TOOL_DIR": "uv", "UV_TOOL_BIN_DIR": "bin"}
    environment = os.environ | {name: str(tmp_path / folder) for name, folder in places.items()}
    installed = subprocess.run([TOOLS / program, *words, wheel], capture_output=True, text=True, check=False, env=environment, timeout=600)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    for words, said in ((["--version"], f"thirdvote {__version__}\n"), (["ca", "--help"], "Usage: thirdvote"), (["config"], "default")):
        ran = subprocess.run([tmp_path / "bin" / "thirdvote", *words], capture_output=True, text=True, check=False, timeout=60)
        assert (ran.returncode, said in ran.stdout) == (0, True), ran.stderr
