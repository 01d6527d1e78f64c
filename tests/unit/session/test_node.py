from __future__ import annotations

from dataclasses import replace

import pytest

from tests.vectors.reader import message_vectors
from thirdvote.domain import (
    Algorithm,
    ClusterName,
    Heuristics,
    NodeId,
    NodeInfo,
    NodeListType,
    NodeState,
    RingId,
    TieBreaker,
    TieBreakerMode,
    TlsSupport,
    Vote,
)
from thirdvote.session.node import BeginTls, Close, Connected, EchoAnswered, Identity, NodeSession, Output, Send, Standing, VoteReceived
from thirdvote.session.node_rules import REACTIONS, Cause, Follows, State, TlsWish
from thirdvote.wire.codec import decode, encode
from thirdvote.wire.framing import Frame, FrameReader
from thirdvote.wire.messages import (
    AskForVote,
    AskForVoteReply,
    EchoReply,
    EchoRequest,
    HeuristicsChange,
    HeuristicsChangeReply,
    Init,
    InitReply,
    Message,
    MessageType,
    NodeList,
    NodeListReply,
    Preinit,
    PreinitReply,
    ServerError,
    SetOption,
    SetOptionReply,
    StartTls,
    VoteInfo,
    VoteInfoReply,
)

RING = RingId(NodeId(1), 9)
OTHER_RING = RingId(NodeId(1), 13)
NODES = (NodeInfo(NodeId(1)), NodeInfo(NodeId(2)))
QUORUM = (NodeInfo(NodeId(2), state=NodeState.MEMBER), NodeInfo(NodeId(1), state=NodeState.MEMBER))
IDENTITY = Identity(ClusterName(b"TestCluster"), NodeId(1), Algorithm.FFSPLIT, TieBreaker(TieBreakerMode.LOWEST))
STANDING = Standing(RING, NODES, NODES, QUORUM, quorate=True, config_version=1)
NUMBER_1 = b"\0\0\0\4\0\0\0\1"

ACCEPTED = InitReply(
    error_code=0,
    supported_messages=tuple(range(18)),
    supported_options=tuple(range(24)),
    sequence_number=2,
    maximum_request_size=32_768,
    maximum_reply_size=32_768,
    supported_algorithms=(0, 1, 2, 3),
)


def hear(session: NodeSession, *messages: Message, now: float = 0.0) -> list[Output]:
    return session.receive(b"".join(encode(message) for message in messages), now)


def message_in(data: bytes) -> Message:
    reader = FrameReader(len(data))
    reader.feed(data)
    frame = reader.next()
    assert isinstance(frame, Frame)
    assert reader.take_rest() == b""
    return decode(frame.type, frame.body)


def sent(outputs: list[Output]) -> list[Message]:
    """Only what is sent; the outputs must hold nothing else."""
    assert all(isinstance(output, Send) for output in outputs), outputs
    return [message_in(output.data) for output in outputs if isinstance(output, Send)]


def end(outputs: list[Output]) -> Close:
    assert len(outputs) == 1
    assert isinstance(outputs[0], Close)
    return outputs[0]


def preinit_reply(tls: TlsSupport = TlsSupport.UNSUPPORTED) -> PreinitReply:
    return PreinitReply(1, tls, True)


def session_in(state: State, identity: Identity = IDENTITY, standing: Standing = STANDING) -> NodeSession:
    """At time 0, with nothing unanswered but one echo, where there are echoes."""
    session = NodeSession(identity, standing, connecting_since=0.0)
    session.start()
    if state is State.CLOSED:
        session.lost(Cause.END_OF_STREAM, "test")
    elif state is State.HANDSHAKE:
        hear(session, preinit_reply(TlsSupport.SUPPORTED))
    elif state is not State.PREINIT_SENT:
        hear(session, preinit_reply())
        if state is not State.INIT_SENT:
            hear(session, ACCEPTED)
            session.echo(0.0)
        if state is State.RUNNING:
            session.introduce()
    assert session.state is state
    return session


