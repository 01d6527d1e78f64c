from __future__ import annotations

from pathlib import Path

import pytest

from tests.doctor_here import RootHost, arbitrator
from tests.unit.doctor.test_look_node import said
from tests.unit.doctor.test_qnetd_list import TEXT
from thirdvote.cli.settings import STOCK_CONTROL
from thirdvote.doctor import batch, look_stock
from thirdvote.doctor.facts import Answer
from thirdvote.doctor.look_stock import look
from thirdvote.pki import stock

STATUS = "QNetd address:\t\t\t*:5404\nTLS:\t\t\t\tSupported (client certificate required)\nConnected clients:\t\t3\n"


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "qnetd/nssdb"
    folder.parent.mkdir()
    stock.initialize(folder, stock.GROUP_READS, lambda text: None)
    monkeypatch.setattr(look_stock, "STOCK_DIRECTORY", folder)
    monkeypatch.setattr(look_stock, "answers", lambda host, port: f"asked {host} {port}")
    return folder


def host(folder: Path, tool: str) -> RootHost:
    return RootHost(folder / "host", corosync_qnetd_tool=tool, ss="exit 0", ip="echo '2: lan    inet 192.0.2.20/24 scope global lan'")


def test_one_that_runs(tmp_path: Path) -> None:
    found = look(host(tmp_path, f"case $1 in -l) {said(TEXT)} ;; esac\n{said(STATUS)}".replace("exit 0 ;;", "exit 0\n;;")))
    assert (found.stock, found.answer, found.listen_host, found.listen_port) == (True, Answer.ANSWERS, None, 5404)
    assert found.status == {"tls": "on", "client_certificate": True}
    assert found.port_problem == "asked 127.0.0.1 5404"
    assert [cluster.name for cluster in found.clusters] == ["office", "lab"]
    assert [each.subject for each in found.certificates] == ["QNet CA", "Qnetd Server"]
    assert found.authorities == (found.certificates[0].fingerprint,)
    assert [(file.mode, file.is_folder) for file in found.files] == [(0o750, True)]


def test_one_that_does_not_run(tmp_path: Path) -> None:
    found = look(host(tmp_path, 'echo "Can\'t connect" >&2; exit 3'))
    assert (found.answer, found.said) == (Answer.NOT_RUNNING, "Can't connect")


def test_one_that_can_not_be_asked(tmp_path: Path) -> None:
    assert look(host(tmp_path, "echo 'Permission denied' >&2; exit 3")).answer is Answer.CLOSED


def test_one_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "COMMAND_S", 0.2)
    assert look(host(tmp_path, "sleep 60")).answer is Answer.SILENT


def test_certificates_that_can_not_be_used(database: Path) -> None:
    (database / "cert9.db").write_bytes(b"no database")
    assert "can not be read" in look_stock.with_certificates(arbitrator()).certificates_problem


def test_without_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(look_stock, "STOCK_DIRECTORY", tmp_path / "none")
    assert look_stock.with_certificates(arbitrator()).certificates_hint == "corosync-qnetd-certutil -i"


def test_ours_under_the_stock_name_is_asked_as_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert look_stock.OURS == STOCK_CONTROL
    for name in ("SOCKET", "OURS"):
        monkeypatch.setattr(look_stock, name, str(tmp_path / name))
    assert not look_stock.is_arbitrator()
    (tmp_path / "SOCKET").touch()
    assert look_stock.is_arbitrator()
    (tmp_path / "OURS").touch()
    assert not look_stock.is_arbitrator()


def test_a_link_to_our_socket_is_no_stock_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "qnetd.sock").touch()
    monkeypatch.setattr(look_stock, "SOCKET", str(tmp_path / "qnetd.sock"))
    assert look_stock.is_arbitrator()
    (tmp_path / "link").symlink_to(tmp_path / "qnetd.sock")
    monkeypatch.setattr(look_stock, "SOCKET", str(tmp_path / "link"))
    assert not look_stock.is_arbitrator()
