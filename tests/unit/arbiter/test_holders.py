"""What is known of those who may report quorum: their absence, their rings, and their records."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from tests.world import infos, record, ring
from thirdvote.arbiter.holders import CHANGES_MAX, TRAVEL_S, Holder, Holders
from thirdvote.arbiter.node import Node
from thirdvote.arbiter.record import ClusterRecord, HolderRecord
from thirdvote.arbiter.releases import Absence, Manner, Mates, RingChange
from thirdvote.config import Limits
from thirdvote.decide.view import Member
from thirdvote.domain import Algorithm, Heuristics, NodeId, RingId, TlsSupport
from thirdvote.session.server import Policy, ServerSession

NOBODY = frozenset[NodeId]()

NOTICE = 8.0
"""Seconds from the loss of the token to a new ring."""

TICKED = 55.0
"""When a node's report left it, at the earliest."""

GONE = Absence(Manner.CLOSED, 100.0, 95.0, 95.0, alive=100.0)


def node(number: int, its_ring: RingId, *members: int, heuristics: Heuristics = Heuristics.UNDEFINED) -> Node:
    """One that has reported this."""
    session = ServerSession(Policy(TlsSupport.UNSUPPORTED, False, False, Limits()), 0.0)
    session.heartbeat_ms = 8000
    found = Node(number, "192.0.2.1:4000", NodeId(number), Algorithm.FFSPLIT, 0.0, session, Member(NodeId(number), its_ring))
    found.take_membership(infos(*members), its_ring, heuristics)
    found.ticked_at = TICKED
    return found


def holding(*ids: int) -> Holders:
    """Those nodes are holders, and reported ring 1.a with all of them."""
    holders = Holders(Algorithm.FFSPLIT, frozenset(map(NodeId, ids)))
    for number in ids:
        holders.by_node[NodeId(number)] = Holder(NodeId(number), 8000)
    for number in ids:
        holders.reported(node(number, ring(1, 10), *ids), {}, 50.0, NOTICE, is_first=False)
    return holders


