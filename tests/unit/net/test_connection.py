"""One connection over a socket pair, with a shell that only writes down what it hears."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.tls_material import Authority, make_authority
from thirdvote.arbiter.interface import Disconnected, Ending, Input, Received, Secured
from thirdvote.config import Limits
from thirdvote.net.connection import HANDSHAKE_BYTES_MAX, TURN_BYTES, Connection, prepare_socket
from thirdvote.net.tls import CertificatePaths, PeerCertificate, TlsPump, server_context

PATIENCE_S = 20.0


class Shell:
    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.read_buffer = bytearray(TURN_BYTES)
        self.heard: list[Input] = []
        self.refused: list[bool] = []
        self.refusal: str | None = None
        self.lingering: list[Connection] = []
        self.news = asyncio.Event()

    def feed(self, event: Input) -> None:
        self.heard.append(event)
        self.news.set()

    def call_soon(self, connection: Connection) -> None:
        asyncio.get_running_loop().call_soon(connection.go_on)

    def linger(self, connection: Connection) -> None:
        self.lingering.append(connection)

    def refusal_of(self, certificate: PeerCertificate) -> str | None:
        return self.refusal

    def lost(self, connection: Connection, refused: bool, event: Disconnected) -> None:
        self.refused.append(refused)
        self.feed(event)

    def received(self) -> bytes:
        return b"".join(event.data for event in self.heard if isinstance(event, Received))

    async def until(self, done: object) -> None:
        assert callable(done)
        async with asyncio.timeout(PATIENCE_S):
            while not done():
                self.news.clear()
                await self.news.wait()

    async def end(self) -> Disconnected:
        await self.until(lambda: any(isinstance(event, Disconnected) for event in self.heard))
        event = self.heard[-1]
        assert isinstance(event, Disconnected)
        return event


@contextlib.asynccontextmanager
async def connected(shell: Shell) -> AsyncIterator[tuple[Connection, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
    prepare_socket(accepted)
    peer.setblocking(False)
    connection = Connection(shell, 1, "peer:1", b"g")
    await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, accepted)
    try:
        yield connection, peer
    finally:
        connection.abort("the test is over")
        peer.close()
        await shell.end()


async def read(peer: socket.socket) -> bytes:
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(peer, 65_536), PATIENCE_S)


async def write(peer: socket.socket, data: bytes) -> None:
    await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(peer, data), PATIENCE_S)


def test_bytes_both_ways_and_the_end_of_the_stream() -> None:
    async def run() -> None:
        shell = Shell()
        async with connected(shell) as (connection, peer):
            await write(peer, b"question")
            await shell.until(lambda: shell.received() == b"question")
            connection.send(b"answer", 1)
            assert await read(peer) == b"answer"
            peer.shutdown(socket.SHUT_WR)
            assert await shell.end() == Disconnected(1, Ending.CLOSED, "end of stream")
            assert shell.refused == [False]

    asyncio.run(run())


def test_a_turn_is_bounded_and_nothing_is_lost() -> None:
    async def run() -> None:
        shell = Shell()
        async with connected(shell) as (_, peer):
            data = bytes(range(256)) * 400
            await write(peer, data)
            await shell.until(lambda: len(shell.received()) >= len(data))
            assert shell.received() == data
            assert max(len(event.data) for event in shell.heard if isinstance(event, Received)) <= TURN_BYTES

    asyncio.run(run())


def test_close_sends_what_is_queued_and_says_so_once() -> None:
    async def run() -> None:
        shell = Shell()
        async with connected(shell) as (connection, peer):
            connection.send(b"last words", 1)
            connection.close("it is over")
            connection.send(b"too late", 1)
            assert await read(peer) == b"last words"
            assert await read(peer) == b""
            assert await shell.end() == Disconnected(1, Ending.LOST, "it is over")
            assert shell.lingering == []

    asyncio.run(run())


def fill(connection: Connection) -> None:
    """Until the kernel takes no more."""
    while not connection._blocked:
        connection.send(bytes(65_536), 1)


def test_a_peer_that_does_not_read_is_given_up_at_the_bound() -> None:
    async def run() -> None:
        shell = Shell(Limits(send_buffers=3))
        async with connected(shell) as (connection, peer):
            fill(connection)
            connection.send(b"x", 3)
            await write(peer, b"a peer that is not read from")
            await asyncio.sleep(0)
            connection.send(b"x", 1)
            event = await shell.end()
            assert event.reason == "it does not read: more than 3 messages wait for it"
            assert shell.received() == b""

    asyncio.run(run())


def test_a_peer_that_reads_again_is_read_from_again() -> None:
    async def run() -> None:
        shell = Shell(Limits(send_buffers=3))
        async with connected(shell) as (connection, peer):
            fill(connection)
            connection.send(b"x", 3)
            await write(peer, b"hello")
            while not shell.received():
                with contextlib.suppress(BlockingIOError):
                    peer.recv(1 << 20)
                await asyncio.sleep(0)
            connection.send(b"x", 4)
            assert not any(isinstance(event, Disconnected) for event in shell.heard)

    asyncio.run(run())


def test_what_does_not_leave_is_handed_to_the_shell() -> None:
    async def run() -> None:
        shell = Shell()
        async with connected(shell) as (connection, _):
            fill(connection)
            connection.close("it is over")
            assert shell.lingering == [connection]

    asyncio.run(run())


def test_one_that_was_ended_before_it_was_there_is_closed() -> None:
    async def run() -> None:
        shell = Shell()
        with socket.create_server(("127.0.0.1", 0)) as server:
            peer = socket.create_connection(server.getsockname())
            accepted, _ = server.accept()
        prepare_socket(accepted)
        connection = Connection(shell, 1, "peer:1", b"g")
        connection.close("too late")
        await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, accepted)
        assert (await shell.end()).reason == "too late"
        peer.close()

    asyncio.run(run())


# ---- TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


def context_of(authority: Authority) -> ssl.SSLContext:
    own = authority.issue("Qnetd Server")
    return server_context(CertificatePaths(own, own, authority.path), True)


def client_context(authority: Authority, certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(authority.path)
    context.load_cert_chain(certificate)
    return context


async def secure(connection: Connection, peer: socket.socket, context: ssl.SSLContext, authority: Authority) -> TlsPump:
    """The client's first bytes come with the STARTTLS, the others when they come."""
    client = TlsPump(client_context(authority, authority.issue("c")), "Qnetd Server")
    client.shake_hands()
    connection.start_tls(context, client.outgoing())
    while not client.established:
        client.feed(await read(peer))
        client.shake_hands()
        await write(peer, client.outgoing())
    return client


