"""`thirdvote demo` against `thirdvote serve`, as processes, over real TLS with certificates of the arbitrator's authority."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

THIRDVOTE = [sys.executable, "-m", "thirdvote"]
PATIENCE_S = 60.0


def environment() -> dict[str, str]:
    """Of a terminal that is none, and without settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("THIRDVOTE_")}
    return kept | {"THIRDVOTE_ENROLL_SSH": "off", "THIRDVOTE_ENROLL_HTTPS": "off"}


@contextmanager
def arbitrator(data: Path, *options: str) -> Iterator[None]:
    """Running, and ready, while the block runs."""
    port = free_port()
    command = [*THIRDVOTE, "serve", "--data", str(data), "--listen", f"127.0.0.1:{port}", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if "started" in line:
                    break
            else:
                pytest.fail("the arbitrator did not start")
            yield
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE_S)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*THIRDVOTE, *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=environment())


def clusters(data: Path) -> list[dict[str, Any]]:
    """As the arbitrator's control socket has them now."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(PATIENCE_S)
        control.connect(str(data / "control.sock"))
        control.sendall(b'{"command": "snapshot"}\n')
        with control.makefile("rb") as answer:
            found: list[dict[str, Any]] = json.loads(answer.readline())["snapshot"]["clusters"]
            return found


def ledger_rows(data: Path) -> int:
    """When nothing more is to be written into it."""
    with closing(sqlite3.connect(f"file:{data / 'ledger.db'}?mode=ro", uri=True)) as database:
        rows: int = database.execute("SELECT count(*) FROM cluster").fetchone()[0]
        return rows


@pytest.mark.parametrize("tls", ["required", "on", "off"])
def test_the_demo_tells_its_story_and_leaves_nothing(tmp_path: Path, tls: str) -> None:
    with arbitrator(tmp_path, "--tls", tls):
        told = run("demo", "--data", str(tmp_path), "--fast")
        assert told.returncode == 0, told.stderr
        lines = told.stdout.splitlines()
        assert [line for line in lines if line[:1].isdigit()] == [
            "1. the two nodes join",
            "2. the nodes lose each other",
            "3. node 1 loses its power",
            "4. node 1 is back, and the nodes see each other again",
        ]
        losers = [line for line in lines if "no vote" in line]
        assert len(losers) == 1
        assert "node 2" in losers[0]
        assert "tie-breaker" in losers[0]
        assert clusters(tmp_path) == []
        assert ledger_rows(tmp_path) == 0


def test_interrupting_the_demo_leaves_nothing(tmp_path: Path) -> None:
    with arbitrator(tmp_path):
        command = [*THIRDVOTE, "demo", "--data", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as demo:
            wait_for_text(demo, b"1. the two nodes join")
            assert len(clusters(tmp_path)) == 1
            demo.send_signal(signal.SIGINT)
            _, errors = demo.communicate(timeout=PATIENCE_S)
        assert demo.returncode == 130
        assert b"Traceback" not in errors
        assert clusters(tmp_path) == []
    assert ledger_rows(tmp_path) == 0


def wait_for_text(process: subprocess.Popen[bytes], text: bytes) -> None:
    assert process.stdout is not None
    end = time.monotonic() + PATIENCE_S
    seen = b""
    while text not in seen:
        readable, _, _ = select.select([process.stdout], [], [], end - time.monotonic())
        piece = os.read(process.stdout.fileno(), 4_096) if readable else b""
        if not piece:
            pytest.fail(f"the demo ended, or is too slow, after {seen!r}")
        seen += piece


def test_without_an_arbitrator_the_demo_says_how_to_start_one(tmp_path: Path) -> None:
    told = run("demo", "--data", str(tmp_path), "--fast")
    assert told.returncode == 1
    assert told.stdout == ""
    assert "no arbitrator is running here" in told.stderr
    assert "thirdvote serve" in told.stderr
