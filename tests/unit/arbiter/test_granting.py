"""When the vote moves, and what it waits for: two nodes with ffsplit unless said. What a lost node may do is in `test_releases`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.world import SAFE, World, record, ring, split
from thirdvote.arbiter.interface import Ending, NoteKind
from thirdvote.arbiter.record import Past
from thirdvote.config import ClusterSettings
from thirdvote.domain import Algorithm, ClusterName, Handover, Heuristics, Vote
from thirdvote.wire.messages import EchoReply, NodeListReply, VoteInfo

ACK, NACK, WAITS = Vote.ACK, Vote.NACK, Vote.WAIT_FOR_REPLY
FAST = replace(SAFE, handover=Handover.FAST)
C = ClusterName(b"c")

H, T, S = 8.0, 10.0, 30.0
SETTLES_S = 1.08
"""Two steps of Corosync at its default token timeout."""


class TestALoserThatIsConnected:
    def test_is_told_first_and_its_answer_with_the_word_of_its_corosync_releases_it(self) -> None:
        world, _, two = split()
        assert world.votes() == {1: WAITS, 2: NACK}
        two.answer(*two.unanswered())
        assert world.votes() == {1: WAITS, 2: NACK}
        two.quorum(2, quorate=False)
        assert world.votes() == {1: ACK, 2: NACK}
        assert world.holders() == [1]

    def test_without_any_word_on_that_ring_its_corosync_may_not_be_done_with_it(self) -> None:
        world, _, two = split()
        two.answer(*two.unanswered())
        assert world.waits_s() == pytest.approx(S)

    def test_with_a_word_that_is_not_no_the_time_in_which_its_corosync_finds_out_is_waited_for(self) -> None:
        world, _, two = split()
        two.answer(*two.unanswered())
        two.quorum(2, quorate=True)
        assert world.waits_s() == pytest.approx(SETTLES_S)
        world.pass_time(SETTLES_S - 0.01)
        assert world.votes()[1] is WAITS
        world.pass_time(0.02)
        assert world.votes()[1] is ACK

    def test_that_is_quorate_in_any_case_is_released_after_the_same_time(self) -> None:
        world, _, two = split()
        two.answer(*two.unanswered())
        two.quorum(2, quorate=True)
        world.pass_time(SETTLES_S + 0.01)
        assert world.votes()[1] is ACK

    def test_that_answers_another_message_is_not_released(self) -> None:
        """What it answers is the vote of its ring before, while the refusal for the new one is still on its way."""
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.answers = False
        two.membership(ring(2, 14), 2)
        one.membership(ring(1, 14), 1)
        first = two.unanswered()
        second = [message for message in two.membership(ring(2, 18), 2) if isinstance(message, VoteInfo)]
        two.answer(*first)
        two.quorum(2, quorate=False)
        assert world.votes()[1] is WAITS
        two.answer(*second)
        two.quorum(2, quorate=False)
        assert world.votes()[1] is ACK

    def test_that_does_not_answer_counts_as_silent_and_its_echoes_stay_unanswered(self) -> None:
        world, one, two = split()
        assert two.echo()[-1].type == EchoReply.type
        world.pass_time(1.1, one)
        assert two.echo() == []
        assert world.votes()[1] is WAITS
        assert world.waits_s() is not None

    def test_that_goes_on_but_does_not_answer_is_closed_when_it_is_released(self) -> None:
        """It hears nothing of us, but we hear it: its next echo is not answered, and a heartbeat later it gives up."""
        world = World(replace(SAFE, late_answers=False))
        one, two = world.settled(1, 2)
        two.answers = False
        two.echo()
        one.membership(ring(1, 14), 1)
        world.pass_time(H, one)
        assert EchoReply.type not in [message.type for message in two.echo()]
        world.pass_time(H, one)
        assert two.closed is None
        world.pass_time(0.5, one)
        assert two.closed is not None
        assert "given up" in two.closed
        assert world.votes() == {1: ACK}

    def test_whose_kernel_acknowledges_hangs_and_is_waited_for_as_long_as_its_corosync_waits(self) -> None:
        world, one, two = split()
        two.acknowledges = True
        world.pass_time(2.0, one)
        assert "its daemon hangs" in world.snapshot().waiting
        waits = world.waits_s()
        assert waits is not None
        assert S - 3 < waits < S + T
        world.pass_time(S - 3, one)
        assert world.votes()[1] is WAITS

    def test_that_has_answered_is_released_whatever_becomes_of_it_then(self) -> None:
        world, _, two = split()
        two.answer(*two.unanswered())
        two.quorum(2, quorate=True)
        two.leave(Ending.CLOSED)
        world.pass_time(SETTLES_S + 0.01)
        assert world.votes() == {1: ACK}

    def test_that_is_gone_before_it_has_answered_is_frozen_from_its_own_report_on(self) -> None:
        world, one, two = split()
        two.leave(Ending.CLOSED)
        world.pass_time(S - 0.1, one)
        assert world.votes() == {1: WAITS}
        world.pass_time(1.0, one)
        assert world.votes() == {1: ACK}

    def test_that_answers_late_is_heard_again(self) -> None:
        world, one, two = split()
        refusal = two.unanswered()
        world.pass_time(4.0, one)
        assert two.echo() == []
        assert world.waits_s() is not None
        heard = two.answer(*refusal)
        assert EchoReply.type in [message.type for message in heard]
        two.quorum(2, quorate=False)
        assert world.votes() == {1: ACK, 2: NACK}
        assert two.closed is None

    def test_is_told_once(self) -> None:
        world, one, two = split()
        assert len(two.unanswered()) == 1
        one.quorum(1, quorate=False)
        one.echo()
        world.pass_time(0.1)
        assert two.unanswered() == []


class TestANodeThatIsLost:
    @pytest.mark.parametrize("after", [1.0, 4.0])
    def test_killed_with_its_ring_gone_is_waited_for_as_long_as_its_corosync_waits(self, after: float) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.leave(Ending.CLOSED)
        world.pass_time(after, one)
        one.membership(ring(1, 14), 1)
        assert world.waits_s() == pytest.approx(S, abs=1.5)
        world.pass_time(S, one)
        assert world.votes() == {1: WAITS}
        world.pass_time(2.0, one)
        assert world.votes() == {1: ACK}

    def test_killed_long_before_its_ring_changed_is_waited_for_until_it_would_have_polled_if_it_runs_again(self) -> None:
        """Corosync dropped its vote T after it was killed, so it does not wait for the device as long as after a kill."""
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.leave(Ending.CLOSED)
        world.pass_time(20.0, one)
        one.membership(ring(1, 14), 1)
        world.pass_time(5.0, one)
        assert world.votes() == {1: WAITS}
        world.pass_time(2.0, one)
        assert world.votes() == {1: ACK}

    def test_while_its_device_counts_as_alive_the_others_are_asked_often_so_that_their_report_can_be_dated(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.leave(Ending.CLOSED)
        world.pass_time(2.0)
        assert 8 <= len(one.unanswered()) <= 10
        world.pass_time(40.0, one)
        one.take()
        world.pass_time(2.0)
        assert one.unanswered() == []

    def test_that_said_goodbye_between_its_echoes_was_ended_and_nobody_waits(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.echo()
        world.pass_time(3.0)
        two.leave(Ending.GOODBYE)
        world.pass_time(0.02)
        one.membership(ring(1, 14), 1)
        world.pass_time(0.5)
        assert world.votes() == {1: ACK}

    @pytest.mark.parametrize(
        ("seconds", "delivered"),
        [pytest.param(H, True, id="when its next echo was due"), pytest.param(3.0, False, id="with our answers on their way")],
    )
    def test_that_said_goodbye_otherwise_may_have_given_up_and_goes_on(self, seconds: float, delivered: bool) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.echo()
        world.pass_time(seconds, one)
        two.leave(Ending.GOODBYE, delivered=delivered)
        world.pass_time(0.02)
        one.membership(ring(1, 14), 1)
        assert world.waits_s() == pytest.approx(10, abs=1.0)

    def test_that_said_goodbye_after_an_error_of_ours_gave_up(self) -> None:
        """It reconnects after an error under lms, and its next process starts anew under ffsplit."""
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.ask()
        two.leave(Ending.GOODBYE)
        one.membership(ring(1, 14), 1)
        assert world.waits_s() is not None

    def test_in_an_unchanged_ring_keeps_nobody_waiting_who_is_in_it(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.leave(Ending.CLOSED)
        assert world.votes() == {1: ACK}
        one.membership(ring(1, 14), 1, 2)
        assert world.votes() == {1: ACK}

    def test_comes_back_into_the_ring_and_has_the_vote_without_a_wait(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.leave(Ending.LOST)
        one.membership(ring(1, 14), 1)
        assert world.votes() == {1: WAITS}
        two = world.join(2, 1, 2)
        for client in (one, two):
            client.membership(ring(1, 18), 1, 2)
        assert world.votes() == {1: ACK, 2: ACK}

    def test_says_for_itself_when_it_is_back_alone(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.leave(Ending.LOST)
        one.membership(ring(1, 14), 1)
        two = world.join(2, 1, 2)
        two.membership(ring(2, 14), 2)
        assert world.votes() == {1: WAITS, 2: NACK}
        two.quorum(2, quorate=False)
        assert world.votes() == {1: ACK, 2: NACK}


class TestRingsThatNobodySaw:
    """Node 2 was killed. What its Corosync waits for depends on when its ring changed."""

    def test_the_only_witness_was_away(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.leave(Ending.CLOSED)
        world.pass_time(0.5)
        one.leave()
        world.pass_time(11.0)
        one = world.join(1, 1, 2)
        one.membership(ring(1, 14), 1)
        world.pass_time(3.0, one)
        assert world.votes() == {1: WAITS}

    def test_a_link_that_flaps(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.leave(Ending.CLOSED)
        for seconds, members in ((2.0, (1,)), (3.0, (1, 2)), (10.0, (1,))):
            world.pass_time(seconds, one)
            one.membership(ring(1, int(world.now)), *members)
        world.pass_time(S - 1.0, one)
        assert world.votes() == {1: WAITS}
        world.pass_time(3.0, one)
        assert world.votes() == {1: ACK}


class TestWhoIsToHaveTheVote:
    def test_is_asked_first_if_it_is_there_when_time_releases_the_other(self) -> None:
        """What became of the lost node's ring is known from it alone, and it may have been away for a while itself."""
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.answers = False
        world.pass_time(1.0)
        one.membership(ring(1, 14), 1)
        one.answers = False
        while (wait := world.waits_s()) is None or wait > 2.0:
            world.pass_time(1.0, one)
        world.pass_time(3.0)
        assert world.votes()[1] is not ACK
        one.answer(*one.unanswered())
        assert world.votes()[1] is ACK

    def test_is_asked_nothing_before_it_has_reported_anything(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        one.leave(Ending.CLOSED)
        one = world.connect()
        one.preinit()
        one.init(1, ring_id=ring(1, 6))
        two.quorum(1, 2)
        world.pass_time(5.0, two)
        assert not one.unanswered()


class TestThoseThatGoOnCasting:
    def test_2nodelms_waits_until_corosync_has_waited(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2, algorithm=Algorithm.TWO_NODE_LMS)
        two.leave(Ending.LOST)
        one.membership(ring(1, 14), 1)
        world.pass_time(S, one)
        assert world.votes() == {1: WAITS}
        world.pass_time(1.0, one)
        assert world.votes() == {1: ACK}

    def test_2nodelms_does_not_wait_for_who_ended_in_order(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2, algorithm=Algorithm.TWO_NODE_LMS)
        world.pass_time(1.0, one)
        two.leave(Ending.GOODBYE)
        world.pass_time(0.03)
        one.membership(ring(1, 14), 1)
        world.pass_time(1.2, one)
        assert world.votes() == {1: ACK}

    def test_2nodelms_waits_for_the_ring_that_the_other_has_reported_itself(self) -> None:
        world, one, two = split(algorithm=Algorithm.TWO_NODE_LMS)
        two.leave(Ending.LOST)
        world.pass_time(S - 0.1, one)
        assert world.votes() == {1: WAITS}
        world.pass_time(1.0, one)
        assert world.votes() == {1: ACK}

    @pytest.mark.parametrize(("wait_for_all", "wait"), [(True, S), (False, H + T)])
    def test_lms_does_so_where_the_setting_says_wait_for_all(self, wait_for_all: bool, wait: float) -> None:
        world = World(replace(SAFE, clusters={C: ClusterSettings(wait_for_all=wait_for_all)}))
        one, two = world.settled(1, 2, algorithm=Algorithm.LMS)
        two.leave(Ending.LOST)
        one.membership(ring(1, 14), 1)
        waits = world.waits_s()
        assert waits is not None
        assert (waits >= S) is wait_for_all


class TestFast:
    def test_a_node_that_is_gone_with_its_ring_is_not_waited_for(self) -> None:
        world = World(FAST)
        one, two = world.settled(1, 2)
        two.leave(Ending.CLOSED)
        one.membership(ring(1, 14), 1)
        assert world.votes() == {1: ACK}

    def test_a_silent_one_is_given_the_time_of_a_probe(self) -> None:
        world = World(FAST)
        one, two = world.settled(1, 2)
        two.answers = False
        one.membership(ring(1, 14), 1)
        assert [message.vote for message in two.unanswered() if isinstance(message, VoteInfo)] == [Vote.NO_CHANGE]
        assert world.votes()[1] is WAITS
        world.pass_time(1.01)
        assert world.votes()[1] is ACK

    def test_one_that_answers_is_refused_first(self) -> None:
        world = World(FAST)
        one, two = world.settled(1, 2)
        one.membership(ring(1, 14), 1)
        world.pass_time(0.9)
        assert world.votes()[1] is WAITS
        two.membership(ring(2, 14), 2)
        two.quorum(2, quorate=False)
        assert world.votes() == {1: ACK, 2: NACK}

    def test_a_node_lost_in_an_unchanged_ring_is_waited_for(self) -> None:
        """Of four nodes 3 and 4 have the vote; 4 is gone, and nobody says that its ring is."""
        world = World(FAST)
        clients = dict(zip((1, 2, 3, 4), world.settled(1, 2, 3, 4), strict=True))
        for number in (3, 4):
            clients[number].membership(ring(3, 14), 3, 4)
            clients[number].heuristics(Heuristics.PASS)
        for number in (1, 2):
            clients[number].membership(ring(1, 14), 1, 2)
            clients[number].quorum(1, 2, quorate=False)
        world.pass_time(2.0)
        assert world.votes() == {1: NACK, 2: NACK, 3: ACK, 4: ACK}
        clients[4].leave(Ending.LOST)
        clients[3].heuristics(Heuristics.FAIL)
        clients[3].quorum(3, 4, quorate=False)
        assert world.votes() == {1: NACK, 2: NACK, 3: NACK}
        assert world.snapshot().waiting.startswith("until")

    def test_a_loser_whose_corosync_says_nothing_may_wait_for_the_device_of_another(self) -> None:
        """Nodes 1 and 2 are refused; the Corosync of neither has told if they have quorum in their ring."""
        world = World(SAFE)
        clients = dict(zip((1, 2, 3, 4), world.settled(1, 2, 3, 4), strict=True))
        for number in (1, 2):
            clients[number].membership(ring(1, 14), 1, 2, heuristics=Heuristics.FAIL)
        for number in (3, 4):
            clients[number].membership(ring(3, 14), 3, 4)
        world.pass_time(S - 1.0, *clients.values())
        assert world.votes() == {1: NACK, 2: NACK, 3: WAITS, 4: WAITS}
        world.pass_time(2.0, *clients.values())
        assert world.votes() == {1: NACK, 2: NACK, 3: ACK, 4: ACK}

    def test_a_vote_that_came_just_before_a_change_of_the_ring_is_taken_back_twice(self) -> None:
        """It was in Corosync's queue, and comes into force after the first refusal."""
        world = World(SAFE)
        one, two = world.whole(1, 2)
        two.answers = False
        two.membership(ring(2, 14), 2)
        one.membership(ring(1, 14), 1)
        for _ in range(2):
            assert world.votes()[1] is WAITS
            two.answer(*two.unanswered())
            two.quorum(2, quorate=False)
            world.pass_time(SETTLES_S + 0.01)
        assert world.votes() == {1: ACK, 2: NACK}


class TestAVoteInFlight:
    def test_of_a_node_that_falls_silent_makes_the_other_side_stop_until_it_is_over(self) -> None:
        """It comes into force there when the node polls for its new ring; and until it is told something, the other side is frozen."""
        world = World(SAFE)
        one, two = world.whole(1, 2)
        two.answers = False
        two.membership(ring(2, 14), 2)
        two.leave(Ending.LOST)
        one.membership(ring(1, 14), 1)
        assert world.votes() == {1: NACK}
        while world.waits_s() is not None:
            world.pass_time(1.0, one)
        assert world.votes() == {1: ACK}


class TestAfterARestart:
    def test_the_side_that_had_the_vote_has_it_at_once(self) -> None:
        world = World(SAFE, Past(1000.0, {C: record(2)}))
        two = world.join(2, 1, 2)
        two.membership(ring(2, 14), 2)
        assert world.votes() == {2: ACK}

    def test_and_the_other_side_waits_for_it(self) -> None:
        world = World(SAFE, Past(1000.0, {C: record(2)}))
        one = world.join(1, 1, 2)
        one.membership(ring(1, 14), 1)
        assert world.votes() == {1: WAITS}
        world.pass_time(2 * H - 0.1, one)
        assert world.votes() == {1: WAITS}
        world.pass_time(8.0, one)
        assert world.votes() == {1: ACK}

    def test_time_counts_from_the_start_not_from_when_somebody_comes(self) -> None:
        world = World(SAFE, Past(1000.0, {C: record(2, heartbeat_ms=1000)}))
        world.pass_time(60.0)
        one = world.join(1, 1, 2)
        one.membership(ring(1, 14), 1)
        world.pass_time(5.0, one)
        assert world.votes() == {1: ACK}

    def test_keep_active_partition_remembers_who_had_it(self) -> None:
        world = World(SAFE, Past(1000.0, {C: record(2)}))
        clients = [world.join(number) for number in (1, 2)]
        for number, client in enumerate(clients, 1):
            client.keep_active_partition(True)
            client.config(1, 2)
            client.membership(ring(number, 14), number)
        world.pass_time(2.0)
        assert world.votes() == {1: NACK, 2: ACK}

    def test_a_whole_cluster_does_not_wait(self) -> None:
        for past in (Past(1000.0, {C: record(1, 2)}), Past(1000.0, {}, complete=False)):
            world = World(SAFE, past)
            clients = [world.join(number, 1, 2) for number in (1, 2)]
            for client in clients:
                client.membership(ring(1, 10), 1, 2)
            assert world.votes() == {1: ACK, 2: ACK}

    def test_without_a_complete_past_every_configured_node_may_have_the_vote(self) -> None:
        world = World(SAFE, Past(1000.0, {}, complete=False))
        one = world.join(1, 1, 2)
        one.membership(ring(1, 14), 1)
        assert world.votes() == {1: WAITS}
        world.pass_time(2 * H + 0.1, one)
        world.pass_time(T, one)
        assert world.votes() == {1: ACK}

    def test_with_a_complete_one_nobody_else_is_presumed(self) -> None:
        world = World(SAFE, Past(1000.0, {}))
        one = world.join(1, 1, 2)
        one.membership(ring(1, 14), 1)
        assert world.votes() == {1: ACK}

    def test_lms_does_not_take_who_had_the_vote_for_a_newcomer(self) -> None:
        """Node 2 had it alone; node 1, the tie-breaker, is new, and was there first."""
        world = World(SAFE, Past(1000.0, {C: record(2, algorithm=Algorithm.LMS)}))
        one = world.join(1, 1, 2, algorithm=Algorithm.LMS)
        one.membership(ring(1, 4), 1)
        two = world.join(2, 1, 2, algorithm=Algorithm.LMS)
        two.membership(ring(2, 14), 2)
        world.pass_time(2.0)
        assert world.votes() == {1: NACK, 2: ACK}

    def test_what_the_nodes_that_are_gone_hold_is_known_while_nobody_is_connected(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        for client in (one, two):
            client.leave(Ending.CLOSED)
        assert world.arbiter.remembered(C) == (1, 2)
        one = world.join(1, 1, 2)
        one.membership(ring(1, 14), 1)
        assert world.votes() == {1: WAITS}


class TestWhatIsSaid:
    def test_a_wait_names_the_node_the_time_and_the_reason(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.leave(Ending.CLOSED)
        one.membership(ring(1, 14), 1)
        waiting = world.snapshot().waiting
        assert waiting.startswith("until 104")
        assert "for node 2, which may still report quorum: its daemon was gone without a goodbye at 1012.0 s" in waiting
        assert "then it gets the vote: no other half is connected" in world.snapshot().nodes[0].because

    def test_each_thing_is_noted_once(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.membership(ring(2, 14), 2)
        world.notes.clear()
        one.membership(ring(1, 14), 1)
        one.quorum(1, quorate=False)
        two.quorum(2, quorate=False)
        world.pass_time(4.0, one)
        assert len(world.said(NoteKind.DECIDED)) == 1
        assert len(world.said(NoteKind.HELD_BACK)) == 2, "its answer, then its Corosync"
        assert len(world.said(NoteKind.RELEASED)) == 1
        assert world.votes()[1] is ACK

    def test_a_vote_that_waits_for_nothing_has_no_sentence(self) -> None:
        world = World(SAFE)
        world.settled(1, 2)
        assert world.snapshot().waiting == ""
        assert world.snapshot().waiting_until is None
        assert world.said(NoteKind.HELD_BACK) == []


class TestThePartitionOfAllNodes:
    @pytest.mark.parametrize("algorithm", [Algorithm.FFSPLIT, Algorithm.LMS, Algorithm.TWO_NODE_LMS])
    def test_never_waits(self, algorithm: Algorithm) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2, algorithm=algorithm)
        two.leave(Ending.CLOSED)
        one.membership(ring(1, 14), 1)
        one.membership(ring(1, 18), 1, 2)
        assert world.votes() == {1: ACK}
        two = world.join(2, 1, 2, algorithm=algorithm)
        two.membership(ring(1, 18), 1, 2)
        assert world.votes() == {1: ACK, 2: ACK}

    @pytest.mark.parametrize("algorithm", [Algorithm.FFSPLIT, Algorithm.LMS])
    def test_reply_to_a_list_carries_no_vote(self, algorithm: Algorithm) -> None:
        """A vote that has to be answered goes out in a VOTE_INFO."""
        world = World(SAFE)
        one = world.join(1, 1, 2, algorithm=algorithm)
        heard = one.membership(ring(1, 10), 1, 2)
        votes = {type(message): message.vote for message in heard if isinstance(message, VoteInfo | NodeListReply)}
        assert votes[VoteInfo] is ACK
        assert votes[NodeListReply] in (Vote.NO_CHANGE, WAITS)
