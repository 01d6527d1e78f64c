"""The arbiter as nodes and the server's shell see it. What the algorithms decide is `decide`'s matter and tested there."""

from __future__ import annotations

import pytest

from tests.world import HIGHEST, PLAIN, World, infos, ring, settings_with
from thirdvote.arbiter.interface import (
    Close,
    Connected,
    Disconnected,
    Elapsed,
    Ending,
    Level,
    NoteKind,
    Received,
    Reconfigure,
    Send,
    Stopping,
)
from thirdvote.config import Settings
from thirdvote.domain import Algorithm, ClusterName, NodeListType, TlsSupport, Vote
from thirdvote.errors import ReplyCode
from thirdvote.wire.codec import encode
from thirdvote.wire.messages import InitReply, NodeList, NodeListReply, Preinit, ServerError, VoteInfo, VoteInfoReply


def code_of(messages: list[object]) -> int | None:
    (message,) = messages
    assert isinstance(message, InitReply | ServerError)
    return message.error_code


class TestJoining:
    def test_a_second_node_with_the_same_id_is_refused_and_the_first_keeps_its_vote(self) -> None:
        world = World()
        first, _ = world.whole(1, 2)
        intruder = world.connect()
        intruder.preinit()
        assert code_of(list(intruder.init(1))) == ReplyCode.DUPLICATE_NODE_ID
        intruder.leave()
        assert world.votes() == {1: Vote.ACK, 2: Vote.ACK}
        assert first.echo()

    def test_a_node_that_was_refused_may_try_again(self) -> None:
        world = World()
        first, _ = world.whole(1, 2)
        second = world.connect()
        second.preinit()
        assert code_of(list(second.init(1))) == ReplyCode.DUPLICATE_NODE_ID
        first.leave()
        assert code_of(list(second.init(1))) == ReplyCode.NO_ERROR

    def test_tie_breaker_is_compared_before_algorithm_before_node_id(self) -> None:
        world = World()
        world.whole(1, 2)
        client = world.connect()
        client.preinit()
        assert code_of(list(client.init(1, Algorithm.LMS, HIGHEST))) == ReplyCode.TIE_BREAKER_DIFFERS
        assert code_of(list(client.init(1, Algorithm.LMS))) == ReplyCode.ALGORITHM_DIFFERS

    def test_clusters_are_told_apart_by_the_very_bytes_of_their_names(self) -> None:
        world = World()
        for name in (b"clusterA", b"CLUSTERA", b"clusterA\0x", b""):
            client = world.connect(name)
            client.preinit()
            assert code_of(list(client.init(1))) == ReplyCode.NO_ERROR
        assert world.arbiter.counts() == (4, 4)

    def test_the_test_algorithm_needs_the_operators_consent(self) -> None:
        refusing, willing = World(), World(Settings(tls=TlsSupport.UNSUPPORTED, test_algorithm=True))
        for world, code in ((refusing, ReplyCode.UNSUPPORTED_ALGORITHM), (willing, ReplyCode.NO_ERROR)):
            client = world.connect()
            client.preinit()
            assert code_of(list(client.init(1, Algorithm.TEST))) == code

    def test_nodes_and_clusters_are_bounded(self) -> None:
        world = World(settings_with(nodes_per_cluster=2, clusters=1))
        world.join(1)
        world.join(2)
        for cluster in (b"c", b"another"):
            client = world.connect(cluster)
            client.preinit()
            assert code_of(list(client.init(3))) == ReplyCode.INTERNAL_ERROR
        assert world.arbiter.counts()[1] == 1


