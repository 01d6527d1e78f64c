"""The server's side of one connection: every stage with every message, and what the table can not say."""

from __future__ import annotations

import pytest

from thirdvote.config import Limits
from thirdvote.domain import Algorithm, ClusterName, Heuristics, NodeId, NodeListType, RingId, TieBreaker, TieBreakerMode, TlsSupport
from thirdvote.errors import ReplyCode
from thirdvote.session.server import REACTIONS, Asked, BeginTls, End, Joining, Output, Policy, Reply, Security, ServerSession, Stage
from thirdvote.wire.codec import decode, encode
from thirdvote.wire.framing import Frame, FrameReader
from thirdvote.wire.messages import (
    AskForVote,
    EchoRequest,
    HeuristicsChange,
    Init,
    InitReply,
    Message,
    MessageType,
    NodeList,
    Preinit,
    PreinitReply,
    ServerError,
    SetOption,
    StartTls,
    VoteInfoReply,
)

LIMITS = Limits()
OFF = Policy(TlsSupport.UNSUPPORTED, True, False, LIMITS)
ON = Policy(TlsSupport.SUPPORTED, True, False, LIMITS)
REQUIRED = Policy(TlsSupport.REQUIRED, True, False, LIMITS)
UNCHECKED = Policy(TlsSupport.REQUIRED, False, False, LIMITS)

INIT = Init(2, (), (), NodeId(1), Algorithm.FFSPLIT, 8000, TieBreaker(TieBreakerMode.LOWEST), RingId(NodeId(1), 4))
PREINIT = Preinit(1, ClusterName(b"c"))

VALID: dict[MessageType, Message] = {
    message.type: message
    for message in (
        PREINIT,
        StartTls(3),
        INIT,
        SetOption(3, 4000, None),
        EchoRequest(b"\0\0\0\4\0\0\0\3", 3),
        NodeList(3, NodeListType.QUORUM, quorate=True),
        AskForVote(3),
        VoteInfoReply(3),
        HeuristicsChange(3, Heuristics.PASS),
    )
}


def take(session: ServerSession, data: bytes, now: float = 0.0) -> list[Output]:
    outputs = []
    for output in session.receive(data, now):
        outputs.append(output)
        if isinstance(output, Joining):
            outputs.append(session.accept(output.init))
    return outputs


def replies(outputs: list[Output]) -> list[Message]:
    reader = FrameReader(1 << 20)
    for output in outputs:
        if isinstance(output, Reply):
            reader.feed(output.data)
    messages = []
    while (frame := reader.next()) is not None:
        assert isinstance(frame, Frame)
        messages.append(decode(frame.type, frame.body))
    return messages


def session_in(stage: Stage, policy: Policy = OFF) -> ServerSession:
    session = ServerSession(policy, 0.0)
    if stage is not Stage.ANONYMOUS:
        take(session, encode(PREINIT))
    if stage is Stage.DEFERRED:
        session.defer()
    if stage is Stage.JOINED:
        take(session, encode(INIT))
    assert session.stage is stage
    return session


def error_codes(messages: list[Message]) -> list[int | None]:
    return [message.error_code for message in messages if isinstance(message, ServerError | InitReply)]


class TestTable:
    def test_it_has_every_message_that_a_node_may_send_in_every_stage_in_which_anything_is_read(self) -> None:
        assert {stage: set(row) for stage, row in REACTIONS.items()} == {
            stage: set(VALID) for stage in (Stage.ANONYMOUS, Stage.NAMED, Stage.DEFERRED, Stage.JOINED)
        }

    @pytest.mark.parametrize("stage", list(REACTIONS))
    @pytest.mark.parametrize("kind", [kind for kind in MessageType if kind not in VALID], ids=lambda kind: kind.name)
    def test_what_only_servers_send_is_unexpected_everywhere(self, stage: Stage, kind: MessageType) -> None:
        data = bytes([0, kind]) + b"\0\0\0\x08" + b"\0\0\0\4\0\0\0\7"
        (message,) = replies(take(session_in(stage), data))
        assert message == ServerError(7, ReplyCode.UNEXPECTED_MESSAGE)

    @pytest.mark.parametrize(
        ("stage", "kind", "code"),
        [
            (Stage.ANONYMOUS, MessageType.STARTTLS, ReplyCode.PREINIT_REQUIRED),
            (Stage.ANONYMOUS, MessageType.INIT, ReplyCode.PREINIT_REQUIRED),
            (Stage.JOINED, MessageType.STARTTLS, ReplyCode.UNEXPECTED_MESSAGE),
            (Stage.JOINED, MessageType.INIT, ReplyCode.DUPLICATE_NODE_ID),
            *(
                (stage, kind, ReplyCode.INIT_REQUIRED)
                for stage in (Stage.ANONYMOUS, Stage.NAMED)
                for kind in MessageType
                if kind in VALID and kind > 3
            ),
        ],
    )
    def test_what_comes_too_early_or_too_late_is_refused_and_the_connection_goes_on(
        self, stage: Stage, kind: MessageType, code: ReplyCode
    ) -> None:
        session = session_in(stage)
        assert error_codes(replies(take(session, encode(VALID[kind])))) == [code]
        assert session.stage is stage

    @pytest.mark.parametrize(
        "kind", [MessageType.NODE_LIST, MessageType.ASK_FOR_VOTE, MessageType.VOTE_INFO_REPLY, MessageType.HEURISTICS_CHANGE]
    )
    def test_requests_of_a_joined_node_go_to_the_arbiter(self, kind: MessageType) -> None:
        assert take(session_in(Stage.JOINED), encode(VALID[kind])) == [Asked(VALID[kind])]  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "message",
        [
            NodeList(3),
            NodeList(None, NodeListType.QUORUM, quorate=True),
            NodeList(3, NodeListType.MEMBERSHIP),
            NodeList(3, NodeListType.QUORUM),
            HeuristicsChange(3),
            Preinit(3),
        ],
        ids=repr,
    )
    def test_what_lacks_something_is_refused(self, message: Message) -> None:
        assert error_codes(replies(take(session_in(Stage.JOINED), encode(message)))) == [ReplyCode.OPTION_MISSING]