# ---- the table, exhaustively

WELL_FORMED: dict[MessageType, Message] = {
    message.type: message
    for message in (
        Preinit(1, ClusterName(b"c")),
        preinit_reply(),
        StartTls(1),
        Init(1),
        ACCEPTED,
        ServerError(1, 9),
        SetOption(1),
        SetOptionReply(1),
        EchoRequest(NUMBER_1),
        EchoReply(NUMBER_1),
        NodeList(1, NodeListType.QUORUM, quorate=True),
        NodeListReply(1, NodeListType.MEMBERSHIP, RING, Vote.ACK),
        AskForVote(1),
        AskForVoteReply(1, Vote.ACK, RING),
        VoteInfo(1, Vote.ACK, RING),
        VoteInfoReply(1),
        HeuristicsChange(1, Heuristics.PASS),
        HeuristicsChangeReply(1, Vote.ACK, RING, Heuristics.PASS),
    )
}
SILENT = (State.HANDSHAKE, State.CLOSED)


@pytest.mark.parametrize("state", [state for state in State if state not in SILENT])
@pytest.mark.parametrize("kind", list(MessageType))
def test_every_state_with_every_message(state: State, kind: MessageType) -> None:
    outputs = hear(session_in(state), WELL_FORMED[kind])
    causes = [output.cause for output in outputs if isinstance(output, Close)]
    if kind not in REACTIONS[state]:
        assert causes == [Cause.UNEXPECTED_MESSAGE]
    elif kind is MessageType.SERVER_ERROR:
        assert causes == [Cause.SERVER_ERROR]
    else:
        assert causes == []


@pytest.mark.parametrize("state", SILENT)
@pytest.mark.parametrize("kind", list(MessageType))
def test_nothing_is_read_during_the_handshake_nor_after_the_end(state: State, kind: MessageType) -> None:
    session = session_in(state)
    assert hear(session, WELL_FORMED[kind]) == []
    assert session.state is state


@pytest.mark.parametrize("state", list(State))
def test_no_message_is_sent_after_the_end_whatever_the_state_before(state: State) -> None:
    session = session_in(state)
    session.lost(Cause.END_OF_STREAM, "gone")
    assert session.state is State.CLOSED
    assert session.deadline() is None
    for outputs in (
        session.start(),
        session.secured(),
        session.introduce(),
        session.elapsed(1e9),
        session.echo(0.0),
        session.lost(Cause.TLS_FAILED, "again"),
        session.membership_changed(OTHER_RING, NODES, Heuristics.PASS),
        session.config_changed(NODES, 2),
        session.quorum_changed(QUORUM, True),
        session.heuristics_changed(Heuristics.FAIL),
    ):
        assert outputs == []


# ---- connecting


BOOT = [vector for vector in message_vectors() if "-boot-" in vector.name]


def captured(message: str, number: int = 0) -> bytes:
    """The `number`th of that kind in the stock programs' first conversation."""
    return [vector.data for vector in BOOT if vector.message == message][number]


def test_a_plain_boot_is_the_stock_clients_byte_for_byte() -> None:
    session = NodeSession(IDENTITY, STANDING, 0.0)
    assert session.start() == [Send(captured("PREINIT"))]
    assert session.receive(captured("PREINIT_REPLY"), 0.0) == [Send(captured("INIT"))]
    assert session.receive(captured("INIT_REPLY"), 0.0) == [Connected(False, True, 32_768, 32_768, True)]
    lists = [Send(captured("NODE_LIST", number)) for number in range(3)]
    assert session.introduce() == [Send(captured("SET_OPTION")), *lists]
    assert session.receive(captured("SET_OPTION_REPLY"), 0.0) == []
    assert session.receive(captured("VOTE_INFO"), 0.0)[1:] == [Send(captured("VOTE_INFO_REPLY"))]
    for number in range(4):
        assert session.elapsed(8.0 + 8.0 * number) == [Send(captured("ECHO_REQUEST", number))]
        assert isinstance(session.receive(captured("ECHO_REPLY", number), 0.0)[0], EchoAnswered)
    assert session.vote is Vote.ACK


