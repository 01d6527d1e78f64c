"""lms and 2nodelms: against the literal second implementation, on random and all small views; and what must always hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import literal_decisions, small_worlds
from tests.small_worlds import RINGS, every, member, ring, split_views, tie_breakers, view
from thirdvote.decide import lms, two_node_lms
from thirdvote.decide.standing import Decision, Result
from thirdvote.decide.view import ClusterView, Member
from thirdvote.domain import Heuristics, NodeId, RingId, TieBreaker, Vote

Step = tuple[str, NodeId, RingId, frozenset[NodeId], Heuristics]
"""What happens, to which node; ring, nodes and heuristics where the step has some. Whatever comes first from a node makes it join."""

Decide = Callable[[ClusterView, Mapping[NodeId, Result], NodeId | None], Decision]

BOTH = pytest.mark.parametrize("decide", [lms.decide, two_node_lms.decide], ids=["lms", "2nodelms"])

ALL_RESULTS = tuple(Result)


def check(decide: Decide, world: ClusterView, before: Mapping[NodeId, Result], asking: NodeId | None) -> None:
    decision = decide(world, before, asking)
    literal = literal_decisions.Standings(decide is two_node_lms.decide, world, before, asking)
    assert decision.results == literal.results, (world, before, asking)
    assert decision.verdicts.keys() == world.members.keys()
    for node_id, verdict in decision.verdicts.items():
        assert verdict.because
        assert verdict.vote in votes_that_fit(decision.results[node_id]), (world, before, asking, decision)
    if asking is not None and decision.results[asking] is Result.NEWCOMER:
        assert decision.verdicts[asking].vote is Vote.NACK
    assert decide(world, decision.results, None).results == decision.results, (world, before, asking, decision)


def votes_that_fit(result: Result) -> set[Vote]:
    """WAIT_FOR_REPLY goes with each: it is told to nobody but who asks."""
    return {
        Result.ACK: {Vote.ACK, Vote.WAIT_FOR_REPLY},
        Result.NACK: {Vote.NACK, Vote.WAIT_FOR_REPLY},
        Result.WAITING: {Vote.WAIT_FOR_REPLY},
        Result.NEWCOMER: {Vote.NACK, Vote.WAIT_FOR_REPLY},
    }[result]


def can_be(decide: Decide, world: ClusterView, results: Mapping[NodeId, Result]) -> bool:
    """No node without a ring has a vote under lms, and nobody waits under 2nodelms."""
    if decide is two_node_lms.decide:
        return Result.WAITING not in results.values()
    return not any(result is Result.ACK and world.members[node_id].ring_id.sequence == 0 for node_id, result in results.items())


@BOTH
@settings(max_examples=400)
@given(world=split_views(), before=small_worlds.results, data=st.data())
def test_random_views(decide: Decide, world: ClusterView, before: dict[NodeId, Result], data: st.DataObject) -> None:
    """With whatever results, also such as no history leads to."""
    known = {node_id: result for node_id, result in before.items() if node_id in world.members}
    if can_be(decide, world, known):
        check(decide, world, known, data.draw(st.sampled_from([None, *world.members])))


@BOTH
def test_all_worlds_of_two_nodes(decide: Decide) -> None:
    rings = [ring(1, 4), ring(2, 8), ring(1, 0)]
    reports = {n: [member(n, *report) for report in product(rings, [None, (n,), (1, 2)])] for n in (1, 2)}
    heuristics = (
        list(product([Heuristics.FAIL, Heuristics.PASS], repeat=2))
        if decide is two_node_lms.decide
        else [(Heuristics.PASS, Heuristics.FAIL)]
    )
    for members in every([reports[1], reports[2]]):
        for values, tie_breaker in product([(Heuristics.UNDEFINED, Heuristics.UNDEFINED), *heuristics], tie_breakers(2, 3)[1:]):
            world = view(*(replace(m, heuristics=value) for m, value in zip(members, values, strict=True)), tie_breaker=tie_breaker)
            for results, asking in product(product(ALL_RESULTS, repeat=2), (None, NodeId(1), NodeId(2))):
                before = dict(zip(world.members, results, strict=True))
                if can_be(decide, world, before):
                    check(decide, world, before, asking)


def test_all_splits_of_three_nodes_under_lms() -> None:
    """Every node in one of two rings, with no list, one that fits, or the old one of all three; every standing; everybody may ask."""
    rings = [ring(1, 4), ring(2, 8)]
    for places in product((0, 1), repeat=3):
        mates = [[n for n in (1, 2, 3) if places[n - 1] == place] for place in (0, 1)]
        reports = [[member(n, rings[places[n - 1]], m) for m in (None, mates[places[n - 1]], (1, 2, 3))] for n in (1, 2, 3)]
        for members in every(reports):
            world = view(*members, tie_breaker=small_worlds.HIGHEST)
            for results, asking in product(product(ALL_RESULTS, repeat=3), (None, NodeId(1), NodeId(2))):
                check(lms.decide, world, dict(zip(world.members, results, strict=True)), asking)


# ---- whole histories: what must hold after every step that nodes can take


class History:
    """A cluster that decides after every step, and remembers."""

    def __init__(self, decide: Decide, tie_breaker: TieBreaker) -> None:
        self.decide = decide
        self.members: dict[NodeId, Member] = {}
        self.results: dict[NodeId, Result] = {}
        self.tie_breaker = tie_breaker

    def world(self) -> ClusterView:
        return ClusterView(dict(sorted(self.members.items())), self.tie_breaker)

    def take(self, changed: Member | None, asking: NodeId | None) -> None:
        if changed is not None:
            self.members[changed.node_id] = changed
        before = dict(self.results)
        decision = self.decide(self.world(), before, asking)
        self.results = dict(decision.results)
        self.assert_one_ring(decision)
        self.assert_lost_only_to_another(before, asking)
        self.assert_not_nobody(decision)

    def leave(self, node_id: NodeId) -> None:
        del self.members[node_id]
        self.results.pop(node_id, None)
        self.take(None, None)

    def is_changing(self, node_id: NodeId, decision: Decision) -> bool:
        """Whether others have yet to report its ring; 2nodelms knows no waiting, there it is the node that counts both in."""
        if self.decide is lms.decide:
            return decision.verdicts[node_id].vote is Vote.WAIT_FOR_REPLY
        return len(self.members[node_id].membership_list or ()) == 2

    def assert_one_ring(self, decision: Decision) -> None:
        holding = [node_id for node_id, result in self.results.items() if result is Result.ACK and not self.is_changing(node_id, decision)]
        assert len({self.members[node_id].ring_id for node_id in holding}) <= 1

    def assert_lost_only_to_another(self, before: Mapping[NodeId, Result], asking: NodeId | None) -> None:
        for node_id, result in self.results.items():
            if before.get(node_id) is Result.ACK and result is not Result.ACK and node_id != asking:
                assert any(
                    self.results[other] is Result.ACK and self.members[other].ring_id != self.members[node_id].ring_id
                    for other in self.members
                )

    def assert_not_nobody(self, decision: Decision) -> None:
        """When nobody's ring is changing, and the partition that wins has spoken, somebody has the vote."""
        if self.decide is not lms.decide or any(verdict.vote is Vote.WAIT_FOR_REPLY for verdict in decision.verdicts.values()):
            return
        fresh = lms.decide(self.world(), {}, None)
        if any(result is Result.ACK for result in fresh.results.values()):
            assert any(result is Result.ACK for result in self.results.values())


