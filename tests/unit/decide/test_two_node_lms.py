from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.small_worlds import HIGHEST, LOWEST, member, named, ring, view
from thirdvote.decide import two_node_lms
from thirdvote.decide.standing import Result
from thirdvote.decide.view import ClusterView
from thirdvote.domain import Heuristics, NodeId, TieBreaker, Vote

A, B = ring(1, 4), ring(2, 4)
PASS, FAIL, UNDEFINED = Heuristics.PASS, Heuristics.FAIL, Heuristics.UNDEFINED


def votes(world: ClusterView, results: Mapping[NodeId, Result] | None = None, asking: int | None = None) -> dict[int, tuple[Vote, str]]:
    """All have been refused before, unless said otherwise, so that everybody's claim shows."""
    before = dict.fromkeys(world.members, Result.NACK) if results is None else results
    decision = two_node_lms.decide(world, before, NodeId(asking) if asking else None)
    return {node_id: (verdict.vote, verdict.because) for node_id, verdict in decision.verdicts.items()}


def apart(one: Heuristics = UNDEFINED, other: Heuristics = UNDEFINED, tie_breaker: TieBreaker = LOWEST) -> ClusterView:
    return view(member(1, A, (1,), heuristics=one), member(2, B, (2,), heuristics=other), tie_breaker=tie_breaker)


def test_nobody_there() -> None:
    assert votes(view()) == {}


def test_together_whatever_the_heuristics() -> None:
    world = view(member(1, A, (1, 2), heuristics=FAIL), member(2, A, (1, 2), heuristics=PASS))
    assert set(votes(world).values()) == {(Vote.ACK, "it is together with the other node")}


def test_alone() -> None:
    assert votes(view(member(2, A, (2,), heuristics=FAIL))) == {2: (Vote.ACK, "the other node is not connected")}


@pytest.mark.parametrize(("worse", "better"), [(FAIL, UNDEFINED), (UNDEFINED, PASS), (FAIL, PASS)])
def test_better_heuristics(worse: Heuristics, better: Heuristics) -> None:
    """Against the tie-breaker, which is for node 1."""
    said = votes(apart(worse, better))
    assert (said[1][0], said[2][0]) == (Vote.NACK, Vote.ACK)
    said = votes(apart(better, worse, HIGHEST))
    assert (said[1][0], said[2][0]) == (Vote.ACK, Vote.NACK)


def test_heuristics_as_a_reason() -> None:
    said = votes(apart(FAIL, PASS))
    assert said[1][1] == "its heuristics failed, those of node 2 passed"
    assert votes(apart(PASS))[2][1] == "its heuristics are not known, those of node 1 passed"


@pytest.mark.parametrize(("tie_breaker", "winner"), [(LOWEST, 1), (HIGHEST, 2), (named(2), 2)])
@pytest.mark.parametrize("heuristics", Heuristics)
def test_tie_breaker(tie_breaker: TieBreaker, winner: int, heuristics: Heuristics) -> None:
    said = votes(apart(heuristics, heuristics, tie_breaker))
    assert said[winner] == (Vote.ACK, "nodes are apart, and it is the tie-breaker")
    assert said[3 - winner] == (Vote.NACK, f"nodes are apart, and node {winner} is the tie-breaker")


def test_tie_breaker_that_is_nobody() -> None:
    assert {vote for vote, _ in votes(apart(tie_breaker=named(3))).values()} == {Vote.NACK}


def test_the_other_node_is_the_last_one_if_more_are_connected() -> None:
    """A third node in such a cluster is a mistake; the answers are those of corosync-qnetd."""
    world = view(member(1, A, (1,)), member(2, B, (2,), heuristics=PASS), member(3, ring(3, 4), (3,), heuristics=FAIL))
    said = votes(world)
    assert said[1] == (Vote.ACK, "its heuristics are not known, those of node 3 failed")
    assert said[3] == (Vote.NACK, "its heuristics failed, those of node 2 passed")


def test_a_loser_is_judged_anew_when_the_winner_is_gone() -> None:
    """corosync-qnetd leaves it without, even if it asks (S19)."""
    assert votes(view(member(2, B, (2,))), {NodeId(2): Result.NACK})[2][0] is Vote.ACK


def test_a_newcomer_that_was_refused_is_told_when_it_has_come_together() -> None:
    """(S22)"""
    world = view(member(1, A, (1, 2)), member(2, A, (1, 2)))
    said = votes(world, {NodeId(1): Result.NEWCOMER, NodeId(2): Result.ACK}, asking=2)
    assert said[1] == (Vote.ACK, "it is together with the other node")


def test_heuristics_that_change_move_the_vote() -> None:
    """corosync-qnetd takes notice of them only in the next list (S20)."""
    said = votes(apart(FAIL, UNDEFINED), {NodeId(1): Result.ACK, NodeId(2): Result.NACK})
    assert (said[1][0], said[2][0]) == (Vote.NACK, Vote.ACK)