class TestOneCertificateOneCluster:
    """The stock server compares the certificate once, and lets the name change afterwards (S1)."""

    def secured(self, *names: bytes, policy: Policy = REQUIRED) -> ServerSession:
        session = session_in(Stage.NAMED, policy)
        (output,) = take(session, encode(StartTls(2)))
        assert isinstance(output, BeginTls)
        session.secured(names)
        return session

    def test_the_name_must_be_the_clusters(self) -> None:
        session = self.secured(b"c")
        assert error_codes(replies(take(session, encode(INIT)))) == [ReplyCode.NO_ERROR]

    @pytest.mark.parametrize("names", [(), (b"C",), (b"c.",), (b"*",), (b"c\0",), (b"other", b"another"), (b"c", b"other")], ids=repr)
    def test_any_other_certificate_closes_before_anything_is_done(self, names: tuple[bytes, ...]) -> None:
        session = self.secured(*names)
        (output,) = take(session, encode(INIT))
        assert isinstance(output, End)
        assert session.stage is Stage.CLOSED

    def test_a_second_preinit_does_not_carry_a_certificate_into_another_cluster(self) -> None:
        session = self.secured(b"c")
        assert error_codes(replies(take(session, encode(SetOption(3, 8000, None))))) == [ReplyCode.INIT_REQUIRED]
        take(session, encode(Preinit(4, ClusterName(b"victim"))))
        (output,) = take(session, encode(INIT))
        assert isinstance(output, End)

    def test_a_joined_node_can_not_rename_itself(self) -> None:
        session = session_in(Stage.JOINED)
        assert error_codes(replies(take(session, encode(Preinit(9, ClusterName(b"other")))))) == [ReplyCode.UNEXPECTED_MESSAGE]
        assert session.cluster_name == b"c"
        (reply,) = replies(take(session, encode(Preinit(10, ClusterName(b"c")))))
        assert isinstance(reply, PreinitReply)

    @pytest.mark.parametrize(
        ("names", "said"),
        [
            ((b"former",), "is for 'former', the node says it is of another cluster; one that was renamed is to be enrolled anew"),
            ((b"c", b"former"), "is for 'c', 'former', may have only one name"),
            ((), "is for none, the node says"),
        ],
        ids=["renamed", "two names", "no name"],
    )
    def test_the_log_says_what_to_do(self, names: tuple[bytes, ...], said: str) -> None:
        (output,) = take(self.secured(*names), encode(INIT))
        assert isinstance(output, End)
        assert said in output.reason

    def test_certificates_are_not_looked_at_where_they_are_not_wanted(self) -> None:
        session = self.secured(policy=UNCHECKED)
        assert error_codes(replies(take(session, encode(INIT)))) == [ReplyCode.NO_ERROR]


