"""lms and 2nodelms without their defects: whoever has reported hears when its vote changes, and nothing waits for a timer.

What everybody's vote is comes from the literal second implementation of the decisions; here is only who is told what.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from typing import ClassVar

from tests.literal_decisions import Standings
from tests.lockstep.model import Client, Model, Refused
from thirdvote.decide.standing import Result
from thirdvote.decide.view import ClusterView, Member
from thirdvote.domain import Algorithm, Heuristics, NodeId, RingId, TieBreaker, Vote
from thirdvote.errors import ReplyCode

VOTES = {Result.ACK: Vote.ACK, Result.NACK: Vote.NACK, Result.NEWCOMER: Vote.NACK, Result.WAITING: Vote.WAIT_FOR_REPLY}


class SettledModel(Model):
    two_nodes: ClassVar[bool]

    def __init__(self, tie_breaker: TieBreaker, defects: Collection[str]) -> None:
        super().__init__(tie_breaker, defects)
        self.told: dict[int, Vote] = {}
        self.results: dict[NodeId, Result] = {}

    def membership(self, client: Client, ids: list[int], ring: RingId, heuristics: Heuristics) -> Vote:
        client.membership, client.ring, client.heuristics = ids, ring, heuristics
        return self.look(client)

    def heuristics(self, client: Client, heuristics: Heuristics) -> Vote:
        client.heuristics = heuristics
        self.look(None)
        return Vote.NO_CHANGE

    def leave(self, client: Client) -> None:
        client.joined = False
        self.told.pop(client.slot, None)
        self.results.pop(NodeId(client.node_id), None)
        if self.nodes:
            self.look(None)

    def answered(self, client: Client, number: int) -> None:
        """Nothing waits for it."""

    @abstractmethod
    def config(self, client: Client, ids: list[int], *, initial: bool) -> Vote: ...

    def look(self, asking: Client | None) -> Vote:
        """Tells the others what is new to them, the losers first, and returns the vote of the one that asks."""
        standings = Standings(self.two_nodes, self._view(), self.results, NodeId(asking.node_id) if asking else None)
        self.results = dict(standings.results)
        votes = {client.slot: self._vote(standings, client) for client in self.nodes}
        for vote in (Vote.NACK, Vote.ACK):
            for client in self.nodes:
                reported = client is not asking and client.membership is not None
                if reported and votes[client.slot] is vote and self.told.get(client.slot) is not vote:
                    self.told[client.slot] = vote
                    self.tell(client, vote)
        if asking is None:
            return Vote.NO_CHANGE
        self.told[asking.slot] = votes[asking.slot]
        return votes[asking.slot]

    def _vote(self, standings: Standings, client: Client) -> Vote:
        node_id = NodeId(client.node_id)
        waits = standings.claims(node_id) is Result.WAITING
        return Vote.WAIT_FOR_REPLY if waits else VOTES[standings.results[node_id]]

    def _view(self) -> ClusterView:
        return ClusterView({NodeId(client.node_id): _member(client) for client in self.nodes}, self.tie_breaker)


class SettledLmsModel(SettledModel):
    algorithm = Algorithm.LMS
    two_nodes = False

    def config(self, client: Client, ids: list[int], *, initial: bool) -> Vote:
        return Vote.NO_CHANGE

    def quorum(self, client: Client) -> Vote:
        return self.look(client)

    def ask(self, client: Client) -> Vote:
        return self.look(client)


class SettledTwoNodeLmsModel(SettledModel):
    algorithm = Algorithm.TWO_NODE_LMS
    two_nodes = True

    def config(self, client: Client, ids: list[int], *, initial: bool) -> Vote:
        if len(ids) != 2:
            raise Refused(ReplyCode.UNSUPPORTED_ALGORITHM)
        return Vote.NO_CHANGE

    def quorum(self, client: Client) -> Vote:
        return Vote.NO_CHANGE

    def ask(self, client: Client) -> Vote:
        if self.results.get(NodeId(client.node_id)) not in (Result.ACK, Result.NACK):
            self.told[client.slot] = Vote.ASK_LATER
        return self.told.get(client.slot, Vote.NO_CHANGE)


def _member(client: Client) -> Member:
    assert client.ring is not None
    membership = None if client.membership is None else frozenset(map(NodeId, client.membership))
    return Member(NodeId(client.node_id), client.ring, membership_list=membership, heuristics=client.heuristics)
