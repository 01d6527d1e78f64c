"""What surrounds a vote that waits: the ledger, late answers, a node that is connected twice, the operator, a policy that changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.world import SAFE, Client, World, record, ring, settings_with, split
from thirdvote.arbiter.granting import LEDGER_AGAIN_S
from thirdvote.arbiter.interface import Elapsed, Ending, NoteKind, Reconfigure, Release
from thirdvote.arbiter.record import HolderRecord
from thirdvote.config import Settings
from thirdvote.domain import Algorithm, ClusterName, Handover, NodeId, Vote
from thirdvote.errors import ReplyCode
from thirdvote.wire.messages import EchoReply, InitReply, Message

ACK, NACK, WAITS = Vote.ACK, Vote.NACK, Vote.WAIT_FOR_REPLY
FAST = replace(SAFE, handover=Handover.FAST)
STOCK = replace(SAFE, handover=Handover.STOCK)
C = ClusterName(b"c")

H = 8.0


def code_of(messages: list[Message]) -> int | None:
    (message,) = messages
    assert isinstance(message, InitReply)
    return message.error_code


class TestTheLedger:
    def test_the_vote_leaves_after_the_record_that_names_its_holder(self) -> None:
        world = World(SAFE)
        world.disk_waits = True
        one = world.join(1, 1, 2)
        one.membership(ring(1, 10), 1, 2)
        (persist,) = world.persists
        assert persist.record is not None
        assert persist.record.holders == (HolderRecord(NodeId(1), 8000), HolderRecord(NodeId(2), 8000, presumed=True))
        assert world.votes() == {1: WAITS}
        world.written(persist)
        assert world.votes() == {1: ACK}

    def test_nothing_is_written_when_nodes_get_again_what_they_have(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        written = len(world.persists)
        for sequence in (14, 18):
            for client in (one, two):
                client.membership(ring(1, sequence), 1, 2)
                client.quorum(1, 2)
                client.echo()
        assert world.votes() == {1: ACK, 2: ACK}
        assert len(world.persists) == written

    def test_a_release_is_written_with_who_comes_after(self) -> None:
        world, _, two = split()
        two.answer(*two.unanswered())
        two.quorum(2, quorate=False)
        assert world.ledger[C] == record(1)

    def test_when_it_fails_nobody_new_gets_the_vote_and_who_has_it_goes_on(self) -> None:
        world = World(SAFE)
        one = world.join(1, 1, 2)
        one.membership(ring(1, 10), 1, 2)
        world.disk_waits = True
        two = world.join(2, 1, 2)
        two.membership(ring(1, 10), 1, 2)
        world.written(world.persists[-1], problem="the disk is full")
        assert world.votes() == {1: ACK, 2: WAITS}
        one.membership(ring(1, 14), 1, 2)
        two.membership(ring(1, 14), 1, 2)
        assert world.votes() == {1: ACK, 2: WAITS}
        assert "the disk is full" in world.snapshot().nodes[1].because
        assert len(world.said(NoteKind.LEDGER)) == 1

    def test_it_is_tried_again(self) -> None:
        world = World(SAFE)
        world.disk_waits = True
        one = world.join(1, 1, 2)
        one.membership(ring(1, 10), 1, 2)
        world.written(*world.persists, problem="the disk is full")
        asked = len(world.persists)
        world.pass_time(LEDGER_AGAIN_S - 0.1)
        assert len(world.persists) == asked
        world.pass_time(0.2)
        assert len(world.persists) == asked + 1
        world.written(world.persists[-1])
        assert world.votes() == {1: ACK}

    def test_an_answer_for_an_older_record_makes_nobody_durable(self) -> None:
        world = World(SAFE)
        world.disk_waits = True
        one = world.join(1, 1, 2)
        one.membership(ring(1, 10), 1, 2)
        two = world.join(2, 1, 2)
        two.membership(ring(1, 10), 1, 2)
        first, second = world.persists
        world.written(first)
        assert world.votes() == {1: ACK, 2: WAITS}
        world.written(second)
        assert world.votes() == {1: ACK, 2: ACK}

    def test_answers_for_several_at_once(self) -> None:
        world = World(SAFE)
        world.disk_waits = True
        for number in (1, 2):
            world.join(number, 1, 2).membership(ring(1, 10), 1, 2)
        world.written(*world.persists)
        assert world.votes() == {1: ACK, 2: ACK}

    def test_a_node_that_goes_before_its_record_is_written_is_waited_for_all_the_same(self) -> None:
        world = World(SAFE)
        world.disk_waits = True
        two = world.join(2, 1, 2)
        two.membership(ring(2, 10), 2)
        two.leave(Ending.CLOSED)
        world.disk_waits = False
        world.written(*world.persists)
        one = world.join(1, 1, 2)
        one.membership(ring(1, 14), 1)
        assert world.votes() == {1: WAITS}

    def test_under_stock_it_has_every_configured_node_and_no_vote_waits_for_it(self) -> None:
        """So that a start with another policy does not take it for granted that nobody has the vote."""
        world = World(STOCK)
        world.disk_waits = True
        world.settled(1, 2)
        assert world.votes() == {1: ACK, 2: ACK}
        (persist,) = world.persists
        assert persist.record is not None
        assert persist.record.holders == record(1, 2).holders


class TestLateAnswers:
    def whole(self, settings: Settings = SAFE) -> tuple[World, Client, Client]:
        world = World(settings)
        one, two = world.whole(1, 2)
        return world, one, two

    def test_an_echo_of_a_whole_cluster_is_answered_shortly_before_the_next_one(self) -> None:
        world, one, _ = self.whole()
        assert one.echo() == []
        world.pass_time(0.9 * H - 0.01)
        assert one.take() == []
        world.pass_time(0.02)
        assert [message.type for message in one.take()] == [EchoReply.type]

    def test_one_that_was_held_up_on_its_way_by_the_ticks_of_its_node(self) -> None:
        """The node's next tick is a heartbeat after it sent the echo, not after it came."""
        world, one, two = self.whole()
        world.pass_time(H)
        one.echo()
        two.echo()
        world.pass_time(H + 0.5, two)
        one.take()
        one.echo()
        world.pass_time(0.9 * H - 0.5 + 0.01)
        assert [message.type for message in one.take()] == [EchoReply.type]

    def test_one_of_a_cluster_that_is_not_whole_at_once(self) -> None:
        _, one, two = self.whole()
        two.leave()
        assert len(one.echo()) == 1

    def test_one_that_waits_is_answered_as_soon_as_the_cluster_is_not_whole_any_more(self) -> None:
        _, one, two = self.whole()
        one.echo()
        two.leave()
        assert EchoReply.type in [message.type for message in one.take()]

    def test_but_not_that_of_a_node_that_is_behind_before_it_has_answered_a_probe(self) -> None:
        _, one, two = self.whole()
        two.echo()
        two.answers = False
        one.membership(ring(1, 14), 1)
        probe = two.unanswered()
        assert len(probe) == 1
        assert EchoReply.type in [message.type for message in two.answer(*probe)]

    def test_it_is_off_where_the_setting_says_so(self) -> None:
        _, one, _ = self.whole(replace(SAFE, late_answers=False))
        assert len(one.echo()) == 1

    def test_it_is_off_where_a_round_trip_is_long(self) -> None:
        world = World(SAFE)
        clients = [world.join(number, 1, 2) for number in (1, 2)]
        for client in clients:
            client.answers = False
            client.membership(ring(1, 10), 1, 2)
        world.pass_time(0.5)
        for client in clients:
            client.answer(*client.unanswered())
        assert world.votes() == {1: ACK, 2: ACK}
        assert len(clients[0].echo()) == 1

    @pytest.mark.parametrize("acknowledged", [True, False])
    def test_a_node_whose_kernel_has_the_late_answer_does_not_give_up_before(self, acknowledged: bool) -> None:
        """Else it may have given up just after its echo, and its timer polls late for the new ring."""
        world, one, two = self.whole()
        world.pass_time(H)
        one.echo()
        two.echo()
        world.pass_time(1.1 * H, one)
        two.acknowledges, two.answers = acknowledged, False
        one.membership(ring(1, 14), 1)
        two.acknowledges = False
        world.pass_time(1.1, one)
        until = world.snapshot().waiting_until
        assert until is not None
        heard = abs(until - (world.now - 1.1 - 1.1 * H + 2 * H)) < 0.5
        assert heard is acknowledged

    def test_one_that_was_answered_too_late_ends_it_for_a_minute(self) -> None:
        world, one, two = self.whole()
        one.echo()
        world.now += H
        world.step(Elapsed())
        assert len(one.take()) == 1
        assert len(one.echo()) == 1
        world.pass_time(61.0, two, one)
        world.pass_time(H)
        one.take()
        assert one.echo() == []

    def test_a_stock_cluster_is_answered_at_once(self) -> None:
        _, one, _ = self.whole(STOCK)
        assert len(one.echo()) == 1