class TestRings:
    def test_a_report_without_it_by_one_that_was_in_its_ring_ends_that_ring(self) -> None:
        holders = holding(1, 2)
        holders.reported(node(1, ring(1, 14), 1), {}, 60.0, NOTICE, is_first=False)
        assert holders.by_node[NodeId(2)].changed_at == 60.0
        assert holders.by_node[NodeId(2)].left_out

    def test_who_turns_out_to_have_left_it_later_may_have_been_with_it_until_then(self) -> None:
        holders = holding(1, 2, 3)
        holders.reported(node(1, ring(1, 14), 1), {}, 60.0, NOTICE, is_first=False)
        holders.reported(node(1, ring(1, 18), 1, 3), {}, 70.0, NOTICE, is_first=False)
        assert holders.by_node[NodeId(2)].changes == (RingChange(60.0, TICKED), RingChange(70.0, -inf))

    def test_the_first_such_report_counts(self) -> None:
        holders = holding(1, 2, 3)
        holders.reported(node(1, ring(1, 14), 1, 2), {}, 60.0, NOTICE, is_first=False)
        holders.reported(node(2, ring(1, 14), 1, 2), {}, 61.0, NOTICE, is_first=False)
        assert holders.by_node[NodeId(3)].changed_at == 60.0

    def test_one_that_was_there_until_then_is_a_witness_one_that_comes_anew_is_none(self) -> None:
        for is_first in (False, True):
            holders = holding(1, 2)
            holders.reported(node(1, ring(1, 14), 1), {}, 60.0, NOTICE, is_first=is_first)
            assert holders.by_node[NodeId(2)].changes == (RingChange(60.0, -inf if is_first else TICKED),)

    def test_each_change_of_a_lost_nodes_ring_is_kept_until_it_is_heard(self) -> None:
        holders = holding(1, 2)
        for at, members in ((60.0, (1,)), (61.0, (1, 2)), (62.0, (1,))):
            holders.reported(node(1, ring(1, int(at)), *members), {}, at, NOTICE, is_first=False)
        assert [change.at for change in holders.by_node[NodeId(2)].changes] == [60.0, 61.0, 62.0]
        holders.reported(node(2, ring(2, 70), 2), {}, 63.0, NOTICE, is_first=False)
        assert holders.by_node[NodeId(2)].changes == ()

    def test_of_a_link_that_flaps_for_long_the_last_changes_are_one_that_nobody_saw(self) -> None:
        holders = holding(1, 2)
        for times in range(100):
            holders.reported(node(1, ring(1, 20 + times), *((1,) if times % 2 else (1, 2))), {}, 60.0 + times, NOTICE, is_first=False)
        changes = holders.by_node[NodeId(2)].changes
        assert len(changes) == CHANGES_MAX
        assert changes[-1] == RingChange(159.0, -inf)

    def test_a_ring_of_its_own_report_is_unpolled_until_it_has_answered_a_vote_for_it(self) -> None:
        holders = holding(1, 2)
        two = holders.by_node[NodeId(2)]
        holders.polled(node(2, ring(1, 10), 1, 2), None)
        holders.reported(node(2, ring(2, 14), 2), {}, 60.0, NOTICE, is_first=False)
        holders.reported(node(2, ring(2, 18), 2), {}, 61.0, NOTICE, is_first=False)
        assert two.unpolled_since == 61.0
        holders.polled(node(2, ring(2, 18), 2), 62.0)
        assert two.unpolled_since is None
        assert two.refused_at == 62.0

    def test_a_refusal_holds_until_its_ring_changes(self) -> None:
        holders = holding(1, 2)
        holders.polled(node(2, ring(1, 10), 1, 2), 55.0)
        holders.reported(node(1, ring(1, 14), 1), {}, 60.0, NOTICE, is_first=False)
        assert holders.by_node[NodeId(2)].refused_at is None

    def test_one_of_a_ring_in_which_it_never_was_does_not(self) -> None:
        holders = holding(2, 3)
        holders.reported(node(1, ring(1, 14), 1), {}, 60.0, NOTICE, is_first=False)
        assert not holders.by_node[NodeId(2)].left_out

    def test_it_may_have_been_in_it_if_both_were_away(self) -> None:
        holders = holding(2, 3)
        holders.went(node(2, ring(2, 10), 2, 3), GONE)
        holders.reported(node(1, ring(1, 14), 1), {}, 160.0, NOTICE, is_first=True)
        assert holders.by_node[NodeId(2)].changes == (RingChange(160.0, -inf, certain=False),)
        assert not holders.by_node[NodeId(3)].left_out

    def test_a_report_that_was_held_up_does_not_take_it_out_of_the_ring_that_others_have_reported(self) -> None:
        holders = holding(1, 2)
        two = holders.by_node[NodeId(2)]
        holders.reported(node(1, ring(1, 14), 1), {}, 60.0, NOTICE, is_first=False)
        holders.reported(node(1, ring(1, 18), 1, 2), {}, 61.0, NOTICE, is_first=False)
        holders.reported(node(2, ring(2, 14), 2), {}, 62.0, NOTICE, is_first=False)
        assert (two.ring_id, two.members) == (ring(1, 18), frozenset({1, 2}))
        holders.polled(node(2, ring(2, 14), 2), 63.0)  # what it answers comes after what it has to report
        assert (two.ring_id, two.members) == (ring(2, 14), frozenset({2}))

    @pytest.mark.parametrize(("granted_in", "certain"), [({1, 2}, True), ({2}, False)])
    def test_after_a_restart_a_ring_changed_since_the_vote_was_given_only_if_both_were_in_it(
        self, granted_in: set[int], certain: bool
    ) -> None:
        partition = frozenset(NodeId(number) for number in granted_in)
        holders = Holders.of_record(ClusterRecord(Algorithm.LMS, partition, (HolderRecord(NodeId(2), 8_000),)), 100.0)
        holders.reported(node(1, ring(1, 14), 1), {}, 160.0, NOTICE, is_first=True)
        assert [change.certain for change in holders.by_node[NodeId(2)].changes] == [certain]

    def test_one_that_is_counted_in_after_a_restart_may_have_its_vote_in_that_ring(self) -> None:
        record = ClusterRecord(Algorithm.LMS, frozenset({NodeId(1), NodeId(2)}), (HolderRecord(NodeId(2), 8_000),))
        holders = Holders.of_record(record, 100.0)
        holders.reported(node(1, ring(1, 10), 1, 2), {}, 101.0, NOTICE, is_first=True)
        assert [change.certain for change in holders.by_node[NodeId(2)].changes] == [False]
        holders.reported(node(1, ring(1, 14), 1), {}, 160.0, NOTICE, is_first=False)
        assert [change.certain for change in holders.by_node[NodeId(2)].changes] == [False, True]

    def test_one_of_an_older_ring_does_not(self) -> None:
        holders = holding(1, 2)
        holders.reported(node(1, ring(1, 6), 1), {}, 60.0, NOTICE, is_first=False)
        assert not holders.by_node[NodeId(2)].left_out

    def test_a_newer_ring_with_it_in_is_its_ring(self) -> None:
        holders = holding(1, 2)
        holders.reported(node(1, ring(1, 14), 1), {}, 60.0, NOTICE, is_first=False)
        holders.reported(node(1, ring(1, 18), 1, 2), {}, 61.0, NOTICE, is_first=False)
        assert not holders.by_node[NodeId(2)].left_out
        assert holders.by_node[NodeId(2)].ring_id == ring(1, 18)

    @pytest.mark.parametrize(
        ("nodes", "mates"),
        [
            pytest.param({NodeId(1): node(1, ring(1, 10), 1, 2)}, Mates.WATCHING, id="in it, and connected"),
            pytest.param({}, Mates.AWAY, id="in it, and not connected"),
            pytest.param({NodeId(1): node(1, ring(1, 4), 1)}, Mates.AWAY, id="connected, and in another one"),
        ],
    )
    def test_a_ring_is_watched_by_whoever_is_connected_and_in_it(self, nodes: dict[NodeId, Node], mates: Mates) -> None:
        holders = holding(1, 2)
        assert holders.ring(holders.by_node[NodeId(2)], nodes, frozenset({NodeId(1), NodeId(2)}), NOBODY).mates is mates

    def test_a_ring_of_one_has_nobody_to_watch_it_and_nobody_to_lose(self) -> None:
        holders = holding(2)
        assert holders.ring(holders.by_node[NodeId(2)], {}, frozenset({NodeId(1), NodeId(2)}), NOBODY).mates is Mates.NONE

    @pytest.mark.parametrize(("away", "mates"), [(2, Mates.NONE), (3, Mates.STRANGERS)])
    def test_it_may_come_together_with_others_that_are_not_heard(self, away: int, mates: Mates) -> None:
        holders = holding(2)
        two = holders.by_node[NodeId(2)]
        assert holders.ring(two, {}, frozenset(map(NodeId, (1, 2, 3))), frozenset({NodeId(away)})).mates is mates

    @pytest.mark.parametrize(("acked_at", "given"), [(59.0, False), (60.5, True)])
    def test_a_vote_that_was_given_for_its_ring_may_have_come_though_it_did_not_answer(self, acked_at: float, given: bool) -> None:
        holders = holding(2)
        two = holders.by_node[NodeId(2)]
        holders.reported(node(2, ring(2, 14), 2), {}, 60.0, NOTICE, is_first=False)
        two.acked_at = acked_at
        assert holders.ring(two, {}, frozenset({NodeId(2)}), NOBODY).given is given

    def test_of_a_node_that_was_left_the_mates_are_those_who_have_not_left_it(self) -> None:
        holders = holding(1, 2, 3)
        everybody = frozenset(map(NodeId, (1, 2, 3)))
        holders.reported(node(1, ring(1, 14), 1), {}, 60.0, NOTICE, is_first=False)
        assert holders.ring(holders.by_node[NodeId(2)], {}, everybody, NOBODY).mates is Mates.AWAY
        holders.reported(node(3, ring(3, 14), 3), {}, 60.1, NOTICE, is_first=False)
        assert holders.ring(holders.by_node[NodeId(2)], {}, everybody, NOBODY).mates is Mates.NONE

    @pytest.mark.parametrize(("after", "changed_at"), [(1.0, 101.0 + NOTICE), (NOTICE + TRAVEL_S + 1, 101.0 + NOTICE + TRAVEL_S)])
    def test_the_others_may_notice_later_than_one_that_was_away_for_a_moment(self, after: float, changed_at: float) -> None:
        holders = holding(1, 2)
        holders.went(node(1, ring(1, 10), 1, 2), GONE)
        holders.reported(node(1, ring(1, 14), 1), {}, 100.0 + after, NOTICE, is_first=True)
        assert holders.by_node[NodeId(2)].changed_at == pytest.approx(changed_at)

    def test_a_ring_that_another_node_has_reported_first_is_new_for_the_node_itself(self) -> None:
        holders = holding(1, 2)
        holders.polled(node(2, ring(1, 10), 1, 2), None)
        holders.reported(node(1, ring(1, 14), 1, 2), {}, 60.0, NOTICE, is_first=False)
        holders.reported(node(2, ring(1, 14), 1, 2), {}, 61.0, NOTICE, is_first=False)
        assert holders.by_node[NodeId(2)].unpolled_since == 61.0

    @pytest.mark.parametrize(("after", "in_flight"), [(NOTICE + TRAVEL_S - 1, True), (NOTICE + TRAVEL_S + 1, False)])
    def test_a_vote_that_was_given_shortly_before_its_ring_changed_may_be_in_flight(self, after: float, in_flight: bool) -> None:
        holders = holding(1, 2)
        two = holders.by_node[NodeId(2)]
        holders.polled(node(2, ring(1, 10), 1, 2), None)
        two.acked_at = 60.0
        holders.reported(node(2, ring(2, 14), 2), {}, 60.0 + after, NOTICE, is_first=False)
        assert two.in_flight is in_flight


