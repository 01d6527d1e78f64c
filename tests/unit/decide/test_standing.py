"""From claims to votes. The claims here are given; where they come from is the algorithms' matter."""

from __future__ import annotations

import pytest

from tests.small_worlds import member, ring, view
from thirdvote.decide.standing import KEEPS, SILENT, Decision, Result, settle
from thirdvote.decide.view import ClusterView, Verdict
from thirdvote.domain import NodeId, Vote

NEWCOMER, ACK, NACK, WAITING = Result
YES, NO, WAIT = Verdict(Vote.ACK, "best"), Verdict(Vote.NACK, "not best"), Verdict(Vote.WAIT_FOR_REPLY, "changing")


def world(*silent: int) -> ClusterView:
    """Nodes 1 and 2, each in a ring of its own; both have reported, but for `silent`."""
    return view(*(member(n, ring(n, 4), None if n in silent else (n,)) for n in (1, 2)))


def decided(one: tuple[Verdict, Result], two: tuple[Verdict, Result], asking: int | None = None, silent: int | None = None) -> Decision:
    claims = {NodeId(1): one[0], NodeId(2): two[0]}
    results = {NodeId(1): one[1], NodeId(2): two[1]}
    return settle(world(*([silent] if silent else [])), claims, results, NodeId(asking) if asking else None)


def results(decision: Decision) -> tuple[Result, ...]:
    return tuple(decision.results.values())


class TestTheNodeThatAsks:
    @pytest.mark.parametrize(("claim", "result"), [(YES, ACK), (NO, NACK), (WAIT, WAITING)])
    def test_gets_what_it_claims(self, claim: Verdict, result: Result) -> None:
        decision = decided((claim, NEWCOMER), (WAIT, NACK), asking=1)
        assert decision.results[NodeId(1)] is result
        assert decision.verdicts[NodeId(1)] is claim

    def test_is_refused_as_a_newcomer_beside_a_vote_in_another_ring(self) -> None:
        decision = decided((YES, NEWCOMER), (NO, ACK), asking=1)
        assert results(decision) == (NEWCOMER, ACK)
        assert decision.verdicts[NodeId(1)] == Verdict(Vote.NACK, "node 2 had the vote already when it came")
        assert decision.verdicts[NodeId(2)] is KEEPS

    def test_gives_up_its_own_vote_to_a_newcomer(self) -> None:
        decision = decided((NO, ACK), (YES, NEWCOMER), asking=1)
        assert results(decision) == (NACK, ACK)
        assert decision.verdicts == {NodeId(1): NO, NodeId(2): YES}

    def test_is_heard_without_a_list(self) -> None:
        assert results(decided((YES, NEWCOMER), (NO, NACK), asking=1, silent=1)) == (ACK, NACK)


class TestTheOthers:
    def test_a_loser_gets_what_has_become_free(self) -> None:
        assert results(decided((YES, NACK), (NO, NACK))) == (ACK, NACK)

    def test_a_vote_moves_to_who_was_refused_before(self) -> None:
        decision = decided((YES, NACK), (NO, ACK))
        assert results(decision) == (ACK, NACK)
        assert decision.verdicts == {NodeId(1): YES, NodeId(2): NO}

    def test_a_vote_does_not_move_to_a_newcomer(self) -> None:
        assert results(decided((YES, NEWCOMER), (NO, ACK))) == (NEWCOMER, ACK)

    def test_a_vote_that_nobody_takes_over_stays(self) -> None:
        decision = decided((NO, ACK), (NO, NACK))
        assert results(decision) == (ACK, NACK)
        assert decision.verdicts[NodeId(1)] is KEEPS

    def test_two_votes_that_nobody_claims_both_end(self) -> None:
        assert results(decided((NO, ACK), (NO, ACK))) == (NACK, NACK)

    @pytest.mark.parametrize("result", Result)
    def test_a_node_whose_ring_is_changing_keeps_what_it_was_told(self, result: Result) -> None:
        decision = decided((WAIT, result), (YES, NACK))
        assert results(decision) == (result, ACK)
        assert decision.verdicts[NodeId(1)].vote is Vote.WAIT_FOR_REPLY

    def test_a_node_that_waited_hears_the_outcome(self) -> None:
        assert results(decided((YES, WAITING), (NO, WAITING))) == (ACK, NACK)

    def test_of_two_newcomers_the_one_with_the_claim(self) -> None:
        decision = decided((NO, NEWCOMER), (YES, NEWCOMER))
        assert results(decision) == (NEWCOMER, ACK)
        assert decision.verdicts[NodeId(1)].because == "node 2 had the vote already when it came"

    def test_a_node_that_never_spoke_is_left_alone(self) -> None:
        decision = decided((YES, NEWCOMER), (NO, NACK), silent=1)
        assert results(decision) == (NEWCOMER, NACK)
        assert decision.verdicts[NodeId(1)] is SILENT


def test_a_node_without_a_result_is_a_newcomer() -> None:
    claims = {NodeId(1): YES, NodeId(2): NO}
    assert settle(world(), claims, {NodeId(2): ACK}, NodeId(1)).results == {NodeId(1): NEWCOMER, NodeId(2): ACK}