class TestANodeThatIsConnectedTwice:
    def test_the_second_is_refused_when_the_first_answers(self) -> None:
        world = World(SAFE)
        world.settled(1, 2)
        second = world.connect()
        second.preinit()
        assert code_of(second.init(1)) == ReplyCode.DUPLICATE_NODE_ID
        assert world.votes() == {1: ACK, 2: ACK}

    def test_the_second_takes_over_when_the_first_does_not(self) -> None:
        world = World(SAFE)
        first, _ = world.settled(1, 2)
        first.answers = False
        second = world.connect()
        second.preinit()
        assert second.init(1) == []
        world.pass_time(1.01)
        assert first.closed is not None
        assert code_of(second.take()) == ReplyCode.NO_ERROR
        second.config(1, 2)
        second.membership(ring(1, 10), 1, 2)
        assert world.votes() == {1: ACK, 2: ACK}

    def test_the_second_takes_over_when_the_first_goes_meanwhile(self) -> None:
        world = World(SAFE)
        first, _ = world.settled(1, 2)
        first.answers = False
        second = world.connect()
        second.preinit()
        second.init(1, ring_id=ring(1, 10))
        first.leave(Ending.CLOSED)
        assert code_of(second.take()) == ReplyCode.NO_ERROR

    def test_a_third_is_refused_while_the_second_waits(self) -> None:
        world = World(SAFE)
        first, _ = world.settled(1, 2)
        first.answers = False
        second, third = world.connect(), world.connect()
        for client in (second, third):
            client.preinit()
        assert second.init(1) == []
        assert code_of(third.init(1)) == ReplyCode.DUPLICATE_NODE_ID

    def test_a_second_that_goes_leaves_the_first_alone(self) -> None:
        world = World(SAFE)
        first, _ = world.settled(1, 2)
        first.answers = False
        second = world.connect()
        second.preinit()
        second.init(1)
        second.leave()
        world.pass_time(2.0)
        assert first.closed is None
        third = world.connect()
        third.preinit()
        third.init(1)
        world.pass_time(2.0)
        assert first.closed is not None

    def test_nothing_but_its_end_is_expected_of_one_that_waits(self) -> None:
        world = World(SAFE)
        first, _ = world.settled(1, 2)
        first.answers = False
        second = world.connect()
        second.preinit()
        second.init(1)
        (error,) = second.config(1, 2)
        assert getattr(error, "error_code", None) == ReplyCode.UNEXPECTED_MESSAGE


