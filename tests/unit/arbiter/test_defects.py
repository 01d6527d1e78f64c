"""Defects of the stock server (docs/differences.md) that only a whole arbiter shows to be absent."""

from __future__ import annotations

import tracemalloc

import pytest

from tests.world import World, ring, settings_with
from thirdvote.domain import Algorithm, ClusterName, Heuristics, Vote
from thirdvote.errors import ReplyCode
from thirdvote.wire.codec import encode
from thirdvote.wire.messages import InitReply, NodeListReply, Preinit, ServerError, SetOption, VoteInfo

BIG_NAME = b"x" * 30_000


def test_a_connection_is_in_one_cluster_and_leaves_nothing_behind() -> None:
    """S4: the stock server puts it into two, and keeps a freed object in the first when it goes."""
    world = World()
    client = world.join(1, 1, 2, cluster=b"first")
    client.cluster = b"second"
    assert [type(message) for message in client.preinit()] == [ServerError]
    (answer,) = client.init(1)
    assert isinstance(answer, InitReply)
    assert answer.error_code == ReplyCode.DUPLICATE_NODE_ID
    assert world.arbiter.cluster_names() == (b"first",)
    client.leave()
    assert world.arbiter.cluster_names() == ()
    assert world.join(1, 1, 2, cluster=b"first").closed is None


def test_names_that_are_sent_again_and_again_are_not_kept() -> None:
    """S6: the stock server never frees the one before."""
    world = World()
    client = world.connect()
    tracemalloc.start()
    try:
        for number in range(500):
            client.send(Preinit(number, ClusterName(b"%d" % number + BIG_NAME)))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 20 * len(BIG_NAME)


def test_messages_that_can_not_be_read_are_not_kept() -> None:
    """S6, for a message that has a name and then something wrong."""
    world = World()
    client = world.connect()
    good = encode(Preinit(1, ClusterName(BIG_NAME)))
    bad = good[:2] + (len(good) - 6 + 2).to_bytes(4, "big") + good[6:] + b"\0\0"
    tracemalloc.start()
    try:
        for _ in range(500):
            (answer,) = client.send_bytes(bad)
            assert answer == ServerError(1, ReplyCode.UNDECODABLE)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 20 * len(BIG_NAME)


def test_a_node_that_is_told_twice_counts_once_under_ffsplit() -> None:
    """S21: the stock server counts entries, so 1 and 1 again are two of three."""
    world = World()
    client = world.join(1, 1, 2, 3)
    client.membership(ring(1, 10), 1, 1)
    assert world.votes() == {1: Vote.NACK}


def test_a_node_that_is_told_twice_counts_once_under_2nodelms() -> None:
    """S21: the stock server takes 1 and 1 again for both nodes, in the configuration and in the membership."""
    world = World()
    first, second = (world.join(number, 1, 2, algorithm=Algorithm.TWO_NODE_LMS) for number in (1, 2))
    (answer,) = first.config(1, 1)
    assert isinstance(answer, ServerError)
    assert answer.error_code == ReplyCode.UNSUPPORTED_ALGORITHM
    first.membership(ring(1, 10), 1)
    second.membership(ring(2, 10), 2, 2)
    assert world.votes() == {1: Vote.ACK, 2: Vote.NACK}


@pytest.mark.parametrize("coefficient", [1.0, 150.0, 1_000.0])
def test_any_dead_peer_coefficient_that_is_allowed_works(coefficient: float) -> None:
    """S25: above 150 the stock server closes every connection at once."""
    world = World(settings_with(dead_peer_coefficient=coefficient))
    client = world.join(1, 1, 2)
    world.pass_time(7.9)
    assert client.closed is None
    world.pass_time(8.0 * coefficient)
    assert client.closed is not None


def test_lms_needs_no_timer_however_short_the_heartbeat() -> None:
    """S42: below 4 ms the stock server's timer is never armed, and who was told to wait waits for good."""
    world = World(settings_with(heartbeat_ms_min=1, dead_peer_enabled=False))
    first, second = world.whole(1, 2, algorithm=Algorithm.LMS)
    for client in (first, second):
        client.send(SetOption(client.next_number(), 1))
    first.membership(ring(1, 14), 1)
    assert first.effective is Vote.WAIT_FOR_REPLY
    second.membership(ring(2, 14), 2)
    assert world.votes() == {1: Vote.ACK, 2: Vote.NACK}


def test_lms_judges_a_list_with_what_is_in_it() -> None:
    """S18: the stock server judges by the list before, and tells both to wait for a quarter of a heartbeat."""
    world = World()
    first, second = world.whole(1, 2, algorithm=Algorithm.LMS)
    first.membership(ring(1, 14), 1)
    (told,) = [message for message in second.membership(ring(2, 14), 2) if isinstance(message, NodeListReply)]
    assert told.vote is Vote.NACK
    assert [message.vote for message in first.take() if isinstance(message, VoteInfo)] == [Vote.ACK]


def test_heuristics_count_at_once_in_the_eyes_of_the_whole_partition() -> None:
    """L1: under ffsplit the stock server's other nodes of the same partition judge it by the heuristics before."""
    world = World()
    clients = world.whole(1, 2, 3, 4)
    for client, members in zip(clients, ((1, 2), (1, 2), (3, 4), (3, 4)), strict=True):
        client.membership(ring(members[0], 14), *members, heuristics=Heuristics.PASS)
    assert world.votes() == {1: Vote.ACK, 2: Vote.ACK, 3: Vote.NACK, 4: Vote.NACK}
    clients[0].heuristics(Heuristics.FAIL)
    assert world.votes() == {1: Vote.NACK, 2: Vote.NACK, 3: Vote.ACK, 4: Vote.ACK}
