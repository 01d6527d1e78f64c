"""A node that ssh does not reach joins by what a person is told to type there, word for word."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.lab.joining import JoiningLab, JoiningNode, joining_lab
from thirdvote.device.by_hand import INBOX, OUTBOX

pytestmark = pytest.mark.e2e

SECONDS_MAX = 120


class Terminal:
    """Our program at a terminal on node 1, and a person at it who walks over to node 2."""

    def __init__(self, lab: JoiningLab, *arguments: str) -> None:
        self.lab = lab
        self.shown = ""
        self._ours, theirs = pty.openpty()
        node = lab.nodes[0]
        command = node.command(sys.executable, "-m", "thirdvote", *arguments, "--ssh", lab.ssh, "--by-hand")
        environment = {**node.environment(), "NO_COLOR": "1", "TERM": "dumb"}
        self.program = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
        os.close(theirs)
        assert self.program.stdout is not None
        os.set_blocking(self.program.stdout.fileno(), False)

    def read_until(self, reached: Callable[[], bool]) -> None:
        assert self.program.stdout is not None
        deadline = time.monotonic() + SECONDS_MAX
        while not reached():
            ended = self.program.poll() is not None
            self.shown += (self.program.stdout.read() or b"").decode()
            assert time.monotonic() < deadline, self.shown
            assert not ended or reached(), self.shown
            time.sleep(0.1)

    def does_what_is_said(self, node: JoiningNode) -> None:
        self.read_until(lambda: "press Enter" in self.shown)
        shutil.copytree(
            self.lab.nodes[0].folder / "etc" / OUTBOX.removeprefix("/etc/corosync/"), node.etc / INBOX.removeprefix("/etc/corosync/")
        )
        for line in self.shown.splitlines():
            if line.startswith("  ") and not line.startswith(("   ", "+", "-")):
                node.run("sh", "-c", line.strip())
        os.write(self._ours, b"\n")

    def end(self) -> int:
        self.read_until(lambda: self.program.poll() is not None)
        assert self.program.stdout is not None
        self.shown += (self.program.stdout.read() or b"").decode()
        os.close(self._ours)
        return self.program.wait(10)


@pytest.fixture(scope="module")
def lab(real_nodes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JoiningLab]:
    with joining_lab(tmp_path_factory.mktemp("hand")) as lab:
        lab.nodes[1].sshd.stop()
        yield lab


@contextmanager
def at_a_terminal(lab: JoiningLab, *arguments: str) -> Iterator[Terminal]:
    terminal = Terminal(lab, *arguments)
    try:
        yield terminal
    finally:
        if terminal.program.poll() is None:
            terminal.program.terminate()
            terminal.program.wait(30)


def test_joining(lab: JoiningLab, tmp_path: Path) -> None:
    node = lab.nodes[1]
    with at_a_terminal(lab, "join", lab.token()) as terminal:
        terminal.does_what_is_said(node)
        sentence = "n2: type there now, as root: "
        terminal.read_until(lambda: sentence in terminal.shown)
        command = terminal.shown.partition(sentence)[2].splitlines()[0]
        node.run("sh", "-c", command.replace("enable --now", "enable") + " && systemctl start corosync-qdevice")
        assert terminal.end() == 0, terminal.shown
    for each in lab.nodes:
        assert each.quorum.total_votes == 3
        assert each.quorum.has_the_device_vote
    assert lab.nodes[0].conf == node.conf
    assert not (lab.nodes[0].folder / "etc" / OUTBOX.removeprefix("/etc/corosync/")).exists()


def test_leaving(lab: JoiningLab) -> None:
    node = lab.nodes[1]
    with at_a_terminal(lab, "remove") as terminal:
        terminal.does_what_is_said(node)
        assert terminal.end() == 0, terminal.shown
    node.run("systemctl", "stop", "corosync-qdevice")
    for each in lab.nodes:
        assert (each.quorum.total_votes, each.quorum.expected_votes, each.quorum.quorate) == (2, 2, True)
    assert lab.nodes[0].conf == node.conf


def test_ctrl_c_while_it_waits_for_a_person(lab: JoiningLab) -> None:
    before = lab.nodes[0].conf
    with at_a_terminal(lab, "join", lab.token(), "--replace") as terminal:
        terminal.read_until(lambda: "press Enter" in terminal.shown)
        os.kill(child_of(terminal.program), 2)
        assert terminal.end() == 130, terminal.shown
    assert "undoing what was done" in terminal.shown
    assert lab.nodes[0].conf == before


def child_of(program: subprocess.Popen[bytes]) -> int:
    """What nsenter runs."""
    return int(Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()[0])
