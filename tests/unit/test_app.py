"""What a start can fail on. The process itself is tested as one, in tests/e2e/test_voter_process.py."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from thirdvote.app import doubt_s, serve
from thirdvote.config import ClusterSettings, Limits, Settings
from thirdvote.domain import ClusterName, TlsSupport
from thirdvote.errors import UserError
from thirdvote.net.instance import DataLock
from thirdvote.net.listener import open_port
from thirdvote.net.local_socket import open_local_socket, remove_local_socket


@pytest.fixture(autouse=True)
def _same_descriptor_limit() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def settings(folder: Path) -> Settings:
    return Settings(data=str(folder / "data"), listen_host="127.0.0.1", listen_port=0, tls=TlsSupport.UNSUPPORTED)


def test_a_port_in_use_leaves_the_data_free_for_the_next(tmp_path: Path) -> None:
    with open_port("127.0.0.1", 0, 4, 1) as taken:
        wanted = settings(tmp_path)
        with pytest.raises(UserError, match="is in use by another program"):
            serve(Settings(data=wanted.data, listen_host="127.0.0.1", listen_port=taken.getsockname()[1], tls=TlsSupport.UNSUPPORTED))
    lock = DataLock(Path(wanted.data))
    lock.take()
    lock.release()


def test_another_one_on_the_same_data(tmp_path: Path) -> None:
    lock = DataLock(tmp_path / "data")
    lock.take()
    with pytest.raises(UserError, match="another thirdvote serve is running"):
        serve(settings(tmp_path))
    lock.release()


def test_a_control_socket_that_answers(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "control.sock"
    listening = open_local_socket(path, 0o600, 1)
    with pytest.raises(UserError, match=r"another program answers on the socket .*control\.sock"):
        serve(settings(tmp_path))
    remove_local_socket(listening, path)


def test_a_doubt_outlasts_every_node_that_may_still_report_quorum() -> None:
    assert doubt_s(Settings()) == pytest.approx(1.1 * (120 + 150 + 30))
    assert doubt_s(Settings(limits=Limits(heartbeat_ms_max=8_000))) == pytest.approx(1.1 * (8 + 10 + 30))
    slow = {ClusterName(b"a"): ClusterSettings(timeout_ms=200_000), ClusterName(b"b"): ClusterSettings(sync_timeout_ms=60_000)}
    assert doubt_s(Settings(clusters=slow)) == pytest.approx(1.1 * (120 + 200 + 60))
    rare = {ClusterName(b"a"): ClusterSettings(token_ms=60_000)}
    assert doubt_s(Settings(clusters=rare)) == pytest.approx(1.1 * (120 + 150 + 30 + 150))
