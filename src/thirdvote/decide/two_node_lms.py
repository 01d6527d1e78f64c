"""2nodelms: last man standing for a configuration of exactly two nodes.

What a node claims, with its own membership list and what is known of the other node:

    its list has exactly two nodes              the vote: nobody is missing
    no other node is connected                  the vote
    its heuristics are better than the other's  the vote; worse: nothing (failed is below none, none is below passed)
    else                                        the vote if it is the tie-breaker's node among those connected

Nobody waits: a list that names both nodes is believed, whatever the other one reports. What becomes of claims is in
`standing`.
"""

from __future__ import annotations

from collections.abc import Mapping

from thirdvote.decide.standing import Decision, Result, settle
from thirdvote.decide.view import ClusterView, Member, Verdict
from thirdvote.domain import Heuristics, NodeId, Vote

RANK = {Heuristics.FAIL: 0, Heuristics.UNDEFINED: 1, Heuristics.PASS: 2}

TOGETHER = Verdict(Vote.ACK, "it is together with the other node")
ALONE = Verdict(Vote.ACK, "the other node is not connected")


def decide(view: ClusterView, results: Mapping[NodeId, Result], asking: NodeId | None) -> Decision:
    """`results` are those of the decision before; a node without one is a newcomer."""
    return settle(view, _claims(view), results, asking)


def _claims(view: ClusterView) -> dict[NodeId, Verdict]:
    if not view.members:
        return {}
    preferred = view.tie_breaker.preferred(view.members)
    last_two = [*view.members.values()][-2:]
    return {member.node_id: _claim(member, _other(member, last_two), preferred) for member in view.members.values()}


def _other(member: Member, last_two: list[Member]) -> Member | None:
    """The last other node. More than two are connected only by mistake; corosync-qnetd looks at the last one, too."""
    return next((other for other in reversed(last_two) if other is not member), None)


def _claim(member: Member, other: Member | None, preferred: NodeId) -> Verdict:
    if member.membership_list is not None and len(member.membership_list) == 2:
        return TOGETHER
    if other is None:
        return ALONE
    mine, theirs = RANK[member.heuristics], RANK[other.heuristics]
    if mine != theirs:
        name, others_name = _heuristics(member), _heuristics(other)
        return Verdict(Vote.ACK if mine > theirs else Vote.NACK, f"its heuristics {name}, those of node {other.node_id} {others_name}")
    if member.node_id == preferred:
        return Verdict(Vote.ACK, "nodes are apart, and it is the tie-breaker")
    return Verdict(Vote.NACK, f"nodes are apart, and node {preferred} is the tie-breaker")


def _heuristics(member: Member) -> str:
    return {Heuristics.FAIL: "failed", Heuristics.UNDEFINED: "are not known", Heuristics.PASS: "passed"}[member.heuristics]