def test_tls_takes_the_next_number_and_what_came_early() -> None:
    session = NodeSession(IDENTITY, STANDING, 0.0)
    session.start()
    outputs = session.receive(encode(preinit_reply(TlsSupport.REQUIRED)) + b"\x16\x03", 0.0)
    (starttls,) = [vector.data for vector in message_vectors() if vector.message == "STARTTLS" and "-tls-" in vector.name]
    assert outputs == [Send(starttls), BeginTls(b"\x16\x03")]
    (init,) = sent(session.secured())
    assert isinstance(init, Init)
    assert init.sequence_number == 3
    connected = hear(session, replace(ACCEPTED, sequence_number=3))[0]
    assert isinstance(connected, Connected)
    assert connected.tls


@pytest.mark.parametrize(("wish", "server"), [(TlsWish.OFF, TlsSupport.REQUIRED), (TlsWish.REQUIRED, TlsSupport.UNSUPPORTED)])
def test_wishes_about_tls_that_do_not_fit_end_the_daemon(wish: TlsWish, server: TlsSupport) -> None:
    close = end(hear(session_in(State.PREINIT_SENT, replace(IDENTITY, tls=wish)), preinit_reply(server)))
    assert (close.cause, close.follows) == (Cause.TLS_INCOMPATIBLE, Follows.EXIT)


def test_secured_means_nothing_without_a_handshake() -> None:
    assert session_in(State.RUNNING).secured() == []


def test_numbers_go_on_in_the_next_connection_and_preinit_repeats_the_last() -> None:
    first = session_in(State.RUNNING)
    assert first.last_number == 6
    second = NodeSession(IDENTITY, STANDING, 0.0, first.last_number)
    assert sent(second.start()) == [Preinit(6, IDENTITY.cluster_name)]
    (init,) = sent(hear(second, PreinitReply(6, TlsSupport.UNSUPPORTED, False)))
    assert isinstance(init, Init)
    assert init.sequence_number == 7


def test_without_option_23_there_is_no_set_option() -> None:
    session = session_in(State.INIT_SENT)
    outputs = hear(session, replace(ACCEPTED, supported_options=tuple(range(23))))
    assert isinstance(outputs[0], Connected)
    assert not outputs[0].knows_keep_active_partition
    assert [message.sequence_number for message in sent(session.introduce())] == [3, 4, 5]


def test_the_node_introduces_itself_once() -> None:
    session = session_in(State.RUNNING)
    assert session.introduce() == []


def test_what_changes_before_the_introduction_goes_into_it() -> None:
    session = session_in(State.PREINIT_SENT)
    assert session.membership_changed(OTHER_RING, NODES[:1], Heuristics.PASS) == []
    (init,) = sent(hear(session, preinit_reply()))
    assert isinstance(init, Init)
    assert init.ring_id == OTHER_RING
    hear(session, ACCEPTED)
    assert session.config_changed(NODES[:1], 7) == []
    assert session.quorum_changed(QUORUM[:1], False) == []
    assert session.heuristics_changed(Heuristics.FAIL) == []
    assert sent(session.introduce())[1:] == [
        NodeList(4, NodeListType.INITIAL_CONFIG, config_version=7, nodes=NODES[:1]),
        NodeList(5, NodeListType.MEMBERSHIP, ring_id=OTHER_RING, nodes=NODES[:1], heuristics=Heuristics.FAIL),
        NodeList(6, NodeListType.QUORUM, quorate=False, nodes=QUORUM[:1]),
    ]


