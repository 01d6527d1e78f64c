"""The voter as a real process, from a node's side: TLS in all its ways, and what is not the protocol."""

from __future__ import annotations

import os
import select
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tls_material import make_authority
from tests.voter_process import PATIENCE_S, RawNode, VoterProcess, free_port, ring, voter_process
from thirdvote.domain import ClusterName, TlsSupport, Vote
from thirdvote.errors import ReplyCode
from thirdvote.wire.codec import encode
from thirdvote.wire.messages import EchoReply, EchoRequest, InitReply, NodeListReply, Preinit, PreinitReply, ServerError, StartTls, VoteInfo

ECHO = EchoRequest(encode(StartTls(7))[6:])


@pytest.fixture(scope="module")
def voter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VoterProcess]:
    """TLS required, as by default."""
    with voter_process(tmp_path_factory.mktemp("voter"), "--log-level", "debug") as process:
        yield process


@pytest.fixture(scope="module")
def plain_voter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VoterProcess]:
    with voter_process(tmp_path_factory.mktemp("plain"), "--tls", "off") as process:
        yield process


def test_a_node_without_tls_gets_its_vote(plain_voter: VoterProcess) -> None:
    with plain_voter.node() as node:
        reply = node.preinit(b"plain")
        assert isinstance(reply, PreinitReply)
        assert reply.tls_supported is TlsSupport.UNSUPPORTED
        assert isinstance(node.init(1), InitReply)
        node.lists(ring(1, 5), (1, 2), (1, 2))
        first, second, last = (node.receive() for _ in range(3))
        assert isinstance(first, NodeListReply)
        assert isinstance(second, NodeListReply)
        assert isinstance(last, VoteInfo)
        assert last.vote is Vote.ACK
        assert plain_voter.clusters()["plain"]["nodes"][0]["has_vote"]


def test_starttls_where_tls_is_off_ends_the_connection(plain_voter: VoterProcess) -> None:
    with plain_voter.node() as node:
        node.preinit(b"plain")
        reply = node.ask(StartTls(9))
        assert isinstance(reply, ServerError)
        assert reply.error_code == ReplyCode.UNEXPECTED_MESSAGE
        assert node.receive() is None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_node_with_its_certificate_joins(voter: VoterProcess, version: ssl.TLSVersion) -> None:
    context = voter.client_context("cluster-a")
    context.minimum_version = context.maximum_version = version
    with voter.node() as node:
        reply = node.join(b"cluster-a", 1, context)
        assert isinstance(reply, InitReply)
        assert reply.error_code == ReplyCode.NO_ERROR
        assert node.ask(ECHO) == EchoReply(ECHO.body, 7)
        shown = voter.clusters()["cluster-a"]["nodes"][0]
        assert shown["tls"]
        assert shown["certificate_verified"]
    voter.wait_for_log("left", 'cluster "cluster-a" node 1', "end of stream without a TLS goodbye")


def test_a_goodbye_is_heard(voter: VoterProcess) -> None:
    with voter.node() as node:
        node.join(b"polite", 1, voter.client_context("polite"))
        assert isinstance(node.socket, ssl.SSLSocket)
        node.socket.unwrap()
    voter.wait_for_log("left", 'cluster "polite" node 1', "goodbye")


def test_a_name_that_is_not_ascii_is_the_same_on_both_sides(voter: VoterProcess) -> None:
    name = "clusté-☂"
    with voter.node() as node:
        reply = node.join(name.encode(), 1, voter.client_context(name))
        assert isinstance(reply, InitReply)
        assert name in voter.clusters()


@pytest.mark.parametrize("name", [b"cluster-b", b"CLUSTER-A", b"cluster-a\0x", b"cluster-a."])
def test_another_clusters_name_is_closed_without_an_answer(voter: VoterProcess, name: bytes) -> None:
    with voter.node() as node:
        assert node.join(name, 1, voter.client_context("cluster-a")) is None
    voter.wait_for_log("warning", "refused", "the client certificate is for 'cluster-a'")


def test_without_a_client_certificate_the_handshake_fails(voter: VoterProcess) -> None:
    context = voter.client_context(None)
    with voter.node() as node:
        node.preinit(b"cluster-a")
        node.start_tls(context)  # in TLS 1.3 the client learns of it with its next read
        assert node.receive() is None
    voter.wait_for_log("warning", "refused", "TLS failed: peer did not return a certificate")


def test_a_certificate_of_another_authority_is_refused(voter: VoterProcess, plain_voter: VoterProcess, tmp_path: Path) -> None:
    context = voter.client_context(None)
    context.load_cert_chain(make_authority(tmp_path).issue("cluster-a"))
    with voter.node() as node:
        node.preinit(b"cluster-a")
        node.start_tls(context)
        assert node.receive() is None
    voter.wait_for_log("refused", "the client certificate is not accepted")


