from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from tests.certificates import NOW, curve_key, request
from tests.https_here import HttpsHere, https_here
from thirdvote.device import client
from thirdvote.errors import UserError
from thirdvote.join_url import JoinUrl, Token
from thirdvote.pki import issue, material, paths, rollover, store
from thirdvote.pki.compatible import verify_issued_by

RECEIPT = "a secret of the node"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[HttpsHere]:
    with https_here(tmp_path) as running:
        yield running


def test_a_certificate_for_a_token(here: HttpsHere) -> None:
    url = here.token()
    authority = client.fetch_authority(url)
    assert client.check(url, authority, "office") == 5403
    certificate, authorities = client.enrol(url, authority, "office", request("office"), RECEIPT)
    assert x509.load_pem_x509_certificate(certificate.encode()).subject.rfc4514_string() == "CN=office"
    assert authorities.strip() == authority.strip()
    with pytest.raises(UserError, match="was used"):
        client.check(url, authority, "office")


def test_while_one_authority_takes_over_from_another(here: HttpsHere) -> None:
    """The server shows what the old one has signed, and behind it the old one, signed by the new one."""
    before = here.token()
    rollover.begin(paths.folder_in(here.data), datetime.now(UTC))
    url = here.token()
    authority = client.fetch_authority(url)
    certificate, authorities = client.enrol(url, authority, "office", request("office"), RECEIPT)
    issuer = x509.load_pem_x509_certificate(authority.encode())
    verify_issued_by(x509.load_pem_x509_certificate(certificate.encode()), issuer)
    assert authorities.strip() == authority.strip()
    with pytest.raises(UserError, match="fingerprint"):  # of the authority of before
        client.fetch_authority(before)


def test_what_was_got_is_given_back_or_kept(here: HttpsHere) -> None:
    url = here.token()
    authority = client.fetch_authority(url)
    client.enrol(url, authority, "office", request("office"), RECEIPT)
    assert client.give_back(url, authority, "office", RECEIPT)
    client.enrol(url, authority, "office", request("office"), RECEIPT)
    client.keep(url, authority, "office", RECEIPT)
    with pytest.raises(client.Refused, match="given back"):
        client.give_back(url, authority, "office", RECEIPT)


def test_a_refusal_is_in_the_arbitrators_words(here: HttpsHere) -> None:
    url = here.token()
    with pytest.raises(UserError, match="the arbitrator refuses: the token is for the cluster 'office'") as refused:
        client.enrol(url, client.fetch_authority(url), "other", request("other"), RECEIPT)
    assert "thirdvote enroll token" in (refused.value.hint or "")


def test_another_fingerprint_ends_it_before_the_token_is_sent(here: HttpsHere) -> None:
    url = here.token()
    foreign = replace(url, token=replace(url.token, fingerprint=bytes(32)))
    with pytest.raises(UserError, match="fingerprint") as refused:
        client.fetch_authority(foreign)
    assert client.shown(bytes(32)) in (refused.value.hint or "")
    assert here.service.status()["open_tokens"] == 1


def test_a_server_with_the_right_authority_and_no_certificate_of_it_hears_no_token(here: HttpsHere, tmp_path: Path) -> None:
    """Somebody in between can show the authority's certificate, which is public, and has no key for a server."""
    url = here.token()
    authority = client.fetch_authority(url)
    other = tmp_path / "other"
    store.ensure(other)
    with listening(paths.data_directory(other).server_certificate, paths.data_directory(other).server_key) as (port, heard):
        refused(replace(url, port=port), authority, "has not signed for a server")
    assert heard == []


def test_a_clusters_certificate_is_no_servers(here: HttpsHere, tmp_path: Path) -> None:
    url = here.token()
    key = curve_key()
    certificate = store.sign(here.data, request("office", key), "office")
    (tmp_path / "office.crt").write_text(ssl.DER_cert_to_PEM_cert(certificate))
    (tmp_path / "office.key").write_bytes(material.key_pem(key))
    with listening(tmp_path / "office.crt", tmp_path / "office.key") as (port, heard):
        refused(replace(url, port=port), client.fetch_authority(url), "has not signed for a server")
    assert heard == []


