"""Claims, and how each comes to be; the rest is in the stories (tests/scenarios/lms) and the properties."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from tests.counted_ids import assert_linear, split_cluster, whole_cluster
from tests.small_worlds import HIGHEST, LOWEST, member, named, ring, view
from thirdvote.decide import lms
from thirdvote.decide.standing import Result
from thirdvote.decide.view import ClusterView, Member
from thirdvote.domain import Heuristics, NodeId, TieBreaker, Vote

A, B, C = ring(1, 4), ring(3, 8), ring(5, 8)
PASS, FAIL = Heuristics.PASS, Heuristics.FAIL


def votes(world: ClusterView, results: Mapping[NodeId, Result] | None = None, asking: int | None = None) -> dict[int, tuple[Vote, str]]:
    """All have been refused before, unless said otherwise, so that everybody's claim shows."""
    before = dict.fromkeys(world.members, Result.NACK) if results is None else results
    decision = lms.decide(world, before, NodeId(asking) if asking else None)
    return {node_id: (verdict.vote, verdict.because) for node_id, verdict in decision.verdicts.items()}


def pairs(*more: Member, tie_breaker: TieBreaker = LOWEST) -> ClusterView:
    """Nodes 1, 2 in one ring, nodes 3, 4 in another."""
    nodes = [member(1, A, (1, 2)), member(2, A, (1, 2)), member(3, B, (3, 4)), member(4, B, (3, 4))]
    return view(*nodes, *more, tie_breaker=tie_breaker)


def test_nobody_there() -> None:
    assert votes(view()) == {}


def test_the_only_partition() -> None:
    assert votes(view(member(1, A, (1, 2)))) == {1: (Vote.ACK, "its partition is the only one connected")}


def test_the_largest() -> None:
    said = votes(pairs(member(5, B, (3, 4, 5))))
    assert said[5] == (Vote.ACK, "its partition is the largest, with 3 of 5 connected nodes")
    assert said[1] == (Vote.NACK, "the partition of nodes 3, 4, 5 is the largest")


def test_the_best_score() -> None:
    said = votes(view(member(1, A, (1,), heuristics=FAIL), member(3, B, (3,), heuristics=PASS)))
    assert said[1] == (Vote.NACK, "the partition of node 3 scores highest for nodes and heuristics, 2")
    assert said[3] == (Vote.ACK, "its partition scores highest for nodes and heuristics, 2")


def test_the_largest_of_all_at_a_tie_in_the_scores() -> None:
    """As corosync-qnetd does: not the largest of those that tie. Node 1 and node 2 score 2; nodes 3, 4, 5 score 1 and win."""
    ones = [member(1, A, (1,), heuristics=PASS), member(2, ring(2, 4), (2,), heuristics=PASS)]
    three = [member(n, B, (3, 4, 5), heuristics=value) for n, value in ((3, FAIL), (4, FAIL), (5, Heuristics.UNDEFINED))]
    said = votes(view(*ones, *three))
    assert said[5] == (Vote.ACK, "its partition is the largest, at a tie in the scores")
    assert said[1] == (Vote.NACK, "the partition of nodes 3, 4, 5 is the largest, at a tie in the scores")


@pytest.mark.parametrize(("tie_breaker", "node_id", "winners"), [(LOWEST, 1, {1, 2}), (HIGHEST, 4, {3, 4}), (named(2), 2, {1, 2})])
def test_the_whole_partition_of_the_tie_breaker(tie_breaker: TieBreaker, node_id: int, winners: set[int]) -> None:
    """corosync-qnetd gives the vote to the named node alone, not to its partition (S16)."""
    said = votes(pairs(tie_breaker=tie_breaker))
    assert {number for number, (vote, _) in said.items() if vote is Vote.ACK} == winners
    assert {because for _, because in said.values()} == {
        f"a tie, and its partition has node {node_id}, the tie-breaker",
        f"a tie, and another partition has node {node_id}, the tie-breaker",
    }


def test_tie_breaker_that_is_not_connected() -> None:
    because = "a tie, and node 9, the tie-breaker, is not connected"
    assert set(votes(pairs(tie_breaker=named(9))).values()) == {(Vote.NACK, because)}


def test_large_node_ids_win_ties() -> None:
    """corosync-qnetd does not see ids above 2^31 - 1 (S17)."""
    low, high = 2**31 + 1, 2**32 - 1
    said = votes(view(member(low, A, (low,)), member(high, B, (high,))))
    assert said[low][0] is Vote.ACK


class TestWaiting:
    def test_both_sides_of_a_contradiction(self) -> None:
        said = votes(view(member(1, ring(1, 8), (1,)), member(2, A, (1, 2))))
        assert said[1] == said[2] == (Vote.WAIT_FOR_REPLY, "node 2 has not reported the new ring yet")

    def test_only_those_who_are_concerned(self) -> None:
        said = votes(pairs(member(5, C, (4, 5))))
        assert {number: vote for number, (vote, _) in said.items()} == {
            1: Vote.ACK,
            2: Vote.ACK,
            3: Vote.NACK,
            4: Vote.WAIT_FOR_REPLY,
            5: Vote.WAIT_FOR_REPLY,
        }

    def test_a_list_that_completes_the_picture_is_judged_at_once(self) -> None:
        """corosync-qnetd judges a list only at the next occasion, heartbeat / 4 later (S18)."""
        before = {NodeId(1): Result.WAITING, NodeId(2): Result.ACK}
        said = votes(view(member(1, ring(1, 8), (1,)), member(2, ring(2, 8), (2,))), before, asking=2)
        assert {number: vote for number, (vote, _) in said.items()} == {1: Vote.ACK, 2: Vote.NACK}

    def test_no_ring_yet(self) -> None:
        said = votes(view(member(1, ring(1, 0), None), member(2, A, (2,))), asking=1)
        assert said[1] == (Vote.WAIT_FOR_REPLY, "it has no ring yet")
        assert said[2][0] is Vote.ACK

    def test_nobody_has_a_ring_yet(self) -> None:
        assert votes(view(member(1, ring(1, 0), None)), asking=1)[1][0] is Vote.WAIT_FOR_REPLY


def test_losers_are_judged_anew_when_the_winner_is_gone() -> None:
    """corosync-qnetd leaves them alone until they ask (S19)."""
    world = view(member(2, A, (2,)))
    assert votes(world, {NodeId(2): Result.NACK})[2][0] is Vote.ACK
    assert votes(world, {NodeId(2): Result.NEWCOMER})[2][0] is Vote.ACK  # (S22)


def test_heuristics_that_change_move_the_vote() -> None:
    """corosync-qnetd takes notice of them only in the next list (S20)."""
    world = view(member(1, A, (1,), heuristics=FAIL), member(2, B, (2,)))
    said = votes(world, {NodeId(1): Result.ACK, NodeId(2): Result.NACK})
    assert {number: vote for number, (vote, _) in said.items()} == {1: Vote.NACK, 2: Vote.ACK}


@pytest.mark.parametrize("world", [whole_cluster, split_cluster])
def test_work_grows_with_the_lists_and_not_with_their_pairs(world: Callable[[int], ClusterView]) -> None:
    assert_linear(lambda view: lms.decide(view, {}, NodeId(1)), world)