class TestTheOperatorsWord:
    def test_releases_a_node_whose_connection_is_there_still_and_that_does_not_answer(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.answers = False
        one.membership(ring(1, 14), 1)
        world.pass_time(1.5)
        assert world.votes()[1] is not ACK
        world.step(Release(C, frozenset({NodeId(2)})))
        assert world.votes()[1] is ACK

    def test_releases_a_lost_node(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.leave(Ending.CLOSED)
        one.membership(ring(1, 14), 1)
        world.step(Release(C, frozenset({NodeId(2)})))
        assert world.votes() == {1: ACK}
        assert any("operator" in text for text in world.said(NoteKind.RELEASED))

    def test_does_not_touch_one_that_is_connected(self) -> None:
        world, _, _ = split()
        world.step(Release(C, frozenset({NodeId(1), NodeId(2)})))
        assert world.votes() == {1: WAITS, 2: NACK}
        assert world.holders() == [1, 2]

    def test_releases_nodes_of_a_cluster_of_which_nobody_is_connected(self) -> None:
        world = World(SAFE)
        for client in world.settled(1, 2):
            client.leave(Ending.CLOSED)
        world.step(Release(C, frozenset({NodeId(2)})))
        assert world.arbiter.remembered(C) == (1,)
        kept = world.ledger[C]
        assert kept is not None
        assert [holder.node_id for holder in kept.holders] == [1]
        one = world.join(1, 1, 2)
        one.membership(ring(1, 14), 1)
        assert world.votes() == {1: ACK}

    def test_means_nothing_for_a_cluster_that_is_not_known(self) -> None:
        world = World(SAFE)
        world.step(Release(ClusterName(b"nobody"), frozenset({NodeId(2)})))
        assert world.persists == []


class TestAPolicyThatChanges:
    def test_under_stock_nobody_is_waited_for(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        world.step(Reconfigure(STOCK))
        two.leave(Ending.CLOSED)
        one.membership(ring(1, 14), 1)
        assert world.votes() == {1: ACK}

    def test_from_stock_to_safe_whoever_has_the_vote_is_waited_for(self) -> None:
        world = World(STOCK)
        one, two = world.settled(1, 2)
        world.step(Reconfigure(SAFE))
        assert world.votes() == {1: ACK, 2: ACK}
        assert world.holders() == [1, 2]
        assert world.ledger[C] == record(1, 2)
        two.leave(Ending.CLOSED)
        one.membership(ring(1, 14), 1)
        assert world.votes() == {1: WAITS}

    def test_from_stock_to_safe_so_is_who_was_lost_a_moment_ago(self) -> None:
        world = World(STOCK)
        one, two = world.settled(1, 2)
        two.leave(Ending.CLOSED)
        world.step(Reconfigure(SAFE))
        one.membership(ring(1, 14), 1)
        assert world.votes() == {1: WAITS}

    def test_from_stock_to_safe_the_vote_stays_where_it_is(self) -> None:
        """Node 1 is the tie-breaker, but a newcomer beside node 2."""
        world = World(STOCK)
        two = world.join(2, 1, 2, algorithm=Algorithm.LMS)
        two.membership(ring(2, 10), 2)
        one = world.join(1, 1, 2, algorithm=Algorithm.LMS)
        one.membership(ring(1, 4), 1)
        before = world.votes()
        world.step(Reconfigure(SAFE))
        world.pass_time(3.0, one, two)
        assert world.votes() == before == {1: NACK, 2: ACK}

    def test_what_was_asked_under_safe_and_answered_under_stock_is_answered(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.answers = False
        for client in (one, two):
            client.membership(ring(1, 14), 1, 2)
        asked = two.unanswered()
        world.step(Reconfigure(STOCK))
        two.answer(*asked)
        world.step(Reconfigure(SAFE))
        world.pass_time(3.0)
        one.membership(ring(1, 18), 1)
        assert len(two.unanswered()) == 1, "it is asked again"

    def test_from_safe_to_fast_ends_a_wait(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.leave(Ending.CLOSED)
        one.membership(ring(1, 14), 1)
        assert world.votes() == {1: WAITS}
        world.step(Reconfigure(FAST))
        assert world.votes() == {1: ACK}

    def test_from_safe_to_stock_ends_a_wait_at_the_next_change(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        two.leave(Ending.CLOSED)
        one.membership(ring(1, 14), 1)
        world.step(Reconfigure(STOCK))
        one.membership(ring(1, 18), 1)
        assert world.votes() == {1: ACK}

    def test_there_and_back_again(self) -> None:
        world = World(SAFE)
        one, two = world.settled(1, 2)
        for settings in (STOCK, FAST, SAFE, STOCK, SAFE):
            world.step(Reconfigure(settings))
            for client in (one, two):
                client.membership(ring(1, 14), 1, 2)
            assert world.votes() == {1: ACK, 2: ACK}


def test_what_is_forgotten_of_too_many_clusters_is_unknown_again() -> None:
    world = World(settings_with(SAFE, clusters=1))
    one, two = world.settled(1, 2)
    for client in (one, two):
        client.leave(Ending.CLOSED)
    other = world.join(1, 1, cluster=b"d")
    other.membership(ring(1, 4), 1)
    other.leave(Ending.CLOSED)
    assert world.arbiter.remembered(C) == ()
    assert world.arbiter.remembered(ClusterName(b"d")) == (1,)
    one = world.join(1, 1, 2)
    one.membership(ring(1, 14), 1)
    world.pass_time(29.0, one)
    assert world.votes() == {1: WAITS}  # Corosync waits so long for a daemon that was killed
    assert "node 2" in world.snapshot().waiting
    world.pass_time(4.0 + 7.5, one)  # and node 2 may notice later that node 1 has left it
    assert world.votes() == {1: ACK}
