"""The story of `thirdvote demo`: two made-up nodes join the running arbitrator, lose each other, one dies, they heal.

The nodes are the only thing that is made up. They come in through the arbitrator's port, with a certificate of its own
authority, and what is told of them is what the arbitrator says of them. The demo has a cluster name of its own and
leaves nothing behind, however it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from thirdvote.domain import ClusterName, NodeId, RingId, Vote
from thirdvote.errors import UserError
from thirdvote.node.made_up import MadeUpError, MadeUpNode, Place, Power

HEARTBEAT_MS = 1_000
"""The least that an arbitrator takes, so that a dead node is noticed within two seconds."""
PATIENCE_S = 10.0
"""For anything that the arbitrator is to do."""
READING_S = 2.5
"""To read a scene before the next."""

BOTH = (1, 2)

Explain = Callable[[], Mapping[int, str]]
"""For each node of the demo's cluster that the arbitrator knows: why it has the vote or not. Called in a thread."""


@dataclass(frozen=True, slots=True)
class Line:
    """One node in one scene. `has_vote` None: it is off."""

    node_id: int
    has_vote: bool | None
    because: str
    votes: int
    is_quorate: bool


@dataclass(frozen=True, slots=True)
class Scene:
    title: str
    lines: tuple[Line, ...]
    moral: str


Show = Callable[[Scene], None]


async def play(cluster: ClusterName, place: Place, explain: Explain, show: Show, pause_s: float = READING_S) -> None:
    """Raises UserError when the arbitrator does not play its part."""
    nodes = {node_id: MadeUpNode(cluster, node_id, BOTH, place, HEARTBEAT_MS) for node_id in BOTH}
    try:
        async with _leaving(nodes, explain):
            await _Stage(nodes, explain, show, pause_s).play()
    except MadeUpError as error:
        raise UserError(f"the demo did not go as it should: {error}", _LOOK) from None


_LOOK = "the arbitrator's log says why; `thirdvote status` shows where it listens"


class _Stage:
    def __init__(self, nodes: Mapping[int, MadeUpNode], explain: Explain, show: Show, pause_s: float) -> None:
        self._one, self._two = nodes[1], nodes[2]
        self._explain = explain
        self._show = show
        self._pause_s = pause_s

    async def play(self) -> None:
        await self._join()
        await self._pause()
        await self._split()
        await self._pause()
        await self._die()
        await self._pause()
        await self._heal()

    async def _join(self) -> None:
        for node in (self._one, self._two):
            await _switch_on(node)
        await self._expect(Vote.ACK, Vote.ACK)
        await self._tell("the two nodes join", "both nodes and the arbitrator: three votes, any two of them are enough")

    async def _split(self) -> None:
        for node in (self._one, self._two):
            node.enter_ring(RingId(NodeId(node.node_id), 5), node.node_id)
        await self._expect(Vote.ACK, Vote.NACK)
        await self._tell("the nodes lose each other", "only one side goes on, so the data can not be written on both")

    async def _die(self) -> None:
        self._one.cut_power()
        await self._two.wait_for(Vote.ACK, PATIENCE_S)
        await self._tell("node 1 loses its power", "the node that is left has two of three votes: that is what the arbitrator is for")

    async def _heal(self) -> None:
        ring_id = RingId(NodeId(1), 9)
        self._two.enter_ring(ring_id, *BOTH)
        self._one.enter_ring(ring_id, *BOTH)
        await _switch_on(self._one)
        await self._expect(Vote.ACK, Vote.ACK)
        await self._tell("node 1 is back, and the nodes see each other again", "all is as at the start")

    async def _expect(self, of_one: Vote, of_two: Vote) -> None:
        await self._one.wait_for(of_one, PATIENCE_S)
        await self._two.wait_for(of_two, PATIENCE_S)

    async def _tell(self, title: str, moral: str) -> None:
        reasons = await asyncio.to_thread(self._explain)
        self._show(Scene(title, tuple(_line(node, reasons) for node in (self._one, self._two)), moral))

    async def _pause(self) -> None:
        await asyncio.sleep(self._pause_s)


async def _switch_on(node: MadeUpNode) -> None:
    try:
        await node.switch_on()
    except OSError as error:
        where = f"{node.place.host} port {node.place.port}"
        raise UserError(f"the demo's nodes can not reach the arbitrator at {where} ({error.strerror or error})", _LOOK) from None


def _line(node: MadeUpNode, reasons: Mapping[int, str]) -> Line:
    if node.power is not Power.ON:
        return Line(node.node_id, None, "it is off", 0, False)
    because = reasons.get(node.node_id, "the arbitrator does not know it")
    return Line(node.node_id, node.vote is Vote.ACK, because, node.votes_counted, node.is_quorate)


@asynccontextmanager
async def _leaving(nodes: Mapping[int, MadeUpNode], explain: Explain) -> AsyncIterator[None]:
    """The nodes say goodbye however it ends; returns when the arbitrator has forgotten them."""
    try:
        yield
    finally:
        for node in nodes.values():
            node.leave()
        await _forgotten(explain)


async def _forgotten(explain: Explain) -> None:
    """Asks again and again, because the arbitrator is another process; one that does not answer has nothing to forget."""
    with suppress(TimeoutError, UserError):
        async with asyncio.timeout(PATIENCE_S):
            while await asyncio.to_thread(explain):  # noqa: ASYNC110
                await asyncio.sleep(0.02)


def reasons(snapshot: Mapping[str, Any]) -> dict[int, str]:
    """What `Explain` gives, out of a snapshot of the demo's cluster as the control socket gives it."""
    return {node["node"]: node["because"] for cluster in snapshot["clusters"] for node in cluster["nodes"]}
