from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from thirdvote import __version__
from thirdvote.__main__ import dispatch

START = "import sys; from thirdvote.__main__ import main; sys.argv[0] = sys.argv.pop(1); sys.exit(main())"


def called(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", START, name, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)


@pytest.mark.parametrize(
    ("name", "arguments", "status", "beginning"),
    [
        ("thirdvote", ["--version"], 0, f"thirdvote {__version__}\n"),
        ("/some/bin/corosync-qnetd", ["-v"], 1, "Corosync Qdevice Network Daemon, version '3.0.3'\n\nSupported algorithms"),
        ("corosync-qnetd-tool", ["-h"], 1, "usage: corosync-qnetd-tool ["),
        ("./corosync-qnetd-certutil", ["-h"], 0, "./corosync-qnetd-certutil: [-i|-s]"),
        ("any-other-name", ["--version"], 0, f"thirdvote {__version__}\n"),
    ],
)
def test_the_name_says_which_program(name: str, arguments: list[str], status: int, beginning: str) -> None:
    ran = called(name, *arguments)
    assert (ran.returncode, ran.stderr) == (status, "")
    assert ran.stdout.startswith(beginning)


def test_a_start_that_can_not_work_is_one_line_and_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = called("thirdvote", "serve", "--data", str(tmp_path / "file"), "--tls", "off")
    assert ran.returncode == 1
    error, hint = ran.stderr.splitlines()
    assert error.startswith("thirdvote: error: ")
    assert str(tmp_path / "file") in error
    assert hint.startswith("hint: ")


def test_serve_with_a_mistake_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch("thirdvote", ["serve", "--help"]) == 0
    assert "Usage: thirdvote serve" in capsys.readouterr().out