@pytest.mark.parametrize(
    ("damage", "cause", "follows"),
    [
        ({"sequence_number": 9, "error_code": None}, Cause.INCOMPLETE_MESSAGE, Follows.EXIT),
        ({"sequence_number": 9, "error_code": 13}, Cause.WRONG_NUMBER, Follows.EXIT),
        ({"sequence_number": None}, Cause.INCOMPLETE_MESSAGE, Follows.EXIT),
        ({"error_code": 15, "maximum_reply_size": None}, Cause.REFUSED_FOR_NOW, Follows.RECONNECT),
        ({"error_code": 16}, Cause.REFUSED_FOR_NOW, Follows.RECONNECT),
        ({"error_code": 17}, Cause.REFUSED_FOR_NOW, Follows.RECONNECT),
        ({"error_code": 12}, Cause.REFUSED, Follows.EXIT),
        ({"error_code": 99}, Cause.REFUSED, Follows.EXIT),
        ({"maximum_request_size": None}, Cause.INCOMPLETE_MESSAGE, Follows.EXIT),
        ({"maximum_reply_size": None}, Cause.INCOMPLETE_MESSAGE, Follows.EXIT),
        ({"supported_messages": None}, Cause.INCOMPLETE_MESSAGE, Follows.EXIT),
        ({"supported_options": None}, Cause.INCOMPLETE_MESSAGE, Follows.EXIT),
        ({"supported_algorithms": None}, Cause.INCOMPLETE_MESSAGE, Follows.EXIT),
        ({"maximum_request_size": 32_767}, Cause.UNACCEPTABLE, Follows.EXIT),
        ({"maximum_reply_size": 16_777_217}, Cause.UNACCEPTABLE, Follows.EXIT),
        ({"supported_algorithms": (0, 2, 3)}, Cause.UNACCEPTABLE, Follows.EXIT),
        ({"supported_options": tuple(range(22))}, Cause.UNACCEPTABLE, Follows.EXIT),
    ],
)
def test_init_replies_that_do_not_do(damage: dict[str, object], cause: Cause, follows: Follows) -> None:
    session = session_in(State.INIT_SENT, replace(IDENTITY, uses_heuristics=True))
    close = end(hear(session, replace(ACCEPTED, **damage)))  # type: ignore[arg-type]
    assert (close.cause, close.follows) == (cause, follows)


def test_heuristics_need_not_be_known_where_none_are_used() -> None:
    assert isinstance(hear(session_in(State.INIT_SENT), replace(ACCEPTED, supported_options=(0,)))[0], Connected)


@pytest.mark.parametrize(
    "reply",
    [PreinitReply(None, TlsSupport.SUPPORTED, True), PreinitReply(1, None, True), PreinitReply(1, TlsSupport.SUPPORTED, None)],
)
def test_an_incomplete_preinit_reply_ends_the_daemon(reply: PreinitReply) -> None:
    assert end(hear(session_in(State.PREINIT_SENT), reply)).cause is Cause.INCOMPLETE_MESSAGE


def test_a_preinit_reply_to_another_request_ends_the_daemon() -> None:
    assert end(hear(session_in(State.PREINIT_SENT), PreinitReply(2, TlsSupport.SUPPORTED, True))).cause is Cause.WRONG_NUMBER


@pytest.mark.parametrize("state", [State.PREINIT_SENT, State.HANDSHAKE, State.INIT_SENT])
def test_connecting_takes_a_heartbeat_at_most(state: State) -> None:
    session = session_in(state)
    assert session.deadline() == 8.0
    assert session.elapsed(7.999) == []
    close = end(session.elapsed(8.0))
    assert (close.cause, close.follows) == (Cause.CONNECT_TIMEOUT, Follows.RECONNECT)


def test_the_time_to_connect_can_be_set() -> None:
    assert session_in(State.INIT_SENT, replace(IDENTITY, connect_timeout_ms=1_500)).deadline() == 1.5


# ---- votes


