from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.tls_material import Authority, make_authority
from tests.voter_here import VoterHere, voter_here
from thirdvote.arbiter.interface import Level
from thirdvote.domain import Algorithm, ClusterName, NodeId, NodeInfo, RingId, TieBreaker, TieBreakerMode, Vote
from thirdvote.net.tls import CertificatePaths, server_context
from thirdvote.node.connection import SERVER_CERTIFICATE_NAME, Event, NodeConnection, client_context, dial
from thirdvote.session.node import Close, Connected, EchoAnswered, Identity, NodeSession, Standing, VoteReceived
from thirdvote.session.node_rules import Cause, State, TlsWish

NAME = ClusterName(b"linked")
ALONE = (NodeInfo(NodeId(1)),)
PATIENCE_S = 20.0


class Heard:
    """What a connection's listener was told. The node introduces itself as soon as it is connected."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._more = asyncio.Event()

    def __call__(self, connection: NodeConnection, event: Event) -> None:
        self.events.append(event)
        self._more.set()
        if isinstance(event, Connected):
            connection.act(connection.session.introduce())

    async def until(self, wanted: Callable[[Event], bool]) -> Event:
        async with asyncio.timeout(PATIENCE_S):
            while not (found := [event for event in self.events if wanted(event)]):
                self._more.clear()
                await self._more.wait()
        return found[0]

    async def close(self) -> Close:
        event = await self.until(lambda event: isinstance(event, Close))
        assert isinstance(event, Close)
        return event


def has_vote(event: Event) -> bool:
    return isinstance(event, VoteReceived) and event.vote is Vote.ACK and event.counts


def session(tls: TlsWish, heartbeat_ms: int = 8_000) -> NodeSession:
    identity = Identity(NAME, NodeId(1), Algorithm.FFSPLIT, TieBreaker(TieBreakerMode.LOWEST), heartbeat_ms, tls=tls)
    standing = Standing(RingId(NodeId(1), 1), ALONE, ALONE, ALONE, quorate=True)
    return NodeSession(identity, standing, asyncio.get_running_loop().time())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path)


def tls_of_server(authority: Authority, name: str = SERVER_CERTIFICATE_NAME) -> ssl.SSLContext:
    certificate = authority.issue(name)
    return server_context(CertificatePaths(certificate, certificate, authority.path), client_certificate=True)


def run(story: Callable[[VoterHere, Heard], Awaitable[None]], context: ssl.SSLContext | None = None) -> None:
    async def whole() -> None:
        async with voter_here(context) as here:
            await story(here, Heard())

    asyncio.run(whole())


def test_a_plain_connection_brings_the_vote_and_says_goodbye() -> None:
    async def story(here: VoterHere, heard: Heard) -> None:
        connection = await dial("127.0.0.1", here.port, session(TlsWish.OFF), heard)
        await heard.until(has_vote)
        connection.close()
        assert connection.session.state is State.CLOSED

    run(story)


def test_over_tls_both_sides_know_each_other(authority: Authority) -> None:
    async def story(here: VoterHere, heard: Heard) -> None:
        context = client_context(authority.path, authority.issue("linked"))
        connection = await dial("127.0.0.1", here.port, session(TlsWish.REQUIRED), heard, context)
        await heard.until(has_vote)
        connected = heard.events[0]
        assert isinstance(connected, Connected)
        assert connected.tls
        connection.close()

    run(story, tls_of_server(authority))


def test_an_arbitrator_with_another_name_is_not_spoken_to(authority: Authority) -> None:
    async def story(here: VoterHere, heard: Heard) -> None:
        context = client_context(authority.path, authority.issue("linked"))
        await dial("127.0.0.1", here.port, session(TlsWish.REQUIRED), heard, context)
        close = await heard.close()
        assert close.cause is Cause.TLS_FAILED
        assert close.reason == "the arbitrator's certificate is for 'somebody', not for 'Qnetd Server'"

    run(story, tls_of_server(authority, "somebody"))


def test_an_arbitrator_of_another_authority_is_not_spoken_to(authority: Authority, tmp_path: Path) -> None:
    async def story(here: VoterHere, heard: Heard) -> None:
        other = make_authority(tmp_path / "other", "Other CA")
        await dial("127.0.0.1", here.port, session(TlsWish.REQUIRED), heard, client_context(other.path))
        close = await heard.close()
        assert close.cause is Cause.TLS_FAILED
        assert "CERTIFICATE_VERIFY_FAILED" in close.reason

    run(story, tls_of_server(authority))


def test_a_node_without_a_context_has_no_tls(authority: Authority) -> None:
    async def story(here: VoterHere, heard: Heard) -> None:
        await dial("127.0.0.1", here.port, session(TlsWish.ON), heard)
        assert (await heard.close()).cause is Cause.TLS_FAILED

    run(story, tls_of_server(authority))


def test_a_certificate_of_another_cluster_brings_no_vote(authority: Authority) -> None:
    async def story(here: VoterHere, heard: Heard) -> None:
        context = client_context(authority.path, authority.issue("another"))
        await dial("127.0.0.1", here.port, session(TlsWish.REQUIRED), heard, context)
        assert (await heard.close()).cause is Cause.END_OF_STREAM
        assert not any(has_vote(event) for event in heard.events)

    run(story, tls_of_server(authority))


def test_echoes_go_out_by_themselves_each_heartbeat() -> None:
    async def story(here: VoterHere, heard: Heard) -> None:
        connection = await dial("127.0.0.1", here.port, session(TlsWish.OFF, heartbeat_ms=1_000), heard)
        first = await heard.until(lambda event: isinstance(event, EchoAnswered))
        second = await heard.until(lambda event: isinstance(event, EchoAnswered) and event is not first)
        assert isinstance(first, EchoAnswered)
        assert isinstance(second, EchoAnswered)
        assert second.sent_at - first.sent_at >= 1.0
        connection.close()

    run(story)


def test_a_silent_node_is_closed_by_the_arbitrator_and_hears_nothing_of_it() -> None:
    async def story(here: VoterHere, heard: Heard) -> None:
        connection = await dial("127.0.0.1", here.port, session(TlsWish.OFF, heartbeat_ms=1_000), heard)
        await heard.until(has_vote)
        left = asyncio.Event()
        here.voter.subscribe(lambda event: left.set() if event.event == "left" else None, Level.INFO)
        connection.fall_silent()
        before = list(heard.events)
        await asyncio.wait_for(left.wait(), PATIENCE_S)
        assert heard.events == before
        connection.close()

    run(story)


def test_the_end_of_the_arbitrator_is_heard() -> None:
    async def story() -> None:
        heard = Heard()
        async with voter_here() as here:
            await dial("127.0.0.1", here.port, session(TlsWish.OFF), heard)
            await heard.until(has_vote)
        close = await heard.close()
        assert close.cause is Cause.END_OF_STREAM

    asyncio.run(story())
