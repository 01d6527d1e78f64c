"""The decisions a second time, in the most literal way: list by list, pair by pair, nothing remembered, nothing clever.

Written from a description of what corosync-qnetd does, not from `thirdvote.decide`, to be compared with it. Where we differ
from corosync-qnetd on purpose, the line says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from thirdvote.decide.standing import Result
from thirdvote.decide.view import ClusterView, Member
from thirdvote.domain import Heuristics, NodeId, TieBreakerMode, Vote

# ---- ffsplit


def config_of(member: Member) -> set[NodeId]:
    return set(member.config_list or ())


def membership_of(member: Member) -> set[NodeId]:
    return set(member.membership_list or ())


def ffsplit_is_stable(view: ClusterView) -> bool:
    members = view.members.values()
    for one in members:
        for other in members:
            for node_id in config_of(one):
                if node_id not in config_of(other):
                    return False
    for one in members:
        for other in members:
            if other.node_id in membership_of(one):
                if one.ring_id != other.ring_id:
                    return False
                for node_id in membership_of(one):
                    if node_id not in membership_of(other):
                        return False
    return True


def connected(view: ClusterView, member: Member) -> int:
    return sum(node_id in view.members for node_id in membership_of(member))


def ffsplit_score(view: ClusterView, member: Member | None) -> int:
    if member is None:
        return 0
    total = 0
    for node_id in membership_of(member):
        if node_id in view.members:
            total += 1
            total += view.members[node_id].heuristics is Heuristics.PASS
            total -= view.members[node_id].heuristics is Heuristics.FAIL
    return total


def ffsplit_is_better(view: ClusterView, one: Member, best: Member | None, before: frozenset[NodeId]) -> bool:
    configured, together = len(config_of(one)), len(membership_of(one))
    if not configured or not together:
        return False  # ours: who has not sent both lists is no candidate
    if configured % 2 == 1:
        return together > configured // 2
    if together != configured // 2:
        return together > configured // 2
    if ffsplit_score(view, one) != ffsplit_score(view, best):
        return ffsplit_score(view, one) > ffsplit_score(view, best)
    best_connected = 0 if best is None else connected(view, best)
    if connected(view, one) != best_connected:
        return connected(view, one) > best_connected
    if all(member.keep_active_partition for member in view.members.values()) and best is not None:
        if one.node_id in before and best.node_id not in before:
            return True
        if one.node_id not in before and best.node_id in before:
            return False
    return preferred_of(view, config_of(one)) in membership_of(one)


def preferred_of(view: ClusterView, node_ids: Iterable[NodeId]) -> NodeId:
    return {
        TieBreakerMode.LOWEST: min(node_ids),
        TieBreakerMode.HIGHEST: max(node_ids),
        TieBreakerMode.NODE_ID: view.tie_breaker.node_id,
    }[view.tie_breaker.mode]


def ffsplit(view: ClusterView, before: frozenset[NodeId]) -> tuple[frozenset[NodeId], dict[NodeId, Vote]] | None:
    """The winning partition and everybody's vote, or None if the view is not stable."""
    if not ffsplit_is_stable(view):
        return None
    best: Member | None = None
    for node_id in sorted(view.members):
        if ffsplit_is_better(view, view.members[node_id], best, before):
            best = view.members[node_id]
    winner = frozenset(membership_of(best)) if best is not None else frozenset[NodeId]()
    return winner, {node_id: Vote.ACK if node_id in winner else Vote.NACK for node_id in view.members}


# ---- lms and 2nodelms: what one node that asks is answered


def has_vote_in_another_ring(view: ClusterView, results: Mapping[NodeId, Result], one: Member) -> bool:
    return any(
        other.ring_id != one.ring_id and results[other.node_id] is Result.ACK
        for other in view.members.values()
        if other.node_id != one.node_id
    )