@pytest.mark.parametrize(
    "carrier",
    [
        lambda vote, ring: NodeListReply(9, NodeListType.MEMBERSHIP, ring, vote),
        lambda vote, ring: AskForVoteReply(9, vote, ring),
        lambda vote, ring: HeuristicsChangeReply(9, vote, ring, Heuristics.PASS),
        lambda vote, ring: VoteInfo(9, vote, ring),
    ],
)
@pytest.mark.parametrize("vote", list(Vote))
@pytest.mark.parametrize("ring", [RING, OTHER_RING])
def test_a_vote_counts_for_the_last_ring_that_was_sent(carrier, vote: Vote, ring: RingId) -> None:  # type: ignore[no-untyped-def]
    session = session_in(State.RUNNING)
    message = carrier(vote, ring)
    outputs = hear(session, message)
    answer = [Send(encode(VoteInfoReply(9)))] if isinstance(message, VoteInfo) else []
    assert outputs == [VoteReceived(vote, ring, ring == RING), *answer]
    assert session.vote is (vote if ring == RING and vote is not Vote.NO_CHANGE else Vote.WAIT_FOR_REPLY)


def vote_after(session: NodeSession, *messages: Message) -> Vote:
    hear(session, *messages)
    return session.vote


def test_a_new_membership_takes_the_vote_until_the_arbitrator_speaks_of_its_ring() -> None:
    session = session_in(State.RUNNING)
    assert vote_after(session, VoteInfo(1, Vote.ACK, RING)) is Vote.ACK
    message = NodeList(7, NodeListType.MEMBERSHIP, ring_id=OTHER_RING, nodes=NODES[:1], heuristics=Heuristics.FAIL)
    assert sent(session.membership_changed(OTHER_RING, NODES[:1], Heuristics.FAIL)) == [message]
    assert vote_after(session) is Vote.WAIT_FOR_REPLY
    assert vote_after(session, VoteInfo(2, Vote.ACK, RING)) is Vote.WAIT_FOR_REPLY
    assert vote_after(session, VoteInfo(3, Vote.NACK, OTHER_RING)) is Vote.NACK


@pytest.mark.parametrize("damage", ["sequence_number", "vote", "ring_id"])
def test_a_vote_info_without_one_of_its_fields_ends_the_daemon(damage: str) -> None:
    message = replace(VoteInfo(1, Vote.ACK, RING), **{damage: None})
    assert end(hear(session_in(State.RUNNING), message)).cause is Cause.INCOMPLETE_MESSAGE


# ---- what the node reports


def test_changes_are_reported_with_the_next_numbers() -> None:
    session = session_in(State.RUNNING)
    assert sent(session.config_changed(NODES[:1], None)) == [NodeList(7, NodeListType.CHANGED_CONFIG, nodes=NODES[:1])]
    assert sent(session.quorum_changed(QUORUM, False)) == [NodeList(8, NodeListType.QUORUM, quorate=False, nodes=QUORUM)]
    assert sent(session.heuristics_changed(Heuristics.FAIL)) == [HeuristicsChange(9, Heuristics.FAIL)]


def test_heuristics_that_are_undefined_are_not_reported() -> None:
    session = session_in(State.RUNNING)
    assert session.heuristics_changed(Heuristics.UNDEFINED) == []
    (message,) = sent(session.membership_changed(RING, NODES, Heuristics.UNDEFINED))
    assert isinstance(message, NodeList)
    assert message.heuristics is None


def test_a_list_that_the_arbitrator_does_not_take_is_not_sent() -> None:
    session = session_in(State.RUNNING)
    many = tuple(NodeInfo(NodeId(number)) for number in range(1, 3_000))
    assert end(session.config_changed(many, 2)).cause is Cause.REQUEST_TOO_LONG


# ---- echoes