class TestMates:
    def test_whoever_is_in_a_ring_with_a_node_may_have_quorum_by_it(self) -> None:
        """Node 3 never came to us; its daemon may have given up."""
        holders = holding(1, 2)
        holders.reported(node(1, ring(1, 14), 1, 2, 3), {}, 60.0, NOTICE, is_first=False)
        three = holders.by_node[NodeId(3)]
        assert three.presumed
        assert three.absence is not None
        assert three.absence.manner is Manner.GAVE_UP
        assert three.ring_id == ring(1, 14)

    def test_one_that_has_reported_speaks_for_itself(self) -> None:
        holders = holding(1, 2)
        holders.reported(node(1, ring(1, 14), 1, 2, 3), {NodeId(3): node(3, ring(1, 14), 1, 2, 3)}, 60.0, NOTICE, is_first=False)
        assert holders.by_node[NodeId(3)].absence is None


class TestComingAndGoing:
    def test_who_went_is_absent_until_it_reports(self) -> None:
        holders = holding(1, 2)
        holders.went(node(2, ring(1, 10), 1, 2), GONE)
        assert holders.by_node[NodeId(2)].absence == GONE
        holders.reported(node(2, ring(2, 14), 2), {}, 110.0, NOTICE, is_first=False)
        assert holders.by_node[NodeId(2)].absence is None

    def test_who_is_no_holder_becomes_none_by_going(self) -> None:
        holders = holding(1)
        holders.went(node(2, ring(1, 10), 1, 2), GONE)
        assert list(holders.by_node) == [1]

    @pytest.mark.parametrize(
        ("others", "manner", "kept"), [((), Manner.CLOSED, False), ((3,), Manner.CLOSED, True), ((3,), Manner.ENDED, False)]
    )
    def test_who_is_no_holder_may_keep_others_from_losing_their_quorum(self, others: tuple[int, ...], manner: Manner, kept: bool) -> None:
        holders = holding(1)
        two = node(2, ring(1, 10), 2)
        two.take_config(infos(1, 2, *others), 1)
        holders.went(two, replace(GONE, manner=manner))
        assert (NodeId(2) in holders.by_node) is kept
        if kept:
            assert holders.by_node[NodeId(2)].is_bystander
            holders.reported(two, {}, 110.0, NOTICE, is_first=True)
            assert not holders.by_node[NodeId(2)].is_bystander

    def test_one_that_ran_heuristics_once_may_do_so_again(self) -> None:
        holders = holding(1, 2)
        holders.reported(node(2, ring(1, 14), 1, 2, heuristics=Heuristics.PASS), {}, 60.0, NOTICE, is_first=False)
        holders.reported(node(2, ring(1, 18), 1, 2), {}, 61.0, NOTICE, is_first=False)
        assert holders.by_node[NodeId(2)].uses_heuristics

    def test_where_nobody_is_connected_who_ended_is_in_no_record(self) -> None:
        holders = holding(1, 2)
        holders.went(node(1, ring(1, 10), 1, 2), GONE)
        holders.went(node(2, ring(1, 10), 1, 2), Absence(Manner.ENDED, 100.0, 95.0, 95.0, alive=100.0))
        holders.put_away()
        assert holders.record() == ClusterRecord(Algorithm.FFSPLIT, holders.partition, (HolderRecord(NodeId(1), 8_000, unattended=True),))
        assert set(holders.by_node) == {1, 2}


