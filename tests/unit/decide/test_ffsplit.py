"""Reasons and corners; the rule itself is in the stories (tests/scenarios/ffsplit) and the properties."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.counted_ids import assert_linear, split_cluster, whole_cluster
from tests.small_worlds import HIGHEST, LOWEST, ids, member, named, ring, view
from thirdvote.decide import ffsplit
from thirdvote.decide.ffsplit import Settled, Unsettled
from thirdvote.decide.view import ClusterView, Member
from thirdvote.domain import Heuristics, TieBreaker, Vote

PASS, FAIL, UNDEFINED = Heuristics.PASS, Heuristics.FAIL, Heuristics.UNDEFINED

FOUR = (1, 2, 3, 4)
A, B, C = ring(1, 4), ring(3, 8), ring(4, 8)


def halves(*more: Member, ones: Heuristics = UNDEFINED, others: Heuristics = UNDEFINED, keep: bool = False) -> list[Member]:
    """Nodes 1 and 3 of four, each in its half; the others are whatever is given."""
    return [member(1, A, (1, 2), FOUR, ones, keep), member(3, B, (3, 4), FOUR, others, keep), *more]


def settled(world: ClusterView, *before: int) -> dict[int, tuple[Vote, str]]:
    decision = ffsplit.decide(world, ids(*before))
    assert isinstance(decision, Settled)
    return {node_id: (verdict.vote, verdict.because) for node_id, verdict in decision.verdicts.items()}


def unsettled(*members: Member) -> str:
    decision = ffsplit.decide(view(*members), ids())
    assert isinstance(decision, Unsettled)
    return decision.because


def test_nobody_there() -> None:
    assert ffsplit.decide(view(), ids()) == Settled(ids(), {})


class TestNotStable:
    def test_a_configuration_is_missing(self) -> None:
        assert unsettled(member(1, A, (1,), (1, 2)), member(2, A)) == "node 2 has not sent its configuration yet"

    def test_configurations_differ(self) -> None:
        because = unsettled(member(1, A, (1, 2), (1, 2)), member(2, A, (1, 2), (1, 2, 3)))
        assert because == "node 1 is configured for nodes 1, 2, but node 2 for nodes 1, 2, 3"

    def test_a_node_that_is_counted_in_has_reported_nothing(self) -> None:
        assert unsettled(member(1, A, (1, 2), (1, 2)), member(2, A, None, (1, 2))) == "node 2 has not reported its membership yet"

    def test_a_node_is_behind(self) -> None:
        assert unsettled(member(1, B, (1,), (1, 2)), member(2, A, (1, 2), (1, 2))) == "node 2 has not reported the new ring yet"

    def test_the_same_members_in_different_rings(self) -> None:
        assert unsettled(member(1, A, (1, 2), (1, 2)), member(2, B, (1, 2), (1, 2))) == "node 1 has not reported the new ring yet"

    def test_different_members_in_one_ring(self) -> None:
        because = unsettled(member(1, A, (1,), (1, 2)), member(2, A, (1, 2), (1, 2)))
        assert because == "nodes 1, 2 report different members of one ring"


class TestReasonsOfHalves:
    """Node 1 is in the half of nodes 1 and 2, node 3 in that of 3 and 4."""

    @pytest.mark.parametrize("tie_breaker", [LOWEST, named(2)])
    def test_tie_breaker(self, tie_breaker: TieBreaker) -> None:
        name = f"node {tie_breaker.node_id or 1}, the tie-breaker"
        votes = settled(view(*halves(), tie_breaker=tie_breaker))
        assert votes == {1: (Vote.ACK, f"its half has {name}"), 3: (Vote.NACK, f"the other half has {name}")}

    def test_tie_breaker_in_the_second_half(self) -> None:
        votes = settled(view(*halves(), tie_breaker=HIGHEST))
        assert votes[3] == (Vote.ACK, "its half has node 4, the tie-breaker")

    def test_tie_breaker_in_neither(self) -> None:
        votes = settled(view(*halves(), tie_breaker=named(9)))
        assert votes[1] == (Vote.ACK, "neither side has node 9, the tie-breaker, and its half comes first by node id")
        assert votes[3] == (Vote.NACK, "neither side has node 9, the tie-breaker, and the other half comes first by node id")

    def test_heuristics_passed_on_one_side(self) -> None:
        votes = settled(view(*halves(ones=FAIL, others=PASS)))
        assert votes[1] == (Vote.NACK, "the other half passed the heuristics, its half did not")
        assert votes[3] == (Vote.ACK, "its half passed the heuristics, the other half did not")

    def test_heuristics_and_nodes_together(self) -> None:
        votes = settled(view(*halves(member(4, B, (3, 4), FOUR, FAIL), ones=UNDEFINED, others=PASS)))
        assert votes[1] == (Vote.NACK, "the other half scores 2 for connected nodes and heuristics, its half 1")
        assert votes[4] == (Vote.ACK, "its half scores 2 for connected nodes and heuristics, the other half 1")

    def test_more_connected_nodes(self) -> None:
        votes = settled(view(*halves(member(4, B, (3, 4), FOUR))))
        assert votes[1] == (Vote.NACK, "the other half has more connected nodes than its half")
        assert votes[4] == (Vote.ACK, "its half has more connected nodes than the other half")

    def test_more_connected_nodes_at_the_same_score(self) -> None:
        votes = settled(view(*halves(member(4, B, (3, 4), FOUR, FAIL), ones=PASS, others=PASS)))
        assert votes[1] == (Vote.NACK, "the other half has more connected nodes than its half, at the same score")

    def test_keep_active_partition(self) -> None:
        votes = settled(view(*halves(keep=True)), 3, 4)
        assert votes[1] == (Vote.NACK, "keep-active-partition: the other half had the vote before")
        assert votes[3] == (Vote.ACK, "keep-active-partition: its half had the vote before")

    def test_keep_active_partition_needs_everybody(self) -> None:
        everybody, nobody = halves(keep=True), halves(keep=False)
        assert settled(view(*everybody, tie_breaker=HIGHEST), 1, 2)[1][0] is Vote.ACK
        assert settled(view(everybody[0], nobody[1], tie_breaker=HIGHEST), 1, 2)[1][0] is Vote.NACK

    def test_no_other_half(self) -> None:
        assert settled(view(halves()[1]), 1, 2) == {3: (Vote.ACK, "no other half is connected")}

    def test_three_halves_are_named(self) -> None:
        """Lists may name nodes that are not connected, so there can be more than two."""
        third = member(5, ring(5, 8), (5, 6), FOUR)
        votes = settled(view(*halves(third)))
        assert votes[5] == (Vote.NACK, "the partition of nodes 1, 2 has node 1, the tie-breaker")


class TestReasonsBySize:
    def test_more_than_half(self) -> None:
        three = [member(n, A, (1, 2, 3), FOUR) for n in (1, 2, 3)]
        votes = settled(view(*three, member(4, C, (4,), FOUR), tie_breaker=HIGHEST))
        assert votes[1] == (Vote.ACK, "3 of 4 configured nodes are together here")
        assert votes[4] == (Vote.NACK, "only 1 of 4 configured nodes is here")

    def test_half_against_more_than_half(self) -> None:
        """Needs a list that names somebody who is not there; more than half wins."""
        votes = settled(view(member(1, A, (1, 2), FOUR), member(3, B, (3, 4, 2), FOUR)))
        assert votes[3] == (Vote.ACK, "3 of 4 configured nodes are together here")
        assert votes[1][0] is Vote.NACK
        assert votes[1][1].startswith("the partition of nodes 2, 3, 4 has more than half")

    def test_of_two_with_more_than_half_the_later_one(self) -> None:
        votes = settled(view(member(1, A, (1, 2), (1, 2, 3)), member(3, B, (2, 3), (1, 2, 3))))
        assert votes[3][0] is Vote.ACK
        assert votes[1] == (
            Vote.NACK,
            "the partition of nodes 2, 3 has more than half of the configured nodes, and is the last one that has",
        )

    def test_members_that_are_not_configured(self) -> None:
        assert settled(view(member(1, A, (1, 9), (1, 2, 3))))[1] == (Vote.ACK, "2 nodes, where 3 are configured, are together here")
        assert settled(view(member(9, A, (9,), (1, 2, 3))))[9] == (Vote.NACK, "only 1 node, where 3 are configured, is here")


class TestMissingLists:
    def test_a_node_with_no_lists_is_no_candidate(self) -> None:
        """corosync-qnetd dies here (S3): node 1 left, node 2 has passed INIT and sent nothing."""
        assert settled(view(member(2, A))) == {2: (Vote.NACK, "no node has sent its configuration yet")}

    def test_membership_without_configuration_wins_nothing(self) -> None:
        """corosync-qnetd gives such a node the vote (S15)."""
        assert settled(view(member(2, A, (2,)))) == {2: (Vote.NACK, "no node has sent its configuration yet")}

    def test_a_silent_node_that_nobody_counts_in_holds_up_nobody(self) -> None:
        votes = settled(view(member(1, A, (1,), (1, 2)), member(2, B, None, (1, 2))))
        assert votes == {1: (Vote.ACK, "no other half is connected"), 2: (Vote.NACK, "it has not reported its membership yet")}


def test_a_node_that_leaves_does_not_count_any_more() -> None:
    """corosync-qnetd counts it once more (S14): here nodes 1, 2 would keep the vote until the next message."""
    nodes = [member(n, A, (1, 2), FOUR) for n in (1, 2)] + [member(n, B, (3, 4), FOUR) for n in (3, 4)]
    assert settled(view(*nodes))[1][0] is Vote.ACK
    assert settled(view(*(each for each in nodes if each.node_id != 2)))[3][0] is Vote.ACK


@pytest.mark.parametrize("world", [whole_cluster, split_cluster])
def test_work_grows_with_the_lists_and_not_with_their_pairs(world: Callable[[int], ClusterView]) -> None:
    """corosync-qnetd compares all with all (S10)."""
    assert_linear(lambda view: ffsplit.decide(view, ids()), world)
