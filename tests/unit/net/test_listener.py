from __future__ import annotations

import asyncio
import errno
import socket
from pathlib import Path
from typing import cast

import pytest

from thirdvote.errors import PassingError, UserError
from thirdvote.net import listener
from thirdvote.net.listener import Listener, connections_possible, open_port


def test_one_port_takes_both_versions_of_ip() -> None:
    with open_port(None, 0, 0, 10) as listening:
        assert listening.family == socket.AF_INET6
        port = listening.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port)).close()


@pytest.mark.parametrize(("family", "served", "refused"), [(4, "127.0.0.1", "::1"), (6, "::1", "127.0.0.1")])
def test_one_version_alone(family: int, served: str, refused: str) -> None:
    with open_port(None, 0, family, 10) as listening:
        port = listening.getsockname()[1]
        socket.create_connection((served, port)).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((refused, port))


def test_without_ipv6_it_is_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def without_ipv6(family: int = -1, *rest: int, **named: object) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, *rest)

    monkeypatch.setattr("thirdvote.net.listener.socket.socket", without_ipv6)
    with open_port(None, 0, 0, 10) as listening:
        assert listening.family == socket.AF_INET


def test_a_port_in_use() -> None:
    with open_port("127.0.0.1", 0, 0, 10) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(UserError, match=rf"127\.0\.0\.1:{port} is in use by another program") as caught:
            open_port("127.0.0.1", port, 0, 10)
        assert "ss -ltnp" in (caught.value.hint or "")


def test_a_port_that_corosync_qnetd_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(listener, "STOCK_RUNTIME", tmp_path)
    with open_port("127.0.0.1", 0, 0, 10) as listening:
        port = listening.getsockname()[1]
        monkeypatch.setattr(listener, "VOTE_PORT", port)
        with pytest.raises(UserError, match="it seems by corosync-qnetd") as caught:
            open_port("127.0.0.1", port, 0, 10)
        assert "`thirdvote ca import-nss /etc/corosync/qnetd/nssdb`" in (caught.value.hint or "")


def test_an_address_of_another_host() -> None:
    with pytest.raises(PassingError, match="this host does not have that address"):
        open_port("192.0.2.77", 0, 0, 10)


def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(PassingError, match="is not known"):
        open_port("no such host", 0, 0, 10)


def test_no_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(self: socket.socket, address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("thirdvote.net.listener.socket.socket", type("Forbidden", (socket.socket,), {"bind": forbidden}))
    with pytest.raises(UserError, match="no permission to listen on port 80") as caught:
        open_port(None, 80, 0, 10)
    assert "--listen" in (caught.value.hint or "")


@pytest.mark.parametrize(("descriptors", "others", "possible"), [(1_024, 74, 918), (90, 74, 45), (20, 0, 10)])
def test_connections_that_fit(descriptors: int, others: int, possible: int) -> None:
    assert connections_possible(descriptors, others) == possible


class Exhausted:
    """A listening socket whose host has no descriptors for `failures` tries."""

    def __init__(self, real: socket.socket, failures: int) -> None:
        self.real, self.failures, self.tries = real, failures, 0

    def accept(self) -> tuple[socket.socket, object]:
        self.tries += 1
        if self.tries <= self.failures:
            raise OSError(errno.EMFILE, "Too many open files")
        return self.real.accept()

    def fileno(self) -> int:
        return self.real.fileno()

    def close(self) -> None:
        self.real.close()


def test_without_descriptors_it_pauses_and_then_takes_who_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "PAUSE_S", 0.01)

    async def run() -> None:
        real = open_port("127.0.0.1", 0, 4, 10)
        exhausted = Exhausted(real, 3)
        taken: asyncio.Queue[str] = asyncio.Queue()
        reasons: list[str] = []

        def accepted(connection: socket.socket, host: str, port: int) -> None:
            connection.close()
            taken.put_nowait(host)

        listening = Listener(asyncio.get_running_loop(), cast(socket.socket, exhausted), accepted, reasons.append)
        with socket.create_connection(real.getsockname()):
            assert await asyncio.wait_for(taken.get(), 20) == "127.0.0.1"
        assert reasons == ["too many open files"] * 3
        assert exhausted.tries <= 6
        listening.close()

    asyncio.run(run())
