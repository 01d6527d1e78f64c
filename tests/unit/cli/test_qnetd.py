from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.qnetd_here import free_port, qnetd_here
from thirdvote.cli.qnetd import explained, goes_nowhere, main
from thirdvote.config import Settings
from thirdvote.domain import TlsSupport
from thirdvote.errors import UserError


def started(tmp_path: Path, *arguments: str) -> Settings:
    seen: list[Settings] = []

    def start(settings: Settings, reload: Callable[[], Settings]) -> None:
        assert reload() == settings
        seen.append(settings)

    assert main(["-f", "-S", f"lock_file={tmp_path}/lock,local_socket_file={tmp_path}/s", *arguments], start) == 0
    return seen[0]


def test_the_stock_defaults(tmp_path: Path) -> None:
    found = started(tmp_path)
    assert (found.tls, found.client_certificate, found.listen_port) == (TlsSupport.SUPPORTED, True, 5403)
    assert found.certificates == "/etc/corosync/qnetd/nssdb"
    assert (found.qnetd_socket, found.data, found.control) == (f"{tmp_path}/s", f"{tmp_path}/s.d", f"{tmp_path}/s.d/control.sock")
    assert not found.test_algorithm


def test_our_variables_count_below_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THIRDVOTE_TEST_ALGORITHM", "on")
    monkeypatch.setenv("THIRDVOTE_TLS", "required")
    monkeypatch.setenv("THIRDVOTE_CONTROL", "/elsewhere")
    monkeypatch.setenv("THIRDVOTE_LIMITS_CLUSTERS", "3")
    found = started(tmp_path, "-s", "off")
    assert (found.test_algorithm, found.tls, found.control, found.limits.clusters) == (True, TlsSupport.UNSUPPORTED, "/elsewhere", 3)


def test_paths_are_made_full_because_a_daemon_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = started(tmp_path, "-S", "nss_db_dir=db,local_socket_file=sock,lock_file=l")
    assert (found.certificates, found.qnetd_socket, found.data) == (f"{tmp_path}/db", f"{tmp_path}/sock", f"{tmp_path}/sock.d")
    assert (tmp_path / "l").is_file()


def test_a_start_that_fails_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def start(settings: Settings, reload: Callable[[], Settings]) -> None:
        raise UserError("port 5403 is in use", "take another port with --listen")

    assert main(["-f", "-S", f"lock_file={tmp_path}/lock"], start) == 1
    assert capsys.readouterr().err == "corosync-qnetd: port 5403 is in use\nhint: take another port with -l and -p\n"


def test_where_nobody_reads_standard_error_the_log_goes_to_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thirdvote.cli.qnetd.goes_nowhere", lambda descriptor: descriptor == 2)
    assert started(tmp_path).log_target == "syslog"
    monkeypatch.setattr("thirdvote.cli.qnetd.goes_nowhere", lambda descriptor: False)
    assert started(tmp_path).log_target == "stderr"


def test_nowhere_is_the_null_device(tmp_path: Path) -> None:
    with Path("/dev/null").open() as nowhere, Path("/dev/zero").open() as other, (tmp_path / "f").open("w") as file:
        assert [goes_nowhere(opened.fileno()) for opened in (nowhere, other, file)] == [True, False, False]


def test_an_error_without_hint_is_one_line() -> None:
    assert explained(UserError("broken")) == "corosync-qnetd: broken\n"


def test_a_deprecated_option_warns_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started(tmp_path, "-S", "dpd_interval=3")
    assert capsys.readouterr().err == "corosync-qnetd: Option 'dpd_interval' is deprecated and has no effect anymore\n"


def test_the_daemon_is_there_when_its_parent_ends(tmp_path: Path) -> None:
    with qnetd_here(tmp_path) as server:
        status = server.tool("-s")
        assert (status.returncode, status.stdout.splitlines()[0]) == (0, f"QNetd address:\t\t\t127.0.0.1:{server.port}")
        assert server.lock.read_text() == f"{server.pid}\n"
        second = server.run("-S", server.files)
        assert second.returncode == 1
        assert second.stderr.startswith(f"corosync-qnetd: Another instance is running: it holds the lock on {server.lock}\n")
    assert not server.socket.exists()
    assert server.lock.exists()


def test_a_daemon_that_can_not_start_says_so_and_fails(tmp_path: Path) -> None:
    with qnetd_here(tmp_path / "one") as server:
        other = tmp_path / "other"
        failed = server.run("-S", f"lock_file={other}/lock,local_socket_file={other}/s")
        assert failed.returncode == 1
        assert failed.stderr.startswith(f"corosync-qnetd: 127.0.0.1:{server.port} is in use by another program\nhint: ")


def test_the_tool_ends_it(tmp_path: Path) -> None:
    with qnetd_here(tmp_path) as server:
        assert server.tool("-H").returncode == 0
        server.wait_for_end()


def test_free_port_is_free() -> None:
    assert 1_023 < free_port() < 65_536