def test_a_server_of_another_name_hears_no_token(here: HttpsHere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = here.token()
    key = curve_key()
    monkeypatch.setattr(issue, "SERVER_NAME", "somebody")
    certificate = issue.server_certificate(key.public_key(), store.load_authority(here.data), NOW)
    (tmp_path / "s.crt").write_bytes(material.certificate_pem(certificate))
    (tmp_path / "s.key").write_bytes(material.key_pem(key))
    with listening(tmp_path / "s.crt", tmp_path / "s.key") as (port, heard):
        refused(replace(url, port=port), client.fetch_authority(url), "certificate for \\['somebody'\\]")
    assert heard == []


def refused(url: JoinUrl, authority: str, why: str) -> str:
    with pytest.raises(UserError, match=why) as error:
        client.enrol(url, authority, "office", request("office"), RECEIPT)
    return str(error.value)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (client.ANSWER_BYTES_MAX + 10),
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_answers_that_are_none(here: HttpsHere, answer: bytes) -> None:
    url = here.token()
    where = paths.data_directory(here.data)
    authority = client.fetch_authority(url)
    with listening(where.server_certificate, where.server_key, answer) as (port, _):
        there = replace(url, port=port)
        with pytest.raises(UserError):
            client.enrol(there, authority, "office", request("office"), RECEIPT)
        with pytest.raises(UserError):
            client.check(there, authority, "office")
        with pytest.raises(UserError):
            client.fetch_authority(there)


def test_words_of_the_other_side_can_not_move_the_cursor(here: HttpsHere) -> None:
    url = here.token()
    where = paths.data_directory(here.data)
    body = json.dumps({"error": "\x1b[2J" + "x" * 2_000, "remedy": 1}).encode()
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with listening(where.server_certificate, where.server_key, answer) as (port, _):
        said = refused(replace(url, port=port), client.fetch_authority(url), "the arbitrator refuses: ")
    assert said.startswith("the arbitrator refuses: ?[2Jxxx")
    assert len(said) < 600


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = JoinUrl("127.0.0.1", port, Token(bytes(8), bytes(16), bytes(32)))
    with pytest.raises(UserError, match=rf"127\.0\.0\.1:{port} can not be reached \(connection refused\)"):
        client.fetch_authority(url)


def test_something_without_tls_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        thread = threading.Thread(target=lambda: plain.accept()[0].sendall(b"SSH-2.0-OpenSSH\r\n" * 10), daemon=True)
        thread.start()
        url = JoinUrl("127.0.0.1", plain.getsockname()[1], Token(bytes(8), bytes(16), bytes(32)))
        with pytest.raises(UserError, match="can not be reached"):
            client.fetch_authority(url)


def test_an_answer_that_comes_in_drops(here: HttpsHere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "EXCHANGE_S", 0.5)
    url = here.token()
    where = paths.data_directory(here.data)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    with listening(where.server_certificate, where.server_key, head, drops=True) as (port, _):
        start = time.monotonic()
        with pytest.raises(UserError):
            client.fetch_authority(replace(url, port=port))
        assert time.monotonic() - start < 5


def whole_request(connection: ssl.SSLSocket) -> bytes:
    data = b""
    while not data.endswith((b"}", b"\r\n\r\n")) or (data.startswith(b"POST") and not data.endswith(b"}")):
        piece = connection.recv(65_536)
        if not piece:
            break
        data += piece
    return data


@contextmanager
def listening(certificate: Path, key: Path, answer: bytes = b"", drops: bool = False) -> Iterator[tuple[int, list[bytes]]]:
    """A TLS server that gives everybody this answer; its port, and what was said to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    heard: list[bytes] = []

    def serve(server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as wrapped:
                    wrapped.settimeout(10)
                    if data := whole_request(wrapped):
                        heard.append(data)
                        wrapped.sendall(answer)
                        while drops:
                            wrapped.sendall(b"x")
                            time.sleep(0.05)
            except OSError:
                continue

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1], heard
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(15)
