"""The standing of each node under lms and 2nodelms: what it was last told, and when that changes.

The two algorithms say what each node's *claim* is: what it would get if nobody had been promised anything. A claim is
ACK, NACK, or WAIT_FOR_REPLY where the node's ring is changing and others have yet to report it. It depends on the view
alone. From claims to votes it takes what the nodes have now:

1. The node that asks gets what it claims. One thing is in the way: a *newcomer* (a node that got nothing since it
   joined) is refused as long as a node in another ring has the vote, and stays a newcomer.
2. All others that have spoken follow, so that nobody has to ask again to learn that something changed:
   a. who claims the vote gets it, unless it is a newcomer;
   b. who does not claim it has none. But a node that has the vote and did not ask loses it only if somebody in another
      ring takes it over: what would go to a newcomer, or to nobody, stays where it is;
   c. newcomers last, by the rule of 1.
   A node whose ring is changing keeps what it was told. It reports soon, and then it is the one that asks.

After a decision no two nodes in different rings have the vote, apart from those that count each other in and of which
one is behind (lms: whose claim is to wait; 2nodelms: that count both nodes in). A decision without a new fact changes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from thirdvote.decide.view import ClusterView, Verdict
from thirdvote.decide.wording import name_nodes
from thirdvote.domain import NodeId, RingId, Vote


class Result(Enum):
    """What a node got last; a newcomer that was refused stays NEWCOMER."""

    NEWCOMER = auto()
    ACK = auto()
    NACK = auto()
    WAITING = auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """Both for every connected node. WAIT_FOR_REPLY for a node that did not ask means that it is to be told nothing."""

    results: dict[NodeId, Result]
    verdicts: dict[NodeId, Verdict]


_RESULT_OF_CLAIM = {Vote.ACK: Result.ACK, Vote.NACK: Result.NACK, Vote.WAIT_FOR_REPLY: Result.WAITING}

SILENT = Verdict(Vote.WAIT_FOR_REPLY, "it has not reported its membership yet")
KEEPS = Verdict(Vote.ACK, "it has the vote already, and nobody is there to take it over")


def settle(view: ClusterView, claims: Mapping[NodeId, Verdict], results: Mapping[NodeId, Result], asking: NodeId | None) -> Decision:
    """`asking` is the node whose message this is, None when one left or its heuristics changed."""
    standings = _Standings(view, claims, {node_id: results.get(node_id, Result.NEWCOMER) for node_id in view.members})
    if asking is not None:
        standings.ask(asking)
    spoken = [
        n for n, member in view.members.items() if n == asking or member.membership_list or standings.results[n] is not Result.NEWCOMER
    ]
    standings.follow([node_id for node_id in spoken if standings.results[node_id] is not Result.NEWCOMER])
    standings.admit([node_id for node_id in spoken if standings.results[node_id] is Result.NEWCOMER])
    verdicts = dict.fromkeys(view.members, SILENT) | {node_id: standings.verdict(node_id) for node_id in spoken}
    return Decision(standings.results, verdicts)


class _Standings:
    """The steps of the rule above; `results` is what it works on."""

    def __init__(self, view: ClusterView, claims: Mapping[NodeId, Verdict], results: dict[NodeId, Result]) -> None:
        self._view = view
        self._claims = claims
        self.results = results

    def ask(self, node_id: NodeId) -> None:
        if self._claims[node_id].vote is Vote.WAIT_FOR_REPLY:
            self.results[node_id] = Result.WAITING
        else:
            self._evaluate(node_id)

    def follow(self, veterans: list[NodeId]) -> None:
        for node_id in self._claiming(veterans, Vote.ACK):
            self.results[node_id] = Result.ACK
        taken_over = self._rings_with_vote(self._claiming(self._view.members, Vote.ACK))
        for node_id in self._claiming(veterans, Vote.NACK):
            if self.results[node_id] is not Result.ACK or self._is_elsewhere(node_id, taken_over):
                self.results[node_id] = Result.NACK

    def admit(self, newcomers: list[NodeId]) -> None:
        for vote in (Vote.ACK, Vote.NACK):
            for node_id in self._claiming(newcomers, vote):
                self._evaluate(node_id)

    def verdict(self, node_id: NodeId) -> Verdict:
        claim = self._claims[node_id]
        if claim.vote is Vote.WAIT_FOR_REPLY:
            return claim
        match self.results[node_id]:
            case Result.NEWCOMER:
                return self._refusal(node_id)
            case Result.ACK if claim.vote is not Vote.ACK:
                return KEEPS
            case _:
                return claim

    def _evaluate(self, node_id: NodeId) -> None:
        is_newcomer = self.results[node_id] is Result.NEWCOMER
        if not (is_newcomer and self._is_elsewhere(node_id, self._rings_with_vote(self._view.members))):
            self.results[node_id] = _RESULT_OF_CLAIM[self._claims[node_id].vote]

    def _claiming(self, node_ids: Iterable[NodeId], vote: Vote) -> list[NodeId]:
        return [node_id for node_id in node_ids if self._claims[node_id].vote is vote]

    def _rings_with_vote(self, node_ids: Iterable[NodeId]) -> set[RingId]:
        return {self._view.members[node_id].ring_id for node_id in node_ids if self.results[node_id] is Result.ACK}

    def _is_elsewhere(self, node_id: NodeId, rings: set[RingId]) -> bool:
        return any(ring_id != self._view.members[node_id].ring_id for ring_id in rings)

    def _refusal(self, node_id: NodeId) -> Verdict:
        ring_id = self._view.members[node_id].ring_id
        holders = [n for n, member in self._view.members.items() if self.results[n] is Result.ACK and member.ring_id != ring_id]
        return Verdict(Vote.NACK, f"{name_nodes(holders)} had the vote already when it came")
