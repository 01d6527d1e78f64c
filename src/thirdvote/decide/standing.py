"""The standing of each node under lms and 2nodelms: what it was last told, and when that changes.

The two algorithms say what each node's *claim* is: what it would get if nobody had been promised anything. A claim is
ACK, NACK, or WAIT_FOR_REPLY where the node's ring is changing and others have yet to report it. It depends on the view
alone. From claims to votes it takes what the nodes have now:

1. The node that asks gets what it claims. One thing is in the way: a *newcomer* (a node that got nothing since it
   joined) is refused as long as a node in another ring has the vote, and stays a newcomer.
2. All others that have spoken follow, so that nobody has to ask again to learn that something changed:
   a. who claims the vote gets it, unless it is a newcomer;
   b. who does not claim it has none. But a node that has the vote already and did not ask loses it only when somebody in
      another ring has it, too: what would go to a newcomer, or to nobody, stays where it is;
   c. newcomers last, by the rule of 1, those with a claim first.
   A node whose ring is changing keeps what it was told. It reports soon, and then it is the one that asks.

So no two rings have the vote after a decision, save for nodes whose ring is changing (in 2nodelms: those that count both
nodes in). And a decision without a new fact changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from thirdvote.decide.view import ClusterView, Member, Verdict
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


SILENT = Verdict(Vote.WAIT_FOR_REPLY, "it has not reported its membership yet")
KEEPS = Verdict(Vote.ACK, "it had the vote already, and nobody has come who may take it over")


def settle(view: ClusterView, claims: Mapping[NodeId, Verdict], results: Mapping[NodeId, Result], asking: NodeId | None) -> Decision:
    """`asking` is the node whose message this is, None when one left or its heuristics changed."""
    standings = _Standings(view, claims, {node_id: results.get(node_id, Result.NEWCOMER) for node_id in view.members})
    if asking is not None:
        standings.ask(asking)
    spoken = [node_id for node_id, member in view.members.items() if node_id == asking or standings.has_spoken(member)]
    standings.follow([node_id for node_id in spoken if standings.results[node_id] is not Result.NEWCOMER])
    standings.admit([node_id for node_id in spoken if standings.results[node_id] is Result.NEWCOMER])
    return Decision(standings.results, dict.fromkeys(view.members, SILENT) | standings.verdicts(spoken))


class _Standings:
    """The steps of the rule above; `results` is what they work on."""

    def __init__(self, view: ClusterView, claims: Mapping[NodeId, Verdict], results: dict[NodeId, Result]) -> None:
        self._rings = {node_id: member.ring_id for node_id, member in view.members.items()}
        self._claims = claims
        self.results = results

    def ask(self, node_id: NodeId) -> None:
        if self._claims[node_id].vote is Vote.WAIT_FOR_REPLY:
            self.results[node_id] = Result.WAITING
        elif self.results[node_id] is Result.NEWCOMER:
            self.admit([node_id])
        else:
            self._grant_claim(node_id)

    def has_spoken(self, member: Member) -> bool:
        """Who only joined was promised nothing, and is told nothing."""
        return member.membership_list is not None or self.results[member.node_id] is not Result.NEWCOMER

    def follow(self, veterans: list[NodeId]) -> None:
        for node_id in self._claiming(veterans, Vote.ACK):
            self._grant_claim(node_id)
        settled = {ring_id for vote in (Vote.ACK, Vote.NACK) for ring_id in self._holders(self._claiming(self._rings, vote))}
        for node_id in self._claiming(veterans, Vote.NACK):
            if self.results[node_id] is not Result.ACK or self._elsewhere(node_id, settled) is not None:
                self._grant_claim(node_id)

    def admit(self, newcomers: list[NodeId]) -> None:
        holding = set(self._holders(self._rings))
        for vote in (Vote.ACK, Vote.NACK):
            for node_id in self._claiming(newcomers, vote):
                if self._elsewhere(node_id, holding) is None:
                    self._grant_claim(node_id)
                    if vote is Vote.ACK:
                        holding.add(self._rings[node_id])

    def verdicts(self, node_ids: Iterable[NodeId]) -> dict[NodeId, Verdict]:
        refusals = {
            ring_id: Verdict(Vote.NACK, f"{name_nodes(holders)} had the vote already when it came")
            for ring_id, holders in self._holders(self._rings).items()
        }
        return {node_id: self._verdict(node_id, refusals) for node_id in node_ids}

    def _verdict(self, node_id: NodeId, refusals: Mapping[RingId, Verdict]) -> Verdict:
        claim, result = self._claims[node_id], self.results[node_id]
        if claim.vote is Vote.WAIT_FOR_REPLY:
            return claim
        if result is Result.NEWCOMER:
            ring_id = self._elsewhere(node_id, refusals)
            assert ring_id is not None, "only a vote in another ring keeps a newcomer one"
            return refusals[ring_id]
        return KEEPS if result is Result.ACK and claim.vote is Vote.NACK else claim

    def _grant_claim(self, node_id: NodeId) -> None:
        self.results[node_id] = Result.ACK if self._claims[node_id].vote is Vote.ACK else Result.NACK

    def _claiming(self, node_ids: Iterable[NodeId], vote: Vote) -> list[NodeId]:
        return [node_id for node_id in node_ids if self._claims[node_id].vote is vote]

    def _holders(self, node_ids: Iterable[NodeId]) -> dict[RingId, list[NodeId]]:
        """Those of `node_ids` that have the vote, by ring."""
        holders: dict[RingId, list[NodeId]] = {}
        for node_id in node_ids:
            if self.results[node_id] is Result.ACK:
                holders.setdefault(self._rings[node_id], []).append(node_id)
        return holders

    def _elsewhere(self, node_id: NodeId, rings: Iterable[RingId]) -> RingId | None:
        """One of `rings` that is not the node's; looks at two at most, as they differ."""
        return next((ring_id for ring_id in rings if ring_id != self._rings[node_id]), None)