def lms_answer(view: ClusterView, results: Mapping[NodeId, Result], asked: NodeId) -> Result | None:
    """None: refused as a newcomer, which is a NACK that is not remembered."""
    one = view.members[asked]
    for other in view.members.values():
        linked = other.node_id in membership_of(one) or one.node_id in membership_of(other)
        if other.node_id != asked and linked and other.ring_id != one.ring_id:
            return Result.WAITING
    if one.ring_id.sequence == 0:
        return Result.WAITING  # ours: corosync-qnetd gives it the vote when there is exactly one other partition
    rings = {member.ring_id for member in view.members.values() if member.ring_id.sequence != 0}
    if len(rings) == 1:
        return Result.ACK
    if results[asked] is Result.NEWCOMER and has_vote_in_another_ring(view, results, one):
        return None
    sizes = {ring: sum(member.ring_id == ring for member in view.members.values()) for ring in rings}
    scores = {
        ring: sizes[ring]
        + sum(member.ring_id == ring and member.heuristics is Heuristics.PASS for member in view.members.values())
        - sum(member.ring_id == ring and member.heuristics is Heuristics.FAIL for member in view.members.values())
        for ring in rings
    }
    for figures in (scores, sizes):
        highest = max(figures.values())
        if list(figures.values()).count(highest) == 1:
            return Result.ACK if figures[one.ring_id] == highest else Result.NACK
    preferred = view.members.get(preferred_of(view, view.members))  # ours: its whole ring wins in every mode
    return Result.ACK if preferred is not None and preferred.ring_id == one.ring_id else Result.NACK


def two_node_answer(view: ClusterView, results: Mapping[NodeId, Result], asked: NodeId) -> Result | None:
    one = view.members[asked]
    if results[asked] is Result.NEWCOMER and has_vote_in_another_ring(view, results, one):
        return None
    if len(membership_of(one)) == 2 or len(view.members) == 1:
        return Result.ACK
    other = [view.members[node_id] for node_id in sorted(view.members) if node_id != asked][-1]
    order = [Heuristics.FAIL, Heuristics.UNDEFINED, Heuristics.PASS]
    mine, theirs = order.index(one.heuristics), order.index(other.heuristics)
    if mine != theirs:
        return Result.ACK if mine > theirs else Result.NACK
    return Result.ACK if asked == preferred_of(view, view.members) else Result.NACK


# ---- lms and 2nodelms: everybody, one change at a time until nothing changes (ours: corosync-qnetd leaves the others alone)


class Standings:
    def __init__(self, two_nodes: bool, view: ClusterView, results: Mapping[NodeId, Result], asking: NodeId | None) -> None:
        self.answer = two_node_answer if two_nodes else lms_answer
        self.view = view
        self.results = {node_id: results.get(node_id, Result.NEWCOMER) for node_id in view.members}
        self.asking = asking
        if asking is not None:
            self.results[asking] = self.answer(view, self.results, asking) or Result.NEWCOMER
        while self.change_one():
            pass

    def claims(self, node_id: NodeId) -> Result:
        """What it would be answered if it were no newcomer."""
        answer = self.answer(self.view, self.results | {node_id: Result.NACK}, node_id)
        assert answer is not None
        return answer

    def change_one(self) -> bool:
        spoken = [
            node_id
            for node_id, member in self.view.members.items()
            if node_id == self.asking or member.membership_list is not None or self.results[node_id] is not Result.NEWCOMER
        ]
        newcomers = [node_id for node_id in spoken if self.results[node_id] is Result.NEWCOMER]
        veterans = [node_id for node_id in spoken if self.results[node_id] is not Result.NEWCOMER]
        for node_id in veterans:
            if self.claims(node_id) is Result.ACK and self.set(node_id, Result.ACK):
                return True
        losers = [node_id for node_id in veterans if self.claims(node_id) is Result.NACK and self.is_to_lose(node_id)]
        if True in [self.set(node_id, Result.NACK) for node_id in losers]:
            return True
        for wanted in (Result.ACK, Result.NACK):
            for node_id in newcomers:
                if self.claims(node_id) is wanted:
                    answer = self.answer(self.view, self.results, node_id)
                    if answer is not None and self.set(node_id, answer):
                        return True
        return False

    def is_to_lose(self, node_id: NodeId) -> bool:
        if self.results[node_id] is not Result.ACK:
            return True
        return any(
            other.ring_id != self.view.members[node_id].ring_id
            for other in self.view.members.values()
            if self.results[other.node_id] is Result.ACK and self.claims(other.node_id) is not Result.WAITING
        )

    def set(self, node_id: NodeId, result: Result) -> bool:
        changed = self.results[node_id] is not result
        self.results[node_id] = result
        return changed
