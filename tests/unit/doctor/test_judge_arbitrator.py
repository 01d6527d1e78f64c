from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.doctor_here import AUTHORITY, NOW, SERVER, STATUS, arbitrator, ids, only
from thirdvote.doctor.facts import Answer, File, FileSystem, Unit
from thirdvote.doctor.judge_arbitrator import FREE_BYTES_FEW, FREE_BYTES_MIN, judge


def found(**changes: Any) -> list[str]:
    return ids(judge(arbitrator(**changes), NOW))


def status(**changes: Any) -> dict[str, Any]:
    return {**STATUS, **changes}


def test_nothing_is_wrong() -> None:
    assert found() == []
    assert only(judge(arbitrator(), NOW), "arbitrator-answers").what == "thirdvote 0.1.0 runs and answers on *:5403"


def test_one_that_does_not_run() -> None:
    off = arbitrator(answer=Answer.NOT_RUNNING, status={}, said="nothing answers")
    finding = only(judge(off, NOW), "arbitrator-not-running")
    assert (finding.remedy, finding.fix) == (("thirdvote serve --data /var/lib/thirdvote",), ())


@pytest.mark.parametrize(("enabled", "fix"), [(True, ("systemctl", "start", "thirdvote")), (False, ())])
def test_only_what_is_to_run_is_started(enabled: bool, fix: tuple[str, ...]) -> None:
    off = arbitrator(answer=Answer.NOT_RUNNING, status={}, units=(Unit("thirdvote", False, enabled),))
    finding = only(judge(off, NOW), "arbitrator-not-running")
    assert (finding.remedy, finding.fix) == (("systemctl start thirdvote",), fix)


def test_nothing_is_started_where_its_port_is_taken() -> None:
    off = arbitrator(answer=Answer.NOT_RUNNING, status={}, units=(Unit("thirdvote", False, True),), port_user='users:(("corosync-qnetd"))')
    assert only(judge(off, NOW), "arbitrator-not-running").fix == ()
    assert "corosync-qnetd" in only(judge(off, NOW), "port-taken").evidence


def test_one_that_hangs_or_can_not_be_asked() -> None:
    hangs = arbitrator(answer=Answer.SILENT, status={}, holder=4711)
    assert only(judge(hangs, NOW), "arbitrator-hangs").remedy == ("kill 4711", "thirdvote serve --data /var/lib/thirdvote")
    with_unit = arbitrator(answer=Answer.SILENT, status={}, holder=4711, units=(Unit("thirdvote", True, True),))
    assert only(judge(with_unit, NOW), "arbitrator-hangs").remedy == ("systemctl restart thirdvote",)
    assert found(answer=Answer.CLOSED, status={}) == ["control-closed"]


def test_its_port() -> None:
    assert found(port_problem="connection refused") == ["port-closed"]
    assert found(listen_host="127.0.0.1") == ["listens-locally"]
    assert found(listen_host="192.0.2.20") == []


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"version": "0.0.9"}, "version-old"),
        ({"tls": "on"}, "tls-not-required"),
        ({"client_certificate": False}, "tls-not-required"),
        ({"test_algorithm": True}, "test-algorithm"),
        ({"connections": 15_000}, "connections-nearly-used"),
        ({"connections_max": 100}, "open-files-few"),
        ({"ledger": {**STATUS["ledger"], "state": "failing", "problem": "no room"}}, "ledger-failing"),
        ({"ledger": {**STATUS["ledger"], "past_complete": False}}, "ledger-incomplete"),
        ({"history": {"problem": "no room"}}, "history-failing"),
        ({"enrolment": {"pid": None, "always": False}}, "enrolment-not-running"),
        ({"enrolment": {"pid": 1, "always": True}}, "enrolment-always-open"),
    ],
)
def test_what_the_running_one_says(changes: dict[str, Any], kind: str) -> None:
    assert found(status=status(**changes)) == [kind]


def test_without_an_enrolment() -> None:
    assert found(status=status(enrolment=None)) == []


def test_a_stock_one() -> None:
    kinds = ids(judge(arbitrator(stock=True, status={"tls": "on", "client_certificate": True}, file_system=None), NOW))
    assert kinds == ["stock-arbitrator", "tls-not-required"]


@pytest.mark.parametrize(
    ("system", "kind"),
    [
        (FileSystem(1 << 40, "ext4", True), "data-read-only"),
        (FileSystem(FREE_BYTES_MIN - 1, "ext4", False), "data-full"),
        (FileSystem(FREE_BYTES_FEW - 1, "ext4", False), "data-nearly-full"),
        (FileSystem(1 << 40, "tmpfs", False), "data-in-memory"),
    ],
)
def test_where_its_data_is(system: FileSystem, kind: str) -> None:
    assert found(file_system=system) == [kind]


def test_a_data_directory_that_is_not_there() -> None:
    assert found(file_system=None, answer=Answer.NOT_RUNNING, status={}) == ["arbitrator-not-running", "data-missing"]


def test_a_damaged_ledger() -> None:
    assert found(ledger_problem="malformed") == ["ledger-damaged"]


def file(path: str, mode: int, *, folder: bool = False, secret: bool = False, user: int = 0) -> File:
    return File(path, mode, user, folder, secret)


def test_modes_of_files() -> None:
    assert found(files=(file("d", 0o755, folder=True), file("ledger.db", 0o644), file("qnetd.sock", 0o770))) == []
    key = only(judge(arbitrator(files=(file("d/ca.key", 0o644, secret=True),)), NOW), "key-open")
    assert key.fix == ("chmod", "600", "d/ca.key")
    folder = only(judge(arbitrator(files=(file("d", 0o777, folder=True),)), NOW), "data-open")
    assert folder.fix == ("chmod", "755", "d")


def test_the_group_of_a_stock_database_may_use_it() -> None:
    stock = {"stock": True, "status": {}, "file_system": None}
    assert found(**stock, files=(file("nssdb", 0o770, folder=True, secret=True),)) == []
    assert found(**stock, files=(file("nssdb", 0o775, folder=True, secret=True),)) == ["data-open"]


def test_files_of_somebody_else() -> None:
    finding = only(judge(arbitrator(files=(file("d/ledger.db", 0o600, user=1000),), user=998), NOW), "data-of-another-user")
    assert finding.remedy == ("chown -R 998 /var/lib/thirdvote",)
    assert finding.fix == ()


def test_certificates() -> None:
    assert found(certificates_problem="damaged", certificates_hint="restore it") == ["certificates-unusable"]
    assert found(certificates_ending=("server.crt expires on 2027-01-01: it is renewed",)) == ["certificate-ends"]
    late = list(judge(arbitrator(certificates=(AUTHORITY, SERVER), certificates_ending=("x: y",)), SERVER.valid_until + timedelta(1)))
    assert ids(late) == ["certificate-ended"]
