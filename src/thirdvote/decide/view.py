"""What a decision is made on: the cluster as it would be once the message at hand is taken in.

The caller proposes the whole view first (the sender's new list in it, a node that is leaving out of it) and only then
asks for a decision, so that no rule has to know which message caused it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from thirdvote.domain import Heuristics, NodeId, RingId, TieBreaker, Vote


@dataclass(frozen=True, slots=True)
class Member:
    """One connected node. A list is None until the node has sent it; ids that a node repeats count once."""

    node_id: NodeId
    ring_id: RingId
    config_list: frozenset[NodeId] | None = None
    membership_list: frozenset[NodeId] | None = None
    heuristics: Heuristics = Heuristics.UNDEFINED
    keep_active_partition: bool = False


@dataclass(frozen=True, slots=True)
class ClusterView:
    """`members` in ascending order of node id: the connected nodes of one cluster."""

    members: Mapping[NodeId, Member]
    tie_breaker: TieBreaker


@dataclass(frozen=True, slots=True)
class Verdict:
    """A vote for one node, and why, as a clause for a person: "the other half has node 1, the tie-breaker"."""

    vote: Vote
    because: str


def score(members: Iterable[Member]) -> int:
    """By what ffsplit and lms measure connected nodes: one each, one more for passed, one less for failed heuristics."""
    return sum(1 + _HEURISTICS_SCORE[member.heuristics] for member in members)


_HEURISTICS_SCORE = {Heuristics.UNDEFINED: 0, Heuristics.PASS: 1, Heuristics.FAIL: -1}
