"""Whatever an arbitrator sends, a node's session neither fails nor speaks after its end."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from thirdvote.domain import Algorithm, ClusterName, Heuristics, NodeId, NodeInfo, RingId, TieBreaker, TieBreakerMode, TlsSupport, Vote
from thirdvote.session.node import Close, Identity, NodeSession, Output, Send, Standing
from thirdvote.session.node_rules import Follows, State
from thirdvote.wire.codec import encode
from thirdvote.wire.messages import InitReply, MessageType, OptionType, PreinitReply

RING = RingId(NodeId(1), 9)
NODES = (NodeInfo(NodeId(1)), NodeInfo(NodeId(2)))

ACCEPTED = InitReply(0, tuple(range(18)), tuple(range(24)), 2, 32_768, 32_768, (0, 1, 2, 3))
BOOT = encode(PreinitReply(1, TlsSupport.UNSUPPORTED, True)), encode(ACCEPTED)

values = st.one_of(st.binary(max_size=14), st.sampled_from([b"\0\0\0\1", b"\0\0\0\2", b"\1", b"\2", b"\0\0\0\1" + bytes(7) + b"\x09"]))
options = st.tuples(st.sampled_from([int(number) for number in OptionType] + [99]), values).map(
    lambda option: struct.pack(">HH", option[0], len(option[1])) + option[1]
)
bodies = st.lists(options, max_size=6).map(b"".join)
messages = st.tuples(st.sampled_from([int(kind) for kind in MessageType] + [18]), bodies).map(
    lambda message: struct.pack(">HI", message[0], len(message[1])) + message[1]
)
pieces = st.lists(st.one_of(messages, st.binary(max_size=40)), max_size=12)

algorithms = st.sampled_from(list(Algorithm))


def session(algorithm: Algorithm, steps: int) -> NodeSession:
    """After that many of the arbitrator's regular answers."""
    identity = Identity(ClusterName(b"c"), NodeId(1), algorithm, TieBreaker(TieBreakerMode.LOWEST))
    made = NodeSession(identity, Standing(RING, NODES, NODES, NODES, quorate=True), 0.0)
    made.start()
    for answer in BOOT[:steps]:
        made.receive(answer, 0.0)
    made.introduce()
    return made


def speak(node: NodeSession, now: float) -> list[Output]:
    """Everything that a node may have to say or do."""
    return [
        *node.membership_changed(RING, NODES, Heuristics.PASS),
        *node.config_changed(NODES, 2),
        *node.quorum_changed(NODES, True),
        *node.heuristics_changed(Heuristics.FAIL),
        *node.echo(now),
        *node.elapsed(now),
        *node.introduce(),
        *node.secured(),
    ]


@given(algorithms, st.integers(0, 2), pieces)
def test_any_bytes(algorithm: Algorithm, steps: int, data: list[bytes]) -> None:
    node = session(algorithm, steps)
    outputs: list[Output] = []
    for now, piece in enumerate(data):
        outputs += node.receive(piece, float(now))
    ends = [output for output in outputs if isinstance(output, Close)]
    assert len(ends) == (1 if node.state is State.CLOSED else 0)
    if ends:
        assert outputs[-1] is ends[0]
        assert node.deadline() is None
        assert speak(node, 1e6) == []
        assert algorithm is not Algorithm.LMS or ends[0].follows is Follows.RECONNECT


@given(st.integers(0, 2), pieces)
def test_a_vote_counts_only_for_the_ring_that_was_sent(steps: int, data: list[bytes]) -> None:
    node = session(Algorithm.FFSPLIT, steps)
    for piece in data:
        before = node.vote
        counted = [output for output in node.receive(piece, 0.0) if getattr(output, "counts", False)]
        assert all(output.ring_id == RING for output in counted)  # type: ignore[union-attr]
        assert counted or node.vote is before


@given(st.integers(0, 2), messages)
def test_each_answer_is_a_whole_message(steps: int, data: bytes) -> None:
    node = session(Algorithm.FFSPLIT, steps)
    for output in node.receive(data, 0.0):
        if isinstance(output, Send):
            _, length = struct.unpack_from(">HI", output.data)
            assert len(output.data) == 6 + length


@given(messages)
def test_only_the_arbitrators_word_gives_the_vote(data: bytes) -> None:
    node = session(Algorithm.FFSPLIT, 2)
    speak(node, 100.0)
    node.receive(data, 0.0)
    assert node.vote is not Vote.ACK or bytes((0, OptionType.VOTE, 0, 1, Vote.ACK)) in data