def test_tls_begins_with_the_bytes_that_came_early(authority: Authority) -> None:
    async def run() -> None:
        shell = Shell()
        async with connected(shell) as (connection, peer):
            client = await secure(connection, peer, context_of(authority), authority)
            await shell.until(lambda: Secured(1, (b"c",)) in shell.heard)
            client.write(bytes(3 * TURN_BYTES))
            await write(peer, client.outgoing())
            await shell.until(lambda: len(shell.received()) == 3 * TURN_BYTES)
            connection.send(b"answer", 1)
            client.feed(await read(peer))
            assert client.read(100) == b"answer"
            client.say_goodbye()
            await write(peer, client.outgoing())
            assert await shell.end() == Disconnected(1, Ending.GOODBYE, "the node said goodbye")

    asyncio.run(run())


def test_a_stream_that_ends_without_a_goodbye_is_not_orderly(authority: Authority) -> None:
    async def run() -> None:
        shell = Shell()
        async with connected(shell) as (connection, peer):
            await secure(connection, peer, context_of(authority), authority)
            await shell.until(lambda: Secured(1, (b"c",)) in shell.heard)
            peer.shutdown(socket.SHUT_WR)
            assert await shell.end() == Disconnected(1, Ending.CLOSED, "end of stream without a TLS goodbye")

    asyncio.run(run())


def test_close_says_goodbye(authority: Authority) -> None:
    async def run() -> None:
        shell = Shell()
        async with connected(shell) as (connection, peer):
            client = await secure(connection, peer, context_of(authority), authority)
            await shell.until(lambda: Secured(1, (b"c",)) in shell.heard)
            connection.close("it is over")
            client.feed(await read(peer))
            assert client.read(1) is None

    asyncio.run(run())


def test_rubbish_instead_of_tls_is_refused(authority: Authority) -> None:
    async def run() -> None:
        shell = Shell()
        async with connected(shell) as (connection, _):
            connection.start_tls(context_of(authority), b"GET / HTTP/1.1\r\n\r\n")
            event = await shell.end()
            assert event.reason.startswith("TLS failed")
            assert shell.refused == [True]
            assert shell.received() == b""

    asyncio.run(run())


def test_a_handshake_is_bounded_in_bytes(authority: Authority) -> None:
    """One record after the other, none of which ends the ClientHello that they are pieces of."""

    async def run() -> None:
        shell = Shell()
        async with connected(shell) as (connection, _):
            hello_of_100_kib = b"\x01" + (100 * 1_024).to_bytes(3, "big")
            records = b"".join(record(hello_of_100_kib if not number else bytes(16_000)) for number in range(6))
            connection.start_tls(context_of(authority), records)
            event = await shell.end()
            assert event.reason == f"TLS handshake of more than {HANDSHAKE_BYTES_MAX} bytes"
            assert shell.refused == [True]

    asyncio.run(run())


def record(body: bytes) -> bytes:
    return b"\x16\x03\x01" + len(body).to_bytes(2, "big") + body


def test_small_messages_leave_at_once_and_a_vanished_host_is_noticed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        accepted, _ = server.accept()
        with accepted:
            prepare_socket(accepted)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
