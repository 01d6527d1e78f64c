from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.tls_material import Authority, make_authority
from tests.unit.doctor.test_relay import server
from tests.voter_here import VoterHere, voter_here
from tests.voter_process import free_port
from thirdvote.device.host import LocalHost
from thirdvote.doctor.facts import Passed, Probe
from thirdvote.doctor.probe import Credentials, probe, wish_of
from thirdvote.net.tls import CertificatePaths, server_context
from thirdvote.node.connection import client_context
from thirdvote.session.node_rules import TlsWish

HERE = LocalHost("n1")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


def of_server(authority: Authority, name: str = "Qnetd Server") -> ssl.SSLContext:
    own = authority.issue(name)
    return server_context(CertificatePaths(own, own, authority.path), client_certificate=True)


def shown(authority: Authority, certificate: Path | None, wish: TlsWish = TlsWish.ON) -> Credentials:
    return Credentials("office", wish, client_context(None, certificate), (authority.certificate,))


def asked(context: ssl.SSLContext | None, *shown_to_it: Credentials) -> tuple[list[Probe], VoterHere]:
    async def ask() -> tuple[list[Probe], VoterHere]:
        async with voter_here(context) as here:
            found = [await asyncio.to_thread(probe, HERE, "127.0.0.1", here.port, each) for each in shown_to_it]
            assert here.reasons() == {}, "it must not join"
            return found, here

    return asyncio.run(ask())


def test_as_far_as_a_node_comes_before_it_speaks_for_itself(authority: Authority) -> None:
    (found,), here = asked(of_server(authority), shown(authority, authority.issue("office")))
    assert (found.passed, found.problem, found.server_tls, found.used_tls) == (Passed.ALL, "", "required", True)
    assert found.server is not None
    assert (found.server.subject, found.server_is_of_authority) == ("Qnetd Server", True)
    assert found.round_trip_s is not None
    assert 0 < found.round_trip_s < 5
    assert "joined" not in "".join(here.log)


def test_without_a_certificate(authority: Authority) -> None:
    (found,), _ = asked(of_server(authority), shown(authority, None))
    assert found.passed is Passed.TLS
    assert "certificate" in found.problem


def test_with_one_of_another_authority(authority: Authority, tmp_path: Path) -> None:
    other = make_authority(tmp_path)
    (found,), _ = asked(of_server(authority), shown(other, other.issue("office")))
    assert (found.passed, found.server_is_of_authority) == (Passed.TLS, False)
    assert found.problem


def test_an_arbitrator_without_tls(authority: Authority) -> None:
    (plain, refused), _ = asked(None, shown(authority, None), shown(authority, None, TlsWish.REQUIRED))
    assert (plain.passed, plain.used_tls, plain.server_tls) == (Passed.ALL, False, "off")
    assert (refused.passed, refused.problem) == (Passed.PREINIT, "")


def test_a_node_without_tls(authority: Authority) -> None:
    (found,), _ = asked(of_server(authority), shown(authority, None, TlsWish.OFF))
    assert found.passed is Passed.PREINIT


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", b"\0\x05\0\0\0\0", b"\0\x01\0\0\0\0", b"\0\x01\0\0\0\x01x"])
def test_another_program(authority: Authority, answer: bytes) -> None:
    with server(answer) as port:
        found = probe(HERE, "127.0.0.1", port, shown(authority, None))
    assert found.passed is Passed.TCP
    assert found.problem


def test_nobody(authority: Authority) -> None:
    assert probe(HERE, "127.0.0.1", free_port(), shown(authority, None)) == Probe(Passed.NOTHING, "connection refused")


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        (None, TlsWish.ON),
        ("yes", TlsWish.ON),
        ("odd", TlsWish.ON),
        ("OFF", TlsWish.OFF),
        ("0", TlsWish.OFF),
        ("Required", TlsWish.REQUIRED),
    ],
)
def test_wishes(text: str | None, wish: TlsWish) -> None:
    assert wish_of(text) is wish
