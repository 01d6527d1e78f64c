"""Made-up nodes on the node side of `session/`, as both the load and the probes use them."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import replace

from thirdvote.domain import Algorithm, ClusterName, NodeId, NodeInfo, RingId, TieBreaker, TieBreakerMode, Vote
from thirdvote.node.connection import Event, NodeConnection
from thirdvote.session.node import Close, Connected, EchoAnswered, Identity, NodeSession, Standing, VoteReceived
from thirdvote.session.node_rules import TlsWish

HEARTBEAT_MS = 60_000
"""Long, so that thousands of clients are connected and quiet: what is measured is what a message costs, not a queue."""
CONNECT_TIMEOUT_MS = 20_000
SOURCE_ADDRESSES = 200
"""Clients come from that many loopback addresses, as nodes do that are not behind one NAT."""

BOTH = (NodeInfo(NodeId(1)), NodeInfo(NodeId(2)))
COMMON_RING = RingId(NodeId(1), 1)


class BenchNode:
    """One node of a pair, in the ring of both. Each future is made anew for what is waited for next."""

    def __init__(self, port: int, pair: str, node_id: int, context: ssl.SSLContext) -> None:
        self.port = port
        self.context = context
        self.identity = Identity(
            ClusterName(pair.encode()),
            NodeId(node_id),
            Algorithm.FFSPLIT,
            TieBreaker(TieBreakerMode.LOWEST),
            heartbeat_ms=HEARTBEAT_MS,
            tls=TlsWish.REQUIRED,
            connect_timeout_ms=CONNECT_TIMEOUT_MS,
        )
        self.source = f"127.0.1.{1 + hash((pair, node_id)) % SOURCE_ADDRESSES}"
        self.connection: NodeConnection | None = None
        self._vote: asyncio.Future[None] | None = None
        self._echo: asyncio.Future[None] | None = None
        self.closed: asyncio.Future[str] | None = None

    async def join(self) -> None:
        """Returns when the node has the vote; raises OSError (ConnectionError) when it came to nothing."""
        loop = asyncio.get_running_loop()
        session = NodeSession(self.identity, Standing(COMMON_RING, BOTH, BOTH, BOTH, quorate=True), loop.time())
        self.closed = loop.create_future()
        vote = self.expect_vote()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_MS / 1000):
                _, self.connection = await loop.create_connection(
                    lambda: NodeConnection(session, self._heard, self.context), "127.0.0.1", self.port, local_addr=(self.source, 0)
                )
                await asyncio.wait((vote, self.closed), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            self.leave()  # or the next attempt would meet a node that has its id
            raise
        if self.closed.done():
            vote.cancel()
            raise ConnectionError(self.closed.result())

    def expect_vote(self) -> asyncio.Future[None]:
        """Done when the next ACK that counts comes."""
        self._vote = asyncio.get_running_loop().create_future()
        return self._vote

    async def echo(self) -> float:
        """The round trip in seconds."""
        assert self.connection is not None
        loop = asyncio.get_running_loop()
        self._echo = loop.create_future()
        start = time.perf_counter()  # the loop's own clock may have a resolution of a millisecond
        self.connection.act(self.connection.session.echo(loop.time()))
        async with asyncio.timeout(CONNECT_TIMEOUT_MS / 1000):
            await self._echo
        return time.perf_counter() - start

    def alone(self) -> None:
        """The node is in a ring of its own from now on."""
        assert self.connection is not None
        session = self.connection.session
        ring = replace(COMMON_RING, node_id=self.identity.node_id, sequence=session.standing.ring_id.sequence + 4)
        me = tuple(info for info in BOTH if info.node_id == self.identity.node_id)
        self.connection.act(session.membership_changed(ring, me, session.standing.heuristics))

    def leave(self) -> None:
        if self.connection is not None:
            self.connection.close()

    def _heard(self, connection: NodeConnection, event: Event) -> None:
        match event:
            case Connected():
                connection.act(connection.session.introduce())
            case VoteReceived(Vote.ACK, _, True):
                _done(self._vote)
            case EchoAnswered():
                _done(self._echo)
            case Close(_, _, reason):
                if self.closed is not None and not self.closed.done():
                    self.closed.set_result(reason)
            case VoteReceived():
                pass


def _done(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
