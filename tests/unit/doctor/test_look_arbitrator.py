from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import NOW, request
from tests.control_here import control_here
from tests.doctor_here import RootHost
from thirdvote.config import Settings
from thirdvote.doctor import look_arbitrator
from thirdvote.doctor.facts import Answer, Arbitrator
from thirdvote.doctor.look_arbitrator import is_arbitrator, look
from thirdvote.pki import inventory, store

STORY = ("cluster ffsplit of nodes 1 2, tie-breaker lowest", "nodes 1 2 start together in ring 1.a")


@pytest.fixture
def host(tmp_path: Path) -> RootHost:
    return RootHost(tmp_path / "host", ss="exit 0", ip="echo '2: lan    inet 192.0.2.20/24 scope global lan'")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    data = tmp_path / "data"
    store.ensure(data)
    return Settings(data=str(data), control=str(data / "control.sock"))


def running(host: RootHost, settings: Settings, monkeypatch: pytest.MonkeyPatch, problem: str = "", **status: Any) -> Arbitrator:
    asked: list[tuple[str, int]] = []

    def answers(host: str, port: int) -> str:
        asked.append((host, port))
        return problem

    monkeypatch.setattr(look_arbitrator, "answers", answers)
    with control_here(Path(settings.control), STORY, {"data": settings.data, **status}):
        found = look(host, settings)
    assert asked == [("::1", 5403)]
    return found


def test_one_that_runs(host: RootHost, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    found = running(host, settings, monkeypatch)
    assert (found.answer, found.listen_host, found.listen_port, found.port_problem) == (Answer.ANSWERS, "::", 5403, "")
    assert found.status["pid"] == 4711
    (cluster,) = found.clusters
    assert (cluster.name, [node.number for node in cluster.nodes], cluster.missing) == ("story", [1, 2], ())
    assert [each.subject for each in found.certificates][-1] == "Qnetd Server"
    assert found.authorities == (found.certificates[0].fingerprint,)
    assert (found.certificates_problem, found.certificates_ending, found.revoked) == ("", (), ())
    assert found.addresses == ("192.0.2.20",)
    assert found.file_system is not None
    assert found.file_system.kind
    modes = {Path(file.path).name: (file.mode, file.is_secret, file.is_folder) for file in found.files}
    assert modes["ca.key"] == (0o600, True, False)
    assert modes["pki"][2]
    assert modes["control.sock"][1]


def test_one_whose_port_is_closed(host: RootHost, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert running(host, settings, monkeypatch, "refused").port_problem == "refused"


def test_one_that_does_not_run(tmp_path: Path, settings: Settings) -> None:
    listening = 'LISTEN 0 1 *:5403 *:* users:(("corosync-qnetd",pid=4,fd=5))'
    host = RootHost(tmp_path / "host", ss=f"echo '{listening}'", ip="exit 0")
    found = look(host, settings)
    assert (found.answer, found.holder) == (Answer.NOT_RUNNING, None)
    assert "no arbitrator is running here" in found.said
    assert found.port_user == 'users:(("corosync-qnetd",pid=4,fd=5))'


def test_one_that_hangs(host: RootHost, settings: Settings) -> None:
    lock = Path(settings.data) / "lock"
    lock.write_text(f"{os.getpid()}\n")
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found = look(host, settings)
    assert (found.answer, found.holder) == (Answer.SILENT, os.getpid())


def test_a_directory_that_is_not_there(host: RootHost, tmp_path: Path) -> None:
    found = look(host, Settings(data=str(tmp_path / "none"), control=str(tmp_path / "none/c")))
    assert (found.file_system, found.files, found.certificates) == (None, (), ())


def test_a_ledger_of_one_that_does_not_run(host: RootHost, settings: Settings) -> None:
    path = Path(settings.data) / "ledger.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t (x)")
    assert look(host, settings).ledger_problem == ""
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 4_000)
    assert look(host, settings).ledger_problem


def test_certificates_that_can_not_be_used(host: RootHost, settings: Settings) -> None:
    (Path(settings.data) / "pki/server.crt").write_text("no certificate")
    found = look(host, settings)
    assert "server.crt, is damaged" in found.certificates_problem
    assert found.certificates == ()


def test_revoked_certificates(host: RootHost, settings: Settings) -> None:
    folder = Path(settings.data) / "pki"
    store.sign(Path(settings.data), request("office"), "office", NOW)
    (signed,) = inventory.every(folder)
    inventory.revoke(folder, [signed.serial_number], NOW, "a test")
    assert look(host, settings).revoked == (signed.serial_number,)


def test_what_is_an_arbitrator(tmp_path: Path, settings: Settings) -> None:
    assert is_arbitrator(settings)
    assert not is_arbitrator(Settings(data=str(tmp_path / "none"), control=str(tmp_path / "none/c")))
