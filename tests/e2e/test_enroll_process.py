"""The enrolment beside the voter: started and restarted by it, outlived by it, ended with it; and the only one with the authority's key."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.certificates import request
from tests.openssh_here import OpenSsh, needs_openssh
from tests.voter_process import PATIENCE_S, VoterProcess, free_port, voter_process
from thirdvote.control_client import ControlClient

NOTHING_LOADED = ("asyncssh", "cryptography", "_rust.abi3.so")


def enrolling(folder: Path, *options: str) -> tuple[VoterProcess, int]:
    port = free_port()
    return VoterProcess(folder, "--enroll-ssh", f"127.0.0.1:{port}", *options), port


def child_of(voter: VoterProcess) -> int:
    return int(voter.status()["enrolment"]["pid"])


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="ascii")


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while is_there(pid):
        assert time.monotonic() < deadline, f"{pid} is still there"
        time.sleep(0.02)


def thirdvote(voter: VoterProcess, *words: str) -> str:
    command = [sys.executable, "-m", "thirdvote", *words, "--data", str(voter.data)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=voter.environment).stdout


def test_it_comes_and_goes_with_the_voter(tmp_path: Path) -> None:
    voter, port = enrolling(tmp_path)
    voter.start()
    try:
        assert f"127.0.0.1:{port}; closed until" in voter.wait_for_log("ssh listens on")
        child = child_of(voter)
        assert is_there(child)
    finally:
        assert voter.stop() == 0
    wait_until_gone(child)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_it_does_not_outlive_the_voter(tmp_path: Path, end: signal.Signals) -> None:
    voter, _ = enrolling(tmp_path)
    voter.start()
    voter.wait_for_log("ssh listens on")
    child = child_of(voter)
    voter.stop(end)
    wait_until_gone(child)


def test_the_voter_outlives_it_and_starts_it_again(tmp_path: Path) -> None:
    voter, _ = enrolling(tmp_path)
    voter.start()
    try:
        voter.wait_for_log("ssh listens on")
        before = child_of(voter)
        with voter.node() as node:
            assert node.preinit(b"web") is not None
            os.kill(before, signal.SIGKILL)
            voter.wait_for_log("the enrolment ended by signal 9; it is started again in 1 s, votes are not affected")
            assert node.preinit(b"web") is not None
        deadline = time.monotonic() + PATIENCE_S
        while (status := voter.status()["enrolment"])["pid"] in (None, before):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert status["restarts"] == 1
    finally:
        voter.stop()


def test_a_port_of_another_program_keeps_no_voter_from_starting(tmp_path: Path) -> None:
    with voter_process(tmp_path / "one", "--listen", "127.0.0.1:" + str(free_port())) as other:
        taken = other.command[other.command.index("--listen") + 1]
        with voter_process(tmp_path / "two", "--enroll-ssh", taken) as voter:
            line = voter.wait_for_log("ssh can not be used: can not listen on")
            assert "--enroll-ssh off" in line
            assert "not to be used: can not listen on" in thirdvote(voter, "enroll", "status")


def test_what_happens_is_in_the_log_and_in_the_history(tmp_path: Path) -> None:
    voter, _ = enrolling(tmp_path, "--log-format", "json")
    voter.start()
    try:
        voter.wait_for_log("ssh listens on")
        thirdvote(voter, "enroll", "open", "--cluster", "web")
        line = json.loads(voter.wait_for_log("window 1 is open until"))
        assert (line["level"], line["event"], line["cluster"]) == ("info", "enrolment", "web")
        thirdvote(voter, "enroll", "close")
        voter.wait_for_log("window 1 has ended")
        with ControlClient(voter.control_path) as client:
            events = client.request({"command": "history", "cluster": "web"})["events"]
        assert [event["text"] for event in events][-1] == "window 1 has ended: it was closed"
    finally:
        voter.stop()


@needs_openssh
def test_only_the_enrolment_has_the_key_of_the_authority(tmp_path: Path) -> None:
    """By what is mapped and open, before and after a certificate was signed; and by the modes of the files."""
    voter, port = enrolling(tmp_path)
    voter.start()
    try:
        voter.wait_for_log("ssh listens on")
        opened = json.loads(thirdvote(voter, "enroll", "open", "--json"))
        client = OpenSsh(tmp_path, "127.0.0.1", port, opened["password"])
        crq = tmp_path / "qdevice-net-node.crq"
        crq.write_bytes(request("web"))
        assert client.copy_id().returncode == 0
        assert client.scp(crq, client.at("/tmp")).returncode == 0
        assert client.batch("corosync-qnetd-certutil", "-s", "-c", "/tmp/qdevice-net-node.crq", "-n", "web").returncode == 0
        child = child_of(voter)
        assert not [name for name in NOTHING_LOADED if name in maps(voter.pid)]
        assert "_rust.abi3.so" in maps(child)  # the enrolment does have it: the test sees what it looks for
        assert not [path for path in open_files(voter.pid) if path.endswith("ca.key")]
        inside = memory(voter.pid)
        assert str(voter.control_path).encode() in inside  # the test sees what it looks for
        assert key_of(voter) not in inside
    finally:
        voter.stop()
    private = [voter.data / "pki" / "ca.key", *(voter.data / "enroll").glob("ssh_host_*_key")]
    assert len(private) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    assert stat.S_IMODE((voter.data / "enroll").stat().st_mode) == 0o700


def test_a_password_of_the_settings_is_nowhere_to_be_seen(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a password of ours\n", encoding="utf-8")
    secret.chmod(0o600)
    voter, _ = enrolling(tmp_path, "--enroll-password-file", str(secret), "--enroll-always", "on")
    voter.start()
    try:
        voter.wait_for_log("let in all the time")
        command_line = Path(f"/proc/{child_of(voter)}/cmdline").read_bytes()
        assert b"a password" not in command_line
        assert "open all the time" in thirdvote(voter, "enroll", "status")
        assert "a password of ours" not in voter.log()
    finally:
        voter.stop()


def test_the_voter_never_notices_a_noisy_one(tmp_path: Path) -> None:
    """A stranger knocks as fast as it can; the log does not grow with it."""
    voter, port = enrolling(tmp_path)
    voter.start()
    try:
        voter.wait_for_log("ssh listens on")
        knock = (
            "import socket, sys\n"
            "for _ in range(300):\n"
            f"    with socket.create_connection(('127.0.0.1', {port})) as s:\n"
            "        s.sendall(b'SSH-2.0-x\\r\\n' + bytes(100))\n"
        )
        subprocess.run([sys.executable, "-c", knock], check=True, timeout=60)
        with voter.node() as node:
            started = time.monotonic()
            assert node.preinit(b"web") is not None
            assert time.monotonic() - started < 1
        assert len(re.findall("enrolment", voter.log())) < 60
        assert is_there(child_of(voter))
    finally:
        voter.stop()


def maps(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")


def open_files(pid: int) -> list[str]:
    return [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]


def key_of(voter: VoterProcess) -> bytes:
    """A line of the key's file, which stands for it."""
    return (voter.data / "pki" / "ca.key").read_bytes().splitlines()[1]


def memory(pid: int) -> bytes:
    """What a process has of its own and can write."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as file:
        for start, end, rights, name in re.findall(r"^(\w+)-(\w+) (\S+) \S+ \S+ \S+ *(.*)$", maps(pid), re.MULTILINE):
            if "rw" in rights and "[vvar" not in name:
                file.seek(int(start, 16))
                try:
                    found.append(file.read(int(end, 16) - int(start, 16)))
                except OSError:
                    continue
    return b"".join(found)