def test_without_tls_only_the_introduction_is_served(voter: VoterProcess) -> None:
    with voter.node() as node:
        node.preinit(b"cluster-a")
        reply = node.init(1)
        assert isinstance(reply, ServerError)
        assert reply.error_code == ReplyCode.TLS_REQUIRED


def test_preinit_starttls_and_client_hello_in_one_packet(voter: VoterProcess) -> None:
    """The answer to PREINIT leaves in plain text, and TLS begins with the byte behind STARTTLS."""
    context = voter.client_context("cluster-a")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="Qnetd Server")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with voter.node() as node:
        node.socket.sendall(encode(Preinit(1, ClusterName(b"cluster-a"))) + encode(StartTls(2)) + outgoing.read())
        expected = encode(PreinitReply(1, TlsSupport.REQUIRED, True))
        received = b""
        while len(received) < len(expected):
            received += node.socket.recv(len(expected) - len(received))
        assert received == expected
        shake_hands(tls, incoming, outgoing, node.socket)


def shake_hands(tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, connection: socket.socket) -> None:
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            connection.sendall(outgoing.read())
            data = connection.recv(65_536)
            assert data
            incoming.write(data)
        else:
            connection.sendall(outgoing.read())
            return


def test_openssl_with_the_stock_nodes_server_name(voter: VoterProcess) -> None:
    """A name with a blank in it is no host name; it must not matter. openssl(1) can not say STARTTLS here, so a node says it for it."""
    certificate = str(voter.authority().issue("by-openssl"))
    with socket.create_server(("127.0.0.1", 0)) as door:
        where = ["-connect", f"127.0.0.1:{door.getsockname()[1]}", "-servername", "Qnetd Server"]
        files = ["-CAfile", str(voter.data / "pki" / "ca.crt"), "-cert", certificate, "-key", certificate]
        command = ["openssl", "s_client", *where, *files, "-brief", "-verify_return_error"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as client:
            door.settimeout(PATIENCE_S)
            inner, _ = door.accept()
            with inner, voter.node() as node:
                node.preinit(b"by-openssl")
                node.send(StartTls(2))
                assert b"CONNECTION ESTABLISHED" in relay(client, inner, node.socket)
            client.kill()


def relay(client: subprocess.Popen[bytes], inner: socket.socket, outer: socket.socket) -> bytes:
    """Carries bytes both ways until the client has said something; what it said."""
    assert client.stderr is not None
    words = client.stderr.fileno()
    while True:
        readable, _, _ = select.select([words, inner.fileno(), outer.fileno()], [], [], PATIENCE_S)
        assert readable
        if words in readable:
            return os.read(words, 65_536)
        for source, target in ((inner, outer), (outer, inner)):
            if source.fileno() in readable:
                target.sendall(source.recv(65_536))


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(64), b"\xff" * 64, b"\x16\x03\x01\x02\x00\x01\x00"])
def test_garbage_disturbs_nobody(voter: VoterProcess, garbage: bytes) -> None:
    with voter.node() as node, voter.node() as stranger:
        node.join(b"cluster-a", 1, voter.client_context("cluster-a"))
        stranger.socket.sendall(garbage)
        assert node.ask(ECHO) == EchoReply(ECHO.body, 7)


def test_garbage_instead_of_a_handshake_ends_the_connection(voter: VoterProcess) -> None:
    with voter.node() as node:
        node.preinit(b"cluster-a")
        node.send(StartTls(2))
        node.socket.sendall(b"this is not TLS" * 20)
        received = b""
        while piece := node.socket.recv(4_096):
            received += piece
        assert len(received) <= 64  # an alert, and no message of the protocol


def test_ipv6_and_ipv4_are_served_by_one_port(voter: VoterProcess) -> None:
    for host, shown in (("127.0.0.1", "::ffff:127.0.0.1:"), ("::1", "::1:")):
        with voter.node(host) as node:
            node.join(b"cluster-a", 1, voter.client_context("cluster-a"))
            assert voter.clusters()["cluster-a"]["nodes"][0]["address"].startswith(shown)
        voter.wait_for_log("left", f"({shown}")


def test_an_address_is_listened_on_alone(tmp_path: Path) -> None:
    port = free_port()
    with voter_process(tmp_path, "--tls", "off", "--listen", f"127.0.0.1:{port}") as process:
        assert process.status()["listen"] == f"127.0.0.1:{port}"
        with RawNode("127.0.0.1", port) as node:
            node.join(b"c", 1)
            assert process.clusters()["c"]["nodes"][0]["address"].startswith("127.0.0.1:")
        with pytest.raises(ConnectionRefusedError):
            RawNode("::1", port)
