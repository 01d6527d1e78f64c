"""lms, the last man standing: the vote for the partition that does best, be it a single node.

Nodes are in one partition when they report the same ring; the configuration does not count, so any number of nodes may
be missing. What a node claims:

    it and another report different rings, and one of the two counts the other in      to wait
    it has no ring yet (sequence number 0)                                             to wait
    its partition wins                                                                 the vote
    its partition does not                                                             nothing

The partition wins that is the only one; else the only one with the highest score; else the only one with the most nodes of
all; else the one of the tie-breaker's node, which is looked for among all connected nodes. Score is the number of
connected nodes, plus the passed, minus the failed heuristics.

What becomes of claims is in `standing`. The cost is one look at each id of each list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from thirdvote.decide.standing import Decision, Result, settle
from thirdvote.decide.view import ClusterView, Member, Verdict, score
from thirdvote.decide.wording import name_nodes, which_is_behind
from thirdvote.domain import Heuristics, NodeId, RingId, Vote

__all__ = ["Decision", "Result", "decide"]

NO_RING = Verdict(Vote.WAIT_FOR_REPLY, "it has no ring yet")


def decide(view: ClusterView, results: Mapping[NodeId, Result], asking: NodeId | None) -> Decision:
    """`results` are those of the decision before; a node without one is a newcomer."""
    return settle(view, _claims(view), results, asking)


def _claims(view: ClusterView) -> dict[NodeId, Verdict]:
    partitions = _partitions(view)
    election = _elect(view, partitions)
    claims = {member.node_id: NO_RING for member in view.members.values()}
    for ring_id, members in partitions.items():
        claim = election.won if ring_id == election.winner else election.lost
        claims.update(dict.fromkeys((member.node_id for member in members), claim))
    return claims | _waits(view)


def _waits(view: ClusterView) -> dict[NodeId, Verdict]:
    """The nodes of which one counts the other in, in different rings. Whoever is named may be the one that is behind."""
    waits: dict[NodeId, Verdict] = {}
    for member in view.members.values():
        for node_id in member.membership_list or ():
            named = view.members.get(node_id)
            if named is not None and named.ring_id != member.ring_id and not (node_id in waits and member.node_id in waits):
                wait = Verdict(Vote.WAIT_FOR_REPLY, which_is_behind(member, named))
                waits.setdefault(node_id, wait)
                waits.setdefault(member.node_id, wait)
    return waits


def _partitions(view: ClusterView) -> dict[RingId, list[Member]]:
    partitions: dict[RingId, list[Member]] = {}
    for member in view.members.values():
        if member.ring_id.sequence != 0:
            partitions.setdefault(member.ring_id, []).append(member)
    return partitions


@dataclass(frozen=True, slots=True)
class _Election:
    """The ring that wins, None when it is nobody's, with the claims of its nodes and of all others."""

    winner: RingId | None
    won: Verdict
    lost: Verdict


def _elect(view: ClusterView, partitions: Mapping[RingId, list[Member]]) -> _Election:
    if not partitions:
        return _election(None, "", "there is no partition")
    if len(partitions) == 1:
        return _election(next(iter(partitions)), "its partition is the only one connected", "the only partition is another one")
    scores = {ring_id: score(members) for ring_id, members in partitions.items()}
    sizes = {ring_id: len(members) for ring_id, members in partitions.items()}
    best = _unique_maximum(scores)
    if best is not None:
        names = f"the partition of {name_nodes([member.node_id for member in partitions[best]])}"
        if all(member.heuristics is Heuristics.UNDEFINED for member in view.members.values()):
            return _election(best, f"its partition is the largest, with {_of_connected(view, sizes[best])}", f"{names} is the largest")
        what = f"scores highest for nodes and heuristics, {scores[best]}"
        return _election(best, f"its partition {what}", f"{names} {what}")
    largest = _unique_maximum(sizes)
    if largest is not None:
        names = f"the partition of {name_nodes([member.node_id for member in partitions[largest]])}"
        what = "is the largest, at a tie in the scores"
        return _election(largest, f"its partition {what}", f"{names} {what}")
    return _break_tie(view)


def _break_tie(view: ClusterView) -> _Election:
    preferred = view.tie_breaker.preferred(view.members)
    member = view.members.get(preferred)
    if member is None:
        text = f"a tie, and node {preferred}, the tie-breaker, is not connected"
        return _election(None, text, text)
    title = f"has node {preferred}, the tie-breaker"
    return _election(member.ring_id, f"a tie, and its partition {title}", f"a tie, and another partition {title}")


def _election(winner: RingId | None, won: str, lost: str) -> _Election:
    return _Election(winner, Verdict(Vote.ACK, won), Verdict(Vote.NACK, lost))


def _of_connected(view: ClusterView, count: int) -> str:
    return f"{count} of {len(view.members)} connected nodes"


def _unique_maximum(figures: Mapping[RingId, int]) -> RingId | None:
    highest = max(figures.values(), default=None)
    rings = [ring_id for ring_id, figure in figures.items() if figure == highest]
    return rings[0] if len(rings) == 1 else None