class TestTls:
    @pytest.mark.parametrize(
        "kind", [kind for kind in VALID if kind not in (MessageType.PREINIT, MessageType.STARTTLS)], ids=lambda kind: kind.name
    )
    def test_where_it_is_required_nothing_goes_without(self, kind: MessageType) -> None:
        session = session_in(Stage.NAMED, REQUIRED)
        assert error_codes(replies(take(session, encode(VALID[kind])))) == [ReplyCode.TLS_REQUIRED]
        assert session.stage is Stage.NAMED

    def test_where_it_is_on_plain_nodes_are_served(self) -> None:
        assert session_in(Stage.JOINED, ON).security is Security.PLAIN

    def test_where_it_is_off_starttls_is_answered_and_ends(self) -> None:
        session = session_in(Stage.NAMED, OFF)
        outputs = take(session, encode(StartTls(2)))
        assert replies(outputs) == [ServerError(2, ReplyCode.UNEXPECTED_MESSAGE)]
        assert isinstance(outputs[-1], End)

    def test_the_bytes_behind_starttls_are_tls_even_if_they_look_like_messages(self) -> None:
        session = session_in(Stage.NAMED, ON)
        behind = encode(INIT)
        assert take(session, encode(StartTls(2)) + behind) == [BeginTls(behind)]
        assert take(session, behind) == []

    def test_no_tls_inside_tls(self) -> None:
        session = session_in(Stage.NAMED, UNCHECKED)
        take(session, encode(StartTls(2)))
        session.secured(())
        assert replies(take(session, encode(StartTls(3)))) == [ServerError(3, ReplyCode.UNEXPECTED_MESSAGE)]

    def test_a_handshake_that_nobody_asked_for_counts_for_nothing(self) -> None:
        session = session_in(Stage.NAMED, REQUIRED)
        session.secured((b"c",))
        assert session.security is Security.PLAIN


class TestDeadlines:
    def test_one_that_does_not_join(self) -> None:
        session = ServerSession(OFF, 100.0)
        take(session, encode(PREINIT), 105.0)
        assert session.deadline() == 100.0 + LIMITS.before_init_s

    def test_one_that_has_joined_moves_with_every_message(self) -> None:
        session = session_in(Stage.JOINED)
        take(session, encode(VALID[MessageType.ECHO_REQUEST]), 50.0)
        assert session.deadline() == 62.0
        take(session, encode(SetOption(3, 1000, None)), 60.0)
        assert session.deadline() == 61.5

    def test_a_heartbeat_out_of_range_changes_nothing(self) -> None:
        session = session_in(Stage.JOINED)
        assert error_codes(replies(take(session, encode(SetOption(3, 999, None))))) == [ReplyCode.INVALID_HEARTBEAT]
        assert session.heartbeat_ms == 8000

    def test_a_refused_second_init_changes_nothing(self) -> None:
        """The stock server has by then replaced algorithm, node id, ring, heartbeat and tie-breaker (S5)."""
        session = session_in(Stage.JOINED)
        other = Init(5, None, None, NodeId(9), Algorithm.LMS, 1000, TieBreaker(TieBreakerMode.HIGHEST), RingId(NodeId(9), 8))
        assert error_codes(replies(take(session, encode(other)))) == [ReplyCode.DUPLICATE_NODE_ID]
        assert session.heartbeat_ms == 8000


class TestDeferred:
    """An INIT that is answered later, when it is known if the node is still there with an older connection."""

    def deferred(self) -> ServerSession:
        session = session_in(Stage.NAMED)
        for output in session.receive(encode(INIT), 1.0):
            if isinstance(output, Joining):
                session.defer()
        assert session.stage is Stage.DEFERRED
        return session

    def test_nothing_is_answered_at_first(self) -> None:
        session = session_in(Stage.NAMED)
        outputs = []
        for output in session.receive(encode(INIT), 1.0):
            outputs.append(output)
            session.defer()
        assert [type(output) for output in outputs] == [Joining]

    @pytest.mark.parametrize("kind", sorted(VALID))
    def test_until_then_the_node_has_nothing_to_say(self, kind: MessageType) -> None:
        session = self.deferred()
        assert error_codes(replies(take(session, encode(VALID[kind])))) == [ReplyCode.UNEXPECTED_MESSAGE]
        assert session.stage is Stage.DEFERRED

    def test_one_that_is_accepted_has_joined(self) -> None:
        session = self.deferred()
        (reply,) = replies([session.accept(INIT)])
        assert isinstance(reply, InitReply)
        assert reply.error_code == ReplyCode.NO_ERROR
        assert session.stage is Stage.JOINED

    def test_one_that_is_refused_may_try_again(self) -> None:
        session = self.deferred()
        (reply,) = replies([session.refuse(INIT, ReplyCode.DUPLICATE_NODE_ID)])
        assert isinstance(reply, InitReply)
        assert reply.error_code == ReplyCode.DUPLICATE_NODE_ID
        assert session.stage is Stage.NAMED

    def test_it_may_not_last_longer_than_any_introduction(self) -> None:
        assert self.deferred().deadline() == LIMITS.before_init_s
