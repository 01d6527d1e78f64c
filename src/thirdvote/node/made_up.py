"""Nodes that no Corosync stands behind: whoever holds them says which ring they are in and whether they have power."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from enum import Enum, auto

from thirdvote.domain import Algorithm, ClusterName, Heuristics, NodeId, NodeInfo, NodeState, RingId, TieBreaker, TieBreakerMode, Vote
from thirdvote.node.connection import Event, NodeConnection, dial
from thirdvote.session.node import Close, Connected, EchoAnswered, Identity, NodeSession, Standing, VoteReceived
from thirdvote.session.node_rules import TlsWish

DEVICE_VOTES = 1
"""What the arbitrator's vote counts: as `pvecm` and the manuals of two-node clusters set it."""


class MadeUpError(Exception):
    """The arbitrator did not do what the nodes waited for; the text says what."""


class Power(Enum):
    NEVER_ON = auto()
    ON = auto()
    CUT = auto()


@dataclass(frozen=True, slots=True)
class Place:
    """Where the arbitrator is; `context` None means that it has no TLS."""

    host: str
    port: int
    context: ssl.SSLContext | None


class MadeUpNode:
    """`vote` is the one that counts for the node's ring; `heard` is set anew with each change of it, and when the connection ends."""

    def __init__(self, cluster: ClusterName, node_id: int, everybody: tuple[int, ...], place: Place, heartbeat_ms: int) -> None:
        self.node_id = node_id
        self.power = Power.NEVER_ON
        self.ring_id = RingId(NodeId(min(everybody)), 1)
        self.members = everybody
        self.closed: str | None = None
        self._everybody = everybody
        self.place = place
        self._identity = Identity(
            cluster,
            NodeId(node_id),
            Algorithm.FFSPLIT,
            TieBreaker(TieBreakerMode.LOWEST),
            heartbeat_ms,
            tls=TlsWish.OFF if place.context is None else TlsWish.REQUIRED,
        )
        self._connection: NodeConnection | None = None
        self._heard = asyncio.Event()

    @property
    def vote(self) -> Vote | None:
        """None while the node has no power or no arbitrator."""
        if self.power is not Power.ON or self._connection is None or self.closed is not None:
            return None
        return self._connection.session.vote

    @property
    def votes_counted(self) -> int:
        """What Corosync on this node would count."""
        return len(self.members) + (DEVICE_VOTES if self.vote is Vote.ACK else 0)

    @property
    def is_quorate(self) -> bool:
        return self.power is Power.ON and 2 * self.votes_counted > len(self._everybody) + DEVICE_VOTES

    async def switch_on(self) -> None:
        """Raises OSError when the arbitrator can not be reached."""
        loop = asyncio.get_running_loop()
        self.leave()
        self.power, self.closed = Power.ON, None
        standing = Standing(self.ring_id, _infos(self._everybody), _infos(self.members), self._quorum_list(), self.is_quorate)
        session = NodeSession(self._identity, standing, loop.time())
        self._connection = await dial(self.place.host, self.place.port, session, self._hear, self.place.context)

    def cut_power(self) -> None:
        self.power = Power.CUT
        if self._connection is not None:
            self._connection.fall_silent()

    def enter_ring(self, ring_id: RingId, *members: int) -> None:
        self.ring_id, self.members = ring_id, members
        if self._connection is not None and self.power is Power.ON:
            session = self._connection.session
            self._connection.act(session.membership_changed(ring_id, _infos(members), Heuristics.UNDEFINED))

    def report_quorum(self) -> None:
        if self._connection is not None and self.power is Power.ON:
            self._connection.act(self._connection.session.quorum_changed(self._quorum_list(), self.is_quorate))

    def leave(self) -> None:
        if self._connection is not None:
            self._connection.close()

    async def wait_for(self, vote: Vote, seconds: float) -> None:
        """Raises MadeUpError when the vote does not come, or the connection ends."""
        try:
            async with asyncio.timeout(seconds):
                while self.vote is not vote:
                    if self.closed is not None:
                        raise MadeUpError(f"node {self.node_id} lost the arbitrator: {self.closed}")
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            now = "nothing" if self.vote is None else self.vote.name
            raise MadeUpError(f"node {self.node_id} has not been told {vote.name} within {seconds:g} s, but {now}") from None

    def _quorum_list(self) -> tuple[NodeInfo, ...]:
        return tuple(
            NodeInfo(NodeId(node_id), state=NodeState.MEMBER if node_id in self.members else NodeState.DEAD) for node_id in self._everybody
        )

    def _hear(self, connection: NodeConnection, event: Event) -> None:
        match event:
            case Connected():
                connection.act(connection.session.introduce())
            case Close(_, _, reason):
                self.closed = reason
            case VoteReceived(Vote.ACK | Vote.NACK, _, True):
                # Corosync counts anew and tells, after the vote has been answered.
                asyncio.get_running_loop().call_soon(self.report_quorum)
            case VoteReceived() | EchoAnswered():
                pass
        self._heard.set()


def _infos(node_ids: tuple[int, ...]) -> tuple[NodeInfo, ...]:
    return tuple(NodeInfo(NodeId(node_id)) for node_id in node_ids)
