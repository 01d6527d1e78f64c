"""What a judge remembers from one decision to the next. The decisions themselves are `decide`'s, and tested there."""

from __future__ import annotations

import pytest

from tests.unit.arbiter.test_holders import node
from tests.world import LOWEST, infos, ring
from thirdvote.arbiter.judges import FfsplitJudge, StandingJudge, check_count, check_names_sender, judge_of
from thirdvote.decide.view import ClusterView
from thirdvote.domain import Algorithm, NodeId, NodeListType, Vote
from thirdvote.errors import InvalidConfigList, InvalidMembershipList, UnsupportedAlgorithm
from thirdvote.wire.messages import NodeList

APART = {1: node(1, ring(1, 14), 1), 2: node(2, ring(2, 14), 2)}
CONFIGURED = infos(1, 2)


def view(*ids: int, keep_active: bool = False) -> ClusterView:
    for each in APART.values():
        each.take_config(CONFIGURED, None)
        each.take_keep_active_partition(keep_active)
    return ClusterView({NodeId(number): APART[number].member for number in ids}, LOWEST)


def votes(judge: FfsplitJudge | StandingJudge, *ids: int, asking: int | None = None, keep_active: bool = False) -> list[Vote]:
    proposed = judge.propose(view(*ids, keep_active=keep_active), None if asking is None else NodeId(asking))
    return [proposed[NodeId(number)].vote for number in ids]


class TestFfsplit:
    def test_what_is_decided_and_not_given_leaves_the_active_partition_as_it_is(self) -> None:
        """Node 2 has the vote; node 1 would get it by the tie-breaker, were it not for keep-active-partition."""
        judge = FfsplitJudge(frozenset({NodeId(2)}))
        assert votes(judge, 1, 2, keep_active=True) == [Vote.NACK, Vote.ACK]
        assert votes(judge, 1) == [Vote.ACK]
        assert votes(judge, 1, 2, keep_active=True) == [Vote.NACK, Vote.ACK]

    def test_what_is_given_makes_the_partition_the_active_one(self) -> None:
        judge = FfsplitJudge(frozenset({NodeId(2)}))
        judge.granted(APART[1])
        assert votes(judge, 1, 2, keep_active=True) == [Vote.ACK, Vote.NACK]

    def test_while_nodes_contradict_each_other_all_wait(self) -> None:
        judge = FfsplitJudge(frozenset())
        behind = node(2, ring(1, 10), 1, 2)
        behind.take_config(CONFIGURED, None)
        found = judge.propose(ClusterView({NodeId(1): view(1).members[NodeId(1)], NodeId(2): behind.member}, LOWEST), None)
        assert {verdict.vote for verdict in found.values()} == {Vote.WAIT_FOR_REPLY}

    def test_nobody_may_ask(self) -> None:
        assert not FfsplitJudge(frozenset()).answers_questions


class TestStanding:
    def test_who_may_have_the_vote_from_before_is_no_newcomer(self) -> None:
        judge = judge_of(Algorithm.LMS, frozenset())
        assert isinstance(judge, StandingJudge)
        judge.came(NodeId(1), holds=False)
        judge.came(NodeId(2), holds=True)
        assert votes(judge, 1, 2) == [Vote.NACK, Vote.ACK]

    def test_a_vote_that_was_only_proposed_makes_nobody_a_holder(self) -> None:
        judge = judge_of(Algorithm.LMS, frozenset())
        assert isinstance(judge, StandingJudge)
        assert votes(judge, 2, asking=2) == [Vote.ACK]
        assert votes(judge, 1, 2, asking=1) == [Vote.ACK, Vote.NACK], "node 2 was not given it, so the tie-breaker decides"

    def test_one_that_was_given_is_defended_against_newcomers(self) -> None:
        judge = judge_of(Algorithm.LMS, frozenset())
        assert isinstance(judge, StandingJudge)
        votes(judge, 2, asking=2)
        judge.granted(APART[2])
        assert votes(judge, 1, 2, asking=1) == [Vote.NACK, Vote.ACK]

    def test_who_left_comes_back_as_a_newcomer(self) -> None:
        judge = judge_of(Algorithm.LMS, frozenset())
        assert isinstance(judge, StandingJudge)
        judge.granted(APART[2])
        judge.left(NodeId(2))
        assert judge.results == {}


class TestChecks:
    @pytest.mark.parametrize(
        ("kind", "error"),
        [
            (NodeListType.INITIAL_CONFIG, InvalidConfigList),
            (NodeListType.CHANGED_CONFIG, InvalidConfigList),
            (NodeListType.MEMBERSHIP, InvalidMembershipList),
        ],
    )
    def test_a_list_names_who_sent_it(self, kind: NodeListType, error: type[Exception]) -> None:
        with pytest.raises(error, match="lacks node 1"):
            check_names_sender(APART[1], NodeList(1, kind, ring_id=ring(1, 14), nodes=infos(2, 3)))

    def test_a_quorum_list_need_not(self) -> None:
        check_names_sender(APART[1], NodeList(1, NodeListType.QUORUM, quorate=False, nodes=()))

    def test_2nodelms_is_for_two(self) -> None:
        judge = judge_of(Algorithm.TWO_NODE_LMS, frozenset())
        judge.check(APART[1], NodeList(1, NodeListType.INITIAL_CONFIG, nodes=infos(1, 2)))
        with pytest.raises(UnsupportedAlgorithm, match="has 3"):
            judge.check(APART[1], NodeList(1, NodeListType.INITIAL_CONFIG, nodes=infos(1, 2, 3)))

    def test_who_is_in_a_ring_is_not_counted(self) -> None:
        check_count(NodeList(1, NodeListType.MEMBERSHIP, ring_id=ring(1, 14), nodes=infos(1)), 2)


def test_test_has_no_judge() -> None:
    with pytest.raises(ValueError, match="gives the vote to everybody"):
        judge_of(Algorithm.TEST, frozenset())