class TestTime:
    def test_who_does_not_join_in_time_is_closed(self) -> None:
        world = World()
        client = world.connect()
        client.preinit()
        world.pass_time(PLAIN.limits.before_init_s - 0.1)
        assert client.closed is None
        world.pass_time(0.2)
        assert client.closed is not None
        assert "introduction" in client.closed

    def test_talking_does_not_put_off_that_deadline(self) -> None:
        world = World()
        client = world.connect()
        for _ in range(11):
            client.preinit()
            world.pass_time(1.0)
        assert client.closed is not None

    def test_a_silent_node_is_given_up_after_one_and_a_half_heartbeats(self) -> None:
        world = World()
        first, second = world.whole(1, 2)
        world.pass_time(8.0)
        first.echo()
        world.pass_time(3.9)
        assert second.closed is None
        world.pass_time(0.2)
        assert second.closed is not None
        assert "silent for 12.0 s" in second.closed
        assert first.closed is None

    @pytest.mark.parametrize("data", [b"\x00\x08\x00\x00\x00\x00", b"\x00\x63\x00\x00\x00\x01x"], ids=["undecodable", "unknown type"])
    def test_what_can_not_be_read_is_no_sign_of_life(self, data: bytes) -> None:
        world = World()
        first, second = world.whole(1, 2)
        for _ in range(12):
            first.echo()
            second.send_bytes(data)
            world.pass_time(1.01)
        assert second.closed is not None
        assert first.closed is None

    def test_a_shorter_heartbeat_counts_at_once(self) -> None:
        world = World()
        client, _ = world.whole(1, 2)
        client.send(NodeList(1, NodeListType.QUORUM, quorate=True))
        from thirdvote.wire.messages import SetOption

        client.send(SetOption(9, 1000, None))
        world.pass_time(1.6)
        assert client.closed is not None

    def test_without_dead_peer_detection_nobody_who_joined_is_given_up(self) -> None:
        world = World(settings_with(dead_peer_enabled=False))
        client, _ = world.whole(1, 2)
        world.pass_time(100_000)
        assert client.closed is None

    def test_no_connections_no_deadline(self) -> None:
        world = World()
        world.connect().leave()
        assert world.arbiter.deadline() is None

    def test_an_idle_cluster_is_looked_at_once_a_dead_peer_interval(self) -> None:
        """Each echo moves the deadline; the arbiter must not ask to be woken for each."""
        world = World()
        client, _ = world.whole(1, 2)
        before = world.arbiter.deadline()
        world.now += 1
        client.echo()
        assert world.arbiter.deadline() == before


class TestLeaving:
    def test_the_survivor_gets_the_vote_when_the_other_one_goes(self) -> None:
        world = World()
        first, second = world.whole(1, 2)
        (reply,) = second.membership(ring(2, 14), 2)
        assert isinstance(reply, NodeListReply)
        assert reply.vote is Vote.WAIT_FOR_REPLY
        first.leave()
        assert [message.vote for message in second.take() if isinstance(message, VoteInfo)] == [Vote.ACK]

    def test_an_empty_cluster_is_forgotten(self) -> None:
        world = World()
        for client in world.whole(1, 2):
            client.leave()
        assert world.arbiter.counts() == (0, 0)

    def test_leaving_before_any_list_was_sent_harms_nobody(self) -> None:
        """The stock server dies of it (S3)."""
        world = World()
        first = world.join(1, 1, 2)
        second = world.join(2)
        first.leave()
        assert second.echo()
        assert world.votes()[2] is not Vote.ACK

    def test_stopping_moves_no_vote(self) -> None:
        world = World()
        world.whole(1, 2)
        effects = world.arbiter.step(Stopping(), world.now)
        assert {type(effect) for effect in effects} == {Close}
        assert world.arbiter.counts() == (0, 0)

    def test_what_comes_after_the_end_is_ignored(self) -> None:
        world = World()
        client = world.connect()
        client.leave()
        for event in (Received(client.connection, b"x"), Disconnected(client.connection, Ending.LOST, "again"), Elapsed()):
            assert world.arbiter.step(event, world.now) == []


class TestOrder:
    def test_vote_info_goes_before_the_reply_to_the_message_that_caused_it(self) -> None:
        world = World()
        first, second = world.join(1, 1, 2), world.join(2, 1, 2)
        first.membership(ring(1, 10), 1, 2)
        first.take()
        heard = second.membership(ring(1, 10), 1, 2)
        assert [type(message) for message in heard] == [VoteInfo, NodeListReply]

    def test_losers_are_told_first_and_winners_only_after_their_answer(self) -> None:
        world = World()
        first, second = world.whole(1, 2)
        second.answers = False
        first.membership(ring(1, 14), 1)
        second.membership(ring(2, 14), 2)
        assert [message for message in first.take() if isinstance(message, VoteInfo)] == []
        assert "as soon as node 2 has answered" in world.arbiter.snapshot(world.now).clusters[0].nodes[0].because
        second.send(VoteInfoReply(second_number(second.connection, world)))
        assert [message.vote for message in first.take() if isinstance(message, VoteInfo)] == [Vote.ACK]

    def test_a_late_answer_does_not_stand_for_a_vote_that_was_not_sent_yet(self) -> None:
        """The stock server takes the answer to an old VOTE_INFO for one to the pending ACK, which then never leaves (S12)."""
        world = World()
        first, second = world.whole(1, 2)
        first.answers = second.answers = False
        first.membership(ring(1, 14), 1)
        second.membership(ring(2, 14), 2)
        old = second_number(first.connection, world)
        first.send(VoteInfoReply(old))
        second.send(VoteInfoReply(second_number(second.connection, world)))
        assert [message.vote for message in first.take() if isinstance(message, VoteInfo)] == [Vote.ACK]

    def test_requests_in_one_packet_are_answered_in_order(self) -> None:
        world = World()
        client = world.connect()
        heard = client.send(
            Preinit(1, ClusterName(b"c")),
            NodeList(2, NodeListType.INITIAL_CONFIG, nodes=infos(1, 2)),
            Preinit(3, ClusterName(b"c")),
        )
        assert [message.sequence_number for message in heard] == [1, 2, 3]