def test_an_echo_goes_out_every_heartbeat_from_init_reply_on() -> None:
    session = session_in(State.INIT_SENT)
    hear(session, ACCEPTED, now=100.0)
    assert session.deadline() == 108.0
    assert session.elapsed(107.0) == []
    assert sent(session.elapsed(108.0)) == [EchoRequest(NUMBER_1, 1)]
    assert session.deadline() == 116.0
    assert hear(session, EchoReply(NUMBER_1), now=108.1) == [EchoAnswered(108.0)]
    (echo,) = sent(session.elapsed(116.0))
    assert echo.sequence_number == 2


def test_an_echo_unanswered_when_the_next_is_due_ends_the_connection() -> None:
    session = session_in(State.RUNNING)
    assert session.elapsed(7.9) == []
    close = end(session.elapsed(8.0))
    assert (close.cause, close.follows) == (Cause.ECHO_UNANSWERED, Follows.RECONNECT)


def test_no_second_echo_is_sent_out_of_turn_while_one_is_unanswered() -> None:
    assert session_in(State.RUNNING).echo(1.0) == []


@pytest.mark.parametrize("state", [State.JOINED, State.RUNNING])
@pytest.mark.parametrize("body", [b"\0\0\0\4\0\0\0\2", b"\0\0\0\4\0\0\0\0"])
def test_an_answer_to_an_echo_that_was_not_the_last_ends_the_daemon(state: State, body: bytes) -> None:
    assert end(hear(session_in(state), EchoReply(body))).cause is Cause.WRONG_NUMBER


def test_an_echo_reply_without_a_number_ends_the_daemon() -> None:
    body = encode(SetOptionReply(heartbeat_ms=1_000))[6:]
    assert end(hear(session_in(State.RUNNING), EchoReply(body))).cause is Cause.INCOMPLETE_MESSAGE


# ---- bad input


def test_an_unknown_message_ends_the_daemon() -> None:
    assert end(session_in(State.RUNNING).receive(b"\0\x12\0\0\0\0", 0.0)).cause is Cause.UNEXPECTED_MESSAGE


def test_a_message_longer_than_announced_ends_the_connection() -> None:
    session = session_in(State.RUNNING)
    close = end(session.receive(b"\0\x0e\0\0\x80\0" + bytes(32_768), 0.0))
    assert (close.cause, close.follows) == (Cause.MESSAGE_TOO_LONG, Follows.RECONNECT)


def test_replies_may_be_as_long_as_the_arbitrator_said() -> None:
    session = session_in(State.INIT_SENT)
    hear(session, replace(ACCEPTED, maximum_reply_size=65_536))
    padded = encode(VoteInfo(1, Vote.ACK, RING))[6:] + b"\x40\0\x80\0" + bytes(32_768)
    outputs = session.receive(b"\0\x0e" + len(padded).to_bytes(4, "big") + padded, 0.0)
    assert VoteReceived(Vote.ACK, RING, True) in outputs


def test_a_message_that_cannot_be_read_ends_the_connection() -> None:
    close = end(session_in(State.RUNNING).receive(b"\0\x0e\0\0\0\0", 0.0))
    assert (close.cause, close.follows) == (Cause.UNDECODABLE, Follows.RECONNECT)


def test_messages_behind_the_one_that_ends_the_connection_are_not_read() -> None:
    assert end(hear(session_in(State.RUNNING), ServerError(1, 9), VoteInfo(1, Vote.ACK, RING))).cause is Cause.SERVER_ERROR


def test_with_lms_the_node_always_connects_anew() -> None:
    lms = replace(IDENTITY, algorithm=Algorithm.LMS)
    assert end(hear(session_in(State.RUNNING, lms), ServerError(1, 9))).follows is Follows.RECONNECT


@pytest.mark.parametrize("cut", range(1, 30))
def test_bytes_may_come_in_any_pieces(cut: int) -> None:
    data = encode(VoteInfo(1, Vote.ACK, RING))
    session = session_in(State.RUNNING)
    outputs = session.receive(data[:cut], 0.0) + session.receive(data[cut:], 0.0)
    assert outputs == [VoteReceived(Vote.ACK, RING, True), Send(encode(VoteInfoReply(1)))]
