from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.voter_process import free_port
from thirdvote.device.host import LocalHost
from thirdvote.doctor import relay as relay_module
from thirdvote.doctor.relay import Ended, relay

HERE = LocalHost("n1")


@contextmanager
def server(answer: bytes | None) -> Iterator[int]:
    """Says `answer` when it was told something, and closes; with None it says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                if answer is not None:
                    connection.sendall(answer + connection.recv(100))
                else:
                    connection.recv(100)
                    connection.recv(100)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(20)


def test_bytes_both_ways() -> None:
    with server(b"\n\xff answer ") as port, relay(HERE, "127.0.0.1", port) as stream:
        took = stream.connected()
        assert took is None or 0 <= took < 10
        stream.send(b"question\0")
        received = b""
        while not received.endswith(b"question\0"):
            received += stream.receive()
        assert received == b"\n\xff answer question\0"
        with pytest.raises(Ended, match="the connection was closed"):
            stream.receive()


def test_nobody_listens() -> None:
    with relay(HERE, "127.0.0.1", free_port()) as stream, pytest.raises(Ended, match=r"^connection refused$"):
        stream.connected()


def test_a_name_that_nobody_knows() -> None:
    with relay(HERE, "no-such-host.invalid", 1) as stream, pytest.raises(Ended, match=r"not known|failure in name resolution"):
        stream.connected()


def test_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(None) as port:
        monkeypatch.setattr(relay_module, "RELAY_S", 1.0)
        with relay(HERE, "127.0.0.1", port) as stream:
            stream.connected()
            stream.send(b"x")
            with pytest.raises(Ended, match="no answer within 1 s"):
                stream.receive()