class TestIsolation:
    def test_one_clusters_messages_reach_no_other(self) -> None:
        world = World()
        bystanders = [world.join(number, 1, 2, cluster=b"other") for number in (1, 2)]
        for client in bystanders:
            client.membership(ring(1, 10), 1, 2)
        for client in bystanders:
            client.take()
        one, two = world.whole(1, 2)
        one.membership(ring(1, 14), 1)
        two.leave()
        assert [client.take() for client in bystanders] == [[], []]

    def test_a_step_touches_only_the_cluster_it_is_of(self) -> None:
        """Effects for a decision in one cluster do not grow with the number of others."""
        world = World()
        for number in range(50):
            world.join(1, 1, 2, cluster=b"%d" % number)
        client, _ = world.whole(1, 2)
        message = NodeList(9, NodeListType.MEMBERSHIP, ring_id=ring(1, 11), nodes=infos(1))
        effects = world.arbiter.step(Received(client.connection, encode(message)), world.now)
        assert {effect.connection for effect in effects if isinstance(effect, Send)} == {client.connection}


class TestViews:
    def test_snapshot_tells_who_has_the_vote_and_why(self) -> None:
        world = World()
        first, second = world.whole(1, 2)
        first.membership(ring(1, 14), 1)
        second.membership(ring(2, 14), 2)
        (cluster,) = world.arbiter.snapshot(world.now).clusters
        assert [(node.has_vote, node.because) for node in cluster.nodes] == [
            (True, "its half has node 1, the tie-breaker"),
            (False, "the other half has node 1, the tie-breaker"),
        ]
        assert cluster.summary == "node 1 has the vote"

    def test_missing_nodes_are_named(self) -> None:
        world = World()
        world.whole(1, 2)[1].leave()
        (cluster,) = world.arbiter.snapshot(world.now).clusters
        assert cluster.missing == (2,)
        assert "not connected: node 2" in cluster.summary

    def test_clusters_come_in_the_order_of_their_creation(self) -> None:
        world = World()
        for name in (b"z", b"a", b"m"):
            world.join(1, cluster=name)
        assert world.arbiter.cluster_names() == (b"z", b"a", b"m")
        assert world.arbiter.cluster_snapshot(ClusterName(b"nobody"), world.now) is None

    def test_repeated_votes_are_noted_once(self) -> None:
        world = World()
        first, _ = world.whole(1, 2)
        world.notes.clear()
        first.membership(ring(1, 10), 1, 2)
        assert [note for note in world.notes if note.kind is NoteKind.VOTE_SENT] == []

    def test_every_note_of_a_joined_node_names_cluster_and_node(self) -> None:
        world = World()
        first, _ = world.whole(1, 2)
        world.notes.clear()
        first.membership(ring(1, 14), 1)
        first.leave()
        notes = [note for note in world.notes if note.level >= Level.INFO]
        assert notes
        assert all(note.cluster == b"c" and note.node is not None for note in notes)

    def test_a_cluster_with_an_empty_name_is_one_like_others(self) -> None:
        world = World()
        world.connect(b"").send(Preinit(1))
        assert world.notes[-1].cluster is None
        world.join(1, cluster=b"")
        assert world.notes[-1].cluster == b""

    def test_new_settings_are_for_what_happens_next(self) -> None:
        world = World()
        world.step(Reconfigure(settings_with(before_init_s=1.0)))
        client = world.connect()
        world.pass_time(1.1)
        assert client.closed is not None


def second_number(connection: int, world: World) -> int:
    """The number of the last VOTE_INFO to this connection's node."""
    node = world.arbiter._peers[connection].node
    assert node is not None
    return node.vote_info_number


def test_connected_twice_is_two_connections() -> None:
    world = World()
    world.arbiter.step(Connected(1, "a"), 0.0)
    world.arbiter.step(Connected(2, "a"), 0.0)
    assert world.arbiter.counts() == (2, 0)