def steps_of(*numbers: int) -> st.SearchStrategy[list[Step]]:
    nodes = st.sampled_from([NodeId(number) for number in numbers])
    kinds = st.sampled_from(["join", "report", "report", "report", "ask", "heuristics", "leave"])
    return st.lists(st.tuples(kinds, nodes, st.sampled_from(RINGS), st.frozensets(nodes), st.sampled_from(Heuristics)), max_size=25)


@settings(max_examples=300)
@given(steps_of(1, 2, 3), st.sampled_from(tie_breakers(2, 9)))
def test_histories_under_lms(steps: list[Step], tie_breaker: TieBreaker) -> None:
    play(History(lms.decide, tie_breaker), steps)


@settings(max_examples=200)
@given(steps_of(1, 2), st.sampled_from(tie_breakers(2, 9)))
def test_histories_under_2nodelms(steps: list[Step], tie_breaker: TieBreaker) -> None:
    play(History(two_node_lms.decide, tie_breaker), steps)


def play(history: History, steps: list[Step]) -> None:
    for what, number, ring_id, named, heuristics in steps:
        connected = history.members.get(number)
        if connected is None:
            history.members[number] = Member(number, ring_id)
            continue
        match what:
            case "report":
                lists = named | {number}
                history.take(replace(connected, ring_id=ring_id, membership_list=lists, heuristics=heuristics), number)
            case "ask":
                history.take(None, number)
            case "heuristics":
                history.take(replace(connected, heuristics=heuristics), None)
            case "leave":
                history.leave(number)
