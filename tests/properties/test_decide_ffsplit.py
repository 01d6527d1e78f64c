"""ffsplit against its literal second implementation, on random views and on all small ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from tests import literal_decisions
from tests.small_worlds import SOME_IDS, every, ids, member, ring, set_partitions, split_views, subsets, tie_breakers, view
from thirdvote.decide import ffsplit
from thirdvote.decide.view import ClusterView, Member
from thirdvote.domain import Heuristics, NodeId, Vote

UNDEFINED, PASS, FAIL = Heuristics.UNDEFINED, Heuristics.PASS, Heuristics.FAIL


def agrees(world: ClusterView, before: frozenset[NodeId]) -> bool:
    """Whether the view is stable; asserts that both implementations say the same of it."""
    decision = ffsplit.decide(world, before)
    expected = literal_decisions.ffsplit(world, before)
    if isinstance(decision, ffsplit.Unsettled):
        assert expected is None, (world, before, decision)
        assert decision.because
        return False
    assert expected is not None, (world, before, decision)
    winner, votes = expected
    assert decision.winner == winner, (world, before, decision)
    assert {node_id: verdict.vote for node_id, verdict in decision.verdicts.items()} == votes, (world, before, decision)
    assert all(verdict.because for verdict in decision.verdicts.values())
    return True


@settings(max_examples=400)
@given(split_views(), st.sets(st.sampled_from(SOME_IDS)))
def test_random_views(world: ClusterView, before: set[int]) -> None:
    agrees(world, ids(*before))


def reports_of(number: int) -> list[Member]:
    """All that one node of two can have reported."""
    lists = [None, (number,), (1, 2), (1, 2, 3)]
    rings = [ring(1, 4), ring(2, 8)]
    return [member(number, *report) for report in product(rings, lists, lists)]


def test_all_reports_of_two_nodes() -> None:
    """Whether a view is stable, above all: whoever sent what, missed what, or is a ring behind."""
    stable = 0
    for members in every([reports_of(1), reports_of(2)]):
        for tie_breaker in tie_breakers(2, 3):
            stable += agrees(view(*members, tie_breaker=tie_breaker), ids())
    assert stable > 100


def splits(numbers: tuple[int, ...], config: tuple[int, ...], heuristics: list[Heuristics]) -> Iterator[list[Member]]:
    """All ways in which the nodes can have come apart, with all heuristics."""
    for groups in set_partitions(numbers):
        for values in product(heuristics, repeat=len(numbers)):
            values_by_number = dict(zip(numbers, values, strict=True))
            yield [member(n, ring(group[0], 4), group, config, values_by_number[n]) for group in groups for n in group]


def test_all_splits_of_up_to_four_nodes() -> None:
    """Who wins: every split, with all heuristics, of clusters in which some nodes are not connected at all."""
    seen = 0
    for size in (1, 2, 3, 4):
        everybody = tuple(range(1, size + 1))
        heuristics = [UNDEFINED, PASS, FAIL] if size < 4 else [PASS, FAIL]
        for connected in subsets(everybody):
            for members in splits(connected, everybody, heuristics) if connected else ():
                for tie_breaker in tie_breakers(1, size, 9):
                    assert agrees(view(*members, tie_breaker=tie_breaker), ids())
                    seen += 1
    assert seen > 3000


def test_all_splits_with_the_partition_that_was_active_before() -> None:
    """Keep-active-partition, for every memory of who was active; on everywhere but, at times, on node 1."""
    for members in splits((1, 2, 3, 4), (1, 2, 3, 4), [UNDEFINED]):
        for before, first_keeps, tie_breaker in product(subsets((1, 2, 3, 4)), (True, False), tie_breakers(3, 9)):
            keeping = [
                member(m.node_id, m.ring_id, m.membership_list, m.config_list, keep_active=first_keeps or m.node_id != 1) for m in members
            ]
            assert agrees(view(*keeping, tie_breaker=tie_breaker), ids(*before))


@given(split_views(), st.sets(st.sampled_from(SOME_IDS)))
def test_one_partition_at_most_and_only_connected_nodes_of_it(world: ClusterView, before: set[int]) -> None:
    decision = ffsplit.decide(world, ids(*before))
    if isinstance(decision, ffsplit.Settled):
        winners = {node_id for node_id, verdict in decision.verdicts.items() if verdict.vote is Vote.ACK}
        assert {verdict.vote for verdict in decision.verdicts.values()} <= {Vote.ACK, Vote.NACK}
        assert winners == decision.winner & world.members.keys()
        assert len({(world.members[node_id].ring_id, world.members[node_id].membership_list) for node_id in winners}) <= 1
        config = next(iter(world.members.values())).config_list or ids()
        assert not decision.winner or 2 * len(decision.winner) >= len(config) > 0


@given(split_views())
def test_the_same_facts_make_the_same_decision_again(world: ClusterView) -> None:
    """So a winner does not lose the vote because somebody merely repeats a list."""
    first = ffsplit.decide(world, ids())
    if isinstance(first, ffsplit.Settled):
        second = ffsplit.decide(world, first.winner)
        assert isinstance(second, ffsplit.Settled)
        assert second.winner == first.winner
