"""The voter as a real process: how it starts, is told things, and ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tests.voter_process import PATIENCE_S, VoterProcess, voter_process
from thirdvote.control_client import ControlClient
from thirdvote.errors import UserError
from thirdvote.wire.codec import encode
from thirdvote.wire.messages import EchoReply, EchoRequest, StartTls

ECHO = EchoRequest(encode(StartTls(7))[6:])


def refused_start(process: VoterProcess) -> str:
    """What it says on standard error when it does not start; its status is not zero."""
    done = subprocess.run(process.command, capture_output=True, text=True, env=process.environment, timeout=PATIENCE_S, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with voter_process(tmp_path, "--tls", "off") as voter, voter.node() as node:
        node.join(b"c", 1)
        assert stat.S_IMODE(voter.control_path.stat().st_mode) == 0o600
        assert voter.stop(number) == 0
        assert node.receive() is None
        assert not voter.control_path.exists()
        assert not voter.qnetd_path.exists()
        assert "stopped: all connections are closed" in voter.log()


def test_without_standard_error_the_log_goes_nowhere_else(tmp_path: Path) -> None:
    with voter_process(tmp_path, "--tls", "off", prefix=("sh", "-c", 'exec "$@" 2>&-', "sh")) as voter:
        assert Path(f"/proc/{voter.pid}/fd/2").readlink() == Path(os.devnull)
        assert voter.stop() == 0
        assert (voter.data / "lock").read_text(encoding="ascii") == f"{voter.pid}\n"


def test_the_control_socket_can_end_it(tmp_path: Path) -> None:
    with voter_process(tmp_path, "--tls", "off") as voter:
        with ControlClient(voter.control_path) as client:
            assert client.request({"command": "shutdown"}) == {"ok": True}
        assert voter.wait() == 0
        with pytest.raises(UserError, match="no arbitrator is running"), ControlClient(voter.control_path) as client:
            client.request({"command": "status"})


def test_what_a_killed_one_left_is_replaced(tmp_path: Path) -> None:
    voter = VoterProcess(tmp_path, "--tls", "off")
    voter.start()
    voter.stop(signal.SIGKILL)
    assert voter.control_path.exists()
    assert voter.qnetd_path.exists()
    with voter_process(tmp_path, "--tls", "off") as after:
        assert after.status()["pid"] == after.pid


def test_a_second_one_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with voter_process(tmp_path, "--tls", "off") as voter:
        said = refused_start(VoterProcess(tmp_path, "--tls", "off"))
        assert f"another thirdvote serve is running on {voter.data} (pid {voter.pid})" in said
        assert voter.status()["pid"] == voter.pid


def test_a_port_in_use_is_named_with_the_remedy(tmp_path: Path) -> None:
    with voter_process(tmp_path / "one", "--tls", "off") as voter:
        said = refused_start(VoterProcess(tmp_path / "two", "--tls", "off", "--listen", str(voter.port)))
        assert f"port {voter.port} is in use by another program" in said
        assert "hint" in said


def test_a_damaged_certificate_is_named(tmp_path: Path) -> None:
    with voter_process(tmp_path) as voter:
        certificate = voter.data / "pki" / "server.crt"
    certificate.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", encoding="ascii")
    assert str(certificate) in refused_start(VoterProcess(tmp_path))


def test_a_restart_takes_the_same_certificates(tmp_path: Path) -> None:
    for _ in range(2):
        with voter_process(tmp_path) as voter, voter.node() as node:
            if not (tmp_path / "context").exists():
                (tmp_path / "context").write_bytes((voter.data / "pki" / "ca.crt").read_bytes())
            node.join(b"c", 1, voter.client_context("c"))
            assert node.ask(ECHO) == EchoReply(ECHO.body, 7)
            assert (voter.data / "pki" / "ca.crt").read_bytes() == (tmp_path / "context").read_bytes()


def test_the_authoritys_key_never_comes_into_it(tmp_path: Path) -> None:
    with voter_process(tmp_path) as voter, voter.node() as node:
        node.join(b"c", 1, voter.client_context("c"))
        mapped = Path(f"/proc/{voter.pid}/maps").read_text(encoding="utf-8")
        assert "cryptography" not in mapped
        assert "_ssl" in mapped


def test_hang_up_reads_the_settings_again(tmp_path: Path) -> None:
    configuration = tmp_path / "thirdvote.toml"
    configuration.write_text('log-level = "info"\n', encoding="ascii")
    with voter_process(tmp_path, "--tls", "off", "--config", str(configuration)) as voter, voter.node() as node:
        node.join(b"c", 1)
        configuration.write_text('log-level = "debug"\nclient-cert = "off"\n[limits]\nnodes-per-cluster = 1\n', encoding="ascii")
        voter.kill(signal.SIGHUP)
        line = voter.wait_for_log("reload: settings and certificates were read again")
        assert "log-level" in line
        assert "limits" in line
        voter.wait_for_log("warning", "a restart is needed for: client-certificate")
        assert voter.status()["log_level"] == "debug"
        assert voter.status()["client_certificate"]
        assert node.ask(ECHO) == EchoReply(ECHO.body, 7)
        with voter.node() as second:
            second.join(b"c", 2)
        voter.wait_for_log("refused", "may not join")

        configuration.write_text('log-level = "loud"\n', encoding="ascii")
        voter.kill(signal.SIGHUP)
        voter.wait_for_log("error", "nothing was changed")
        assert voter.status()["log_level"] == "debug"


def test_hang_up_reads_the_certificate_again(tmp_path: Path) -> None:
    with voter_process(tmp_path) as voter, voter.node() as before, voter.node() as after:
        before.join(b"c", 1, voter.client_context("c"))
        shown = before.socket.getpeercert(True)  # type: ignore[union-attr]
        for name in ("server.crt", "server.key"):
            (voter.data / "pki" / name).unlink()
        voter.kill(signal.SIGHUP)
        voter.wait_for_log("reload: settings and certificates were read again")
        after.join(b"c", 2, voter.client_context("c"))
        assert after.socket.getpeercert(True) != shown  # type: ignore[union-attr]
        assert before.ask(ECHO) == EchoReply(ECHO.body, 7)


def test_systemd_hears_that_it_lives(tmp_path: Path) -> None:
    """In an abstract socket too, which is what a service manager in a container has."""
    voter = VoterProcess(tmp_path, "--tls", "off")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0thirdvote-test-{os.getpid()}-{voter.port}")
        manager.settimeout(PATIENCE_S)
        environment = {**voter.environment, "NOTIFY_SOCKET": f"@thirdvote-test-{os.getpid()}-{voter.port}", "WATCHDOG_USEC": "200000"}
        with subprocess.Popen(voter.command, stderr=subprocess.DEVNULL, env=environment) as process:
            try:
                said = [manager.recv(4_096) for _ in range(4)]
                process.terminate()
                while b"STOPPING=1" not in said:
                    said.append(manager.recv(4_096))
            finally:
                process.kill()
    assert said[0] == b"READY=1"
    assert said.count(b"WATCHDOG=1") >= 3


def test_a_log_that_nobody_reads_delays_nobody(tmp_path: Path) -> None:
    """Its pipe is full; nodes are served, and it ends in time."""
    voter = VoterProcess(tmp_path, "--tls", "off", "--log-level", "debug", limits={"log_burst": 1_000_000})
    voter.environment["NOTIFY_SOCKET"] = ""
    reading, writing = os.pipe()
    with subprocess.Popen(voter.command, stderr=writing, env=voter.environment) as process:
        os.close(writing)
        try:
            assert b"listens on" in os.read(reading, 4_096)
            for _ in range(1_500):
                with voter.node() as node:
                    node.join(b"c", 1)
                    assert node.ask(ECHO) == EchoReply(ECHO.body, 7)
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
            os.close(reading)


def test_a_log_that_is_closed_ends_nothing(tmp_path: Path) -> None:
    voter = VoterProcess(tmp_path, "--tls", "off")
    voter.environment["NOTIFY_SOCKET"] = ""
    reading, writing = os.pipe()
    with subprocess.Popen(voter.command, stderr=writing, env=voter.environment) as process:
        os.close(writing)
        try:
            assert b"listens on" in os.read(reading, 4_096)
            os.close(reading)
            for number in (1, 2):
                with voter.node() as node:
                    node.join(b"c", number)
                    assert node.ask(ECHO) == EchoReply(ECHO.body, 7)
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()


def test_each_line_of_the_json_log_is_an_object(tmp_path: Path) -> None:
    with voter_process(tmp_path, "--tls", "off", "--log-format", "json") as voter:
        with voter.node() as node:
            node.join(b"c\n\x1b[31m", 1)
        voter.wait_for_log('"left"')
        events = [json.loads(line) for line in voter.log().splitlines()]
    joined = next(event for event in events if event["event"] == "joined")
    assert joined["cluster"] == "c\\n\\x1b[31m"
    assert joined["node"] == 1
    assert joined["level"] == "info"
    assert joined["address"].startswith("::ffff:127.0.0.1:")