class TestVotesInFlight:
    @pytest.mark.parametrize(("members", "in_flight"), [((2,), True), ((1, 2, 3), False)])
    def test_the_token_was_lost_where_somebody_is_missing_and_not_where_rings_come_together(
        self, members: tuple[int, ...], in_flight: bool
    ) -> None:
        holders = holding(1, 2)
        holders.by_node[NodeId(2)].acked_at = 50.0
        holders.polled(node(2, ring(1, 10), 1, 2), None)
        holders.reported(node(2, ring(2, 14), *members), {}, 52.0, NOTICE, is_first=False)
        assert holders.by_node[NodeId(2)].in_flight is in_flight


class TestMatesThatSpeak:
    def test_one_that_has_answered_its_refusal_does_not_have_to_answer_it_again(self) -> None:
        holders = holding(1)
        two, three = node(2, ring(2, 14), 2, 3), node(3, ring(2, 14), 2, 3)
        three.membership_list, three.refused_at = two.membership_list, 55.0
        holders.reported(two, {NodeId(2): two, NodeId(3): three}, 60.0, NOTICE, is_first=True)
        assert holders.by_node[NodeId(3)].refused_at == 55.0


class TestRecords:
    def test_a_record_and_back(self) -> None:
        holders = Holders.of_record(record(2, 1, partition=(1, 2, 3)), started=1000.0)
        assert holders.record() == record(1, 2, partition=(1, 2, 3))
        assert all(each.durable and each.absence is not None for each in holders.by_node.values())
        assert {each.absence.manner for each in holders.by_node.values() if each.absence is not None} == {Manner.DROPPED}

    def test_one_whose_daemon_was_killed_is_as_one_that_was_killed_just_before_the_restart(self) -> None:
        holders = holding(1, 2)
        holders.went(node(2, ring(1, 10), 1, 2), GONE)
        kept = holders.record()
        assert kept is not None
        assert [each.unattended for each in kept.holders] == [False, True]
        absence = Holders.of_record(kept, started=1000.0).by_node[NodeId(2)].absence
        assert absence is not None
        assert (absence.manner, absence.at) == (Manner.CLOSED, 1000.0)

    def test_no_holder_no_record(self) -> None:
        assert Holders(Algorithm.FFSPLIT, frozenset({NodeId(1)})).record() is None

    def test_who_is_presumed_is_in_the_record_and_replaces_nobody(self) -> None:
        holders = holding(1)
        holders.presume([NodeId(1), NodeId(2)], 8000, GONE)
        kept = holders.record()
        assert kept is not None
        assert kept.holders == (HolderRecord(NodeId(1), 8000), HolderRecord(NodeId(2), 8000, unattended=True, presumed=True))
        assert Holders.of_record(kept, started=1000.0).by_node[NodeId(2)].presumed
        assert holders.by_node[NodeId(1)].absence is None
        assert holders.by_node[NodeId(2)].absence == GONE

    @pytest.mark.parametrize(("problem", "durable"), [("", [1, 2]), ("the disk is full", [1])])
    def test_what_was_not_written_is_only_presumed(self, problem: str, durable: list[int]) -> None:
        holders = holding(1, 2)
        one, two = holders.by_node.values()
        one.durable, one.ticket, two.ticket = True, 1, 2
        holders.persisted((2,), problem)
        assert [number for number, each in holders.by_node.items() if each.durable] == durable
        assert [number for number, each in holders.by_node.items() if not each.presumed] == durable

    def test_while_anybody_may_hold_the_vote_no_record_names_some(self) -> None:
        holders = Holders(Algorithm.FFSPLIT, anybody=GONE)
        holders.went(node(2, ring(1, 10), 1, 2), GONE)
        assert holders.by_node[NodeId(2)].absence == GONE
        assert holders.record() is None
        holders.presume([NodeId(1), NodeId(2)], 8000, GONE)
        assert holders.record() is not None

    def test_a_failure_takes_nothing_from_who_is_on_the_disk_already(self) -> None:
        holders = holding(1)
        (one,) = holders.by_node.values()
        one.durable, one.ticket = True, 2
        holders.persisted((2,), "the disk is full")
        assert list(holders.by_node) == [1]


def test_outside_are_those_that_a_list_does_not_name() -> None:
    assert [each.node_id for each in holding(1, 2, 3).outside({NodeId(2)})] == [1, 3]
