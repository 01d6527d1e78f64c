"""The machine that a node's connection to the arbitrator is, by the tables and the essay of `node_rules`.

Bytes and time come in, outputs go out in the order in which they are to be carried out; there is no socket and no clock.
What a node casts while it has no arbitrator is its daemon's matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from thirdvote.domain import Algorithm, ClusterName, Heuristics, NodeId, NodeInfo, NodeListType, RingId, TieBreaker, Vote
from thirdvote.errors import ReplyCode, Undecodable
from thirdvote.session.node_rules import (
    FOLLOWS,
    INITIAL_MESSAGE_SIZE,
    MANDATORY,
    MANDATORY_WHEN_ACCEPTED,
    PASSING_REFUSALS,
    REACTIONS,
    REPLY_SIZE_MAX,
    REQUEST_SIZE_MIN,
    TLS_CHOICE,
    Cause,
    Follows,
    Reaction,
    State,
    TlsChoice,
    TlsWish,
)
from thirdvote.wire.codec import decode, encode
from thirdvote.wire.framing import Frame, FrameReader, Skipped
from thirdvote.wire.messages import (
    AskForVoteReply,
    ClientMessage,
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
    OptionType,
    Preinit,
    PreinitReply,
    ServerError,
    SetOption,
    StartTls,
    VoteInfo,
    VoteInfoReply,
)

_ALL_MESSAGES = tuple(int(number) for number in MessageType)
_ALL_OPTIONS = tuple(int(number) for number in OptionType)


# ---- in


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the node is and how it connects; the same for all its connections. `connect_timeout_ms` None: one heartbeat."""

    cluster_name: ClusterName
    node_id: NodeId
    algorithm: Algorithm
    tie_breaker: TieBreaker
    heartbeat_ms: int = 8_000
    tls: TlsWish = TlsWish.ON
    keep_active_partition: bool = True
    uses_heuristics: bool = False
    connect_timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What Corosync and the heuristics say now. The order of the lists is kept on the wire."""

    ring_id: RingId
    config: tuple[NodeInfo, ...]
    members: tuple[NodeInfo, ...]
    quorum: tuple[NodeInfo, ...]
    quorate: bool
    config_version: int | None = None
    heuristics: Heuristics = Heuristics.UNDEFINED


# ---- out


@dataclass(frozen=True, slots=True)
class Send:
    data: bytes


@dataclass(frozen=True, slots=True)
class BeginTls:
    """Everything from here on is TLS, both ways; `early` is what has already come of it. Call `secured` when the handshake is done."""

    early: bytes


@dataclass(frozen=True, slots=True)
class Connected:
    """The arbitrator took the node in; call `introduce` when the heuristics that run after connecting are done."""

    tls: bool
    client_certificate_required: bool
    maximum_request_size: int
    maximum_reply_size: int
    knows_keep_active_partition: bool


@dataclass(frozen=True, slots=True)
class VoteReceived:
    """`counts` is False for a ring that is not the node's: then nothing changes."""

    vote: Vote
    ring_id: RingId
    counts: bool


@dataclass(frozen=True, slots=True)
class EchoAnswered:
    """`sent_at` is when the request went out: until then the arbitrator knew of this node at least."""

    sent_at: float


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection, with TLS's goodbye. `reason` is for people."""

    cause: Cause
    follows: Follows
    reason: str


Output = Send | BeginTls | Connected | VoteReceived | EchoAnswered | Close

VoteCarrier = NodeListReply | AskForVoteReply | VoteInfo | HeuristicsChangeReply


class NodeSession:
    """Create one when connecting begins, call `start` when TCP is up. Times are in seconds of one clock that never goes back.

    `vote` is what the node goes by while the connection lasts; `standing` what it last said of itself, sent or not.
    """

    __slots__ = (
        "_certificate_required",
        "_connect_by",
        "_echo_at",
        "_echo_sent_at",
        "_echoes_answered",
        "_echoes_sent",
        "_output",
        "_reader",
        "_request_size_max",
        "_ring_sent",
        "_server_options",
        "_tls_on",
        "identity",
        "last_number",
        "standing",
        "state",
        "vote",
    )

    def __init__(self, identity: Identity, standing: Standing, connecting_since: float, last_number: int = 1) -> None:
        self.identity = identity
        self.standing = standing
        self.state = State.PREINIT_SENT
        self.vote = Vote.ASK_LATER
        self.last_number = last_number
        timeout_ms = identity.heartbeat_ms if identity.connect_timeout_ms is None else identity.connect_timeout_ms
        self._connect_by = connecting_since + timeout_ms / 1000
        self._reader = FrameReader(INITIAL_MESSAGE_SIZE)
        self._request_size_max = INITIAL_MESSAGE_SIZE
        self._server_options: tuple[int, ...] = ()
        self._certificate_required = False
        self._tls_on = False
        self._ring_sent: RingId | None = None
        self._echo_at = 0.0
        self._echo_sent_at = 0.0
        self._echoes_sent = 0
        self._echoes_answered = 0
        self._output: list[Output] = []

    def deadline(self) -> float | None:
        """When `elapsed` has to be called at the latest; None: never."""
        match self.state:
            case State.PREINIT_SENT | State.HANDSHAKE | State.INIT_SENT:
                return self._connect_by
            case State.JOINED | State.RUNNING:
                return self._echo_at
            case State.CLOSED:
                return None
            case _:
                assert_never(self.state)

    # ---- what happens to the connection

    def start(self) -> list[Output]:
        self._send(Preinit(self.last_number, self.identity.cluster_name))
        return self._take()

    def receive(self, data: bytes, now: float) -> list[Output]:
        """Bytes as they come, TLS taken off. Those that come while the handshake goes on are TLS's and must not be given here."""
        self._reader.feed(data)
        while self.state not in (State.HANDSHAKE, State.CLOSED):
            frame = self._reader.next()
            match frame:
                case None:
                    break
                case Skipped(ReplyCode.UNSUPPORTED_MESSAGE):
                    self._end(Cause.UNEXPECTED_MESSAGE, "the arbitrator sent a message of an unknown type")
                case Skipped():
                    self._end(Cause.MESSAGE_TOO_LONG, f"the arbitrator sent a message of more than {self._reader.maximum_size} bytes")
                case Frame(kind, body):
                    self._read(kind, body, now)
                case _:
                    assert_never(frame)
        return self._take()

    def secured(self) -> list[Output]:
        """The handshake that BeginTls asked for is done, and the arbitrator's certificate is good."""
        if self.state is State.HANDSHAKE:
            self._tls_on = True
            self._send_init()
        return self._take()

    def lost(self, cause: Cause, reason: str) -> list[Output]:
        """The connection failed in the caller's hands."""
        self._end(cause, reason)
        return self._take()

    def elapsed(self, now: float) -> list[Output]:
        """Time went by. Does nothing before `deadline`."""
        deadline = self.deadline()
        if deadline is not None and now >= deadline:
            if self.state in (State.JOINED, State.RUNNING):
                self._echo(now)
            else:
                self._end(Cause.CONNECT_TIMEOUT, f"not connected in time, while {self.state.name.lower().replace('_', ' ')}")
        return self._take()

    def echo(self, now: float) -> list[Output]:
        """An echo at once, and the next one a heartbeat later; nothing while one is unanswered."""
        if self.state in (State.JOINED, State.RUNNING) and self._echoes_answered == self._echoes_sent:
            self._echo(now)
        return self._take()

    # ---- what the node has to say

    def introduce(self) -> list[Output]:
        """Everything there is to say, once; the heuristics that run after connecting are in `standing` by now."""
        if self.state is not State.JOINED:
            return []
        self.state = State.RUNNING
        if OptionType.KEEP_ACTIVE_PARTITION_TIE_BREAKER in self._server_options:
            self._request(SetOption(keep_active_partition=self.identity.keep_active_partition))
        self._send_config(NodeListType.INITIAL_CONFIG)
        self._send_membership()
        self._send_quorum()
        return self._take()

    def config_changed(self, config: tuple[NodeInfo, ...], version: int | None) -> list[Output]:
        self.standing = replace(self.standing, config=config, config_version=version)
        self._send_config(NodeListType.CHANGED_CONFIG)
        return self._take()

    def membership_changed(self, ring_id: RingId, members: tuple[NodeInfo, ...], heuristics: Heuristics) -> list[Output]:
        self.standing = replace(self.standing, ring_id=ring_id, members=members, heuristics=heuristics)
        self._send_membership()
        return self._take()

    def quorum_changed(self, quorum: tuple[NodeInfo, ...], quorate: bool) -> list[Output]:
        self.standing = replace(self.standing, quorum=quorum, quorate=quorate)
        self._send_quorum()
        return self._take()

    def heuristics_changed(self, heuristics: Heuristics) -> list[Output]:
        """A result of the regular run that differs from the latest result of any run; UNDEFINED can not be told."""
        self.standing = replace(self.standing, heuristics=heuristics)
        if heuristics is not Heuristics.UNDEFINED:
            self._report(HeuristicsChange(heuristics=heuristics))
        return self._take()

    # ---- reactions

    def _read(self, kind: MessageType, body: bytes, now: float) -> None:
        try:
            message = decode(kind, body)
        except Undecodable as error:
            self._end(Cause.UNDECODABLE, f"the arbitrator sent a {kind.name} that cannot be read: {error}")
            return
        reaction = REACTIONS[self.state].get(kind)
        if reaction is None:
            self._end(Cause.UNEXPECTED_MESSAGE, f"the arbitrator sent an unexpected {kind.name}")
            return
        if self._is_complete(message, MANDATORY.get(kind, ())):
            self._react(reaction, message, now)

    def _react(self, reaction: Reaction, message: Message, now: float) -> None:
        match reaction:
            case Reaction.CHOOSE_TLS:
                assert isinstance(message, PreinitReply)
                self._choose_tls(message)
            case Reaction.JOIN:
                assert isinstance(message, InitReply)
                self._join(message, now)
            case Reaction.TAKE_ECHO:
                assert isinstance(message, EchoReply)
                self._take_echo(message)
            case Reaction.TAKE_VOTE:
                assert isinstance(message, VoteCarrier)
                self._take_vote(message)
            case Reaction.TAKE_VOTE_AND_ANSWER:
                assert isinstance(message, VoteInfo)
                self._take_vote(message)
                self._send(VoteInfoReply(message.sequence_number))
            case Reaction.IGNORE:
                pass
            case Reaction.END_BY_ERROR:
                assert isinstance(message, ServerError)
                self._end(Cause.SERVER_ERROR, f"the arbitrator answered with error {_code_name(message.error_code)}")
            case _:
                assert_never(reaction)

    def _choose_tls(self, reply: PreinitReply) -> None:
        assert reply.tls_supported is not None
        if not self._answers_last_request(reply):
            return
        self._certificate_required = bool(reply.client_certificate_required)
        choice = TLS_CHOICE[self.identity.tls][reply.tls_supported]
        match choice:
            case TlsChoice.PLAIN:
                self._send_init()
            case TlsChoice.TLS:
                self._request(StartTls())
                self.state = State.HANDSHAKE
                self._output.append(BeginTls(self._reader.take_rest()))
            case TlsChoice.INCOMPATIBLE:
                theirs = reply.tls_supported.name.lower()
                self._end(Cause.TLS_INCOMPATIBLE, f"TLS is {theirs} at the arbitrator, and {self.identity.tls.value} here")
            case _:
                assert_never(choice)

    def _join(self, reply: InitReply, now: float) -> None:
        if not self._answers_last_request(reply) or not self._is_accepted(reply) or not self._is_complete(reply, MANDATORY_WHEN_ACCEPTED):
            return
        problem = self._unacceptable(reply)
        if problem:
            self._end(Cause.UNACCEPTABLE, problem)
            return
        assert reply.maximum_request_size is not None
        assert reply.maximum_reply_size is not None
        assert reply.supported_options is not None
        self._server_options = reply.supported_options
        self._request_size_max = reply.maximum_request_size
        self._reader.maximum_size = reply.maximum_reply_size
        self.state = State.JOINED
        self._echo_at = now + self.identity.heartbeat_ms / 1000
        knows = OptionType.KEEP_ACTIVE_PARTITION_TIE_BREAKER in reply.supported_options
        self._output.append(
            Connected(self._tls_on, self._certificate_required, reply.maximum_request_size, reply.maximum_reply_size, knows),
        )

    def _is_accepted(self, reply: InitReply) -> bool:
        if reply.error_code == ReplyCode.NO_ERROR:
            return True
        cause = Cause.REFUSED_FOR_NOW if reply.error_code in PASSING_REFUSALS else Cause.REFUSED
        self._end(cause, f"the arbitrator refused this node with error {_code_name(reply.error_code)}")
        return False

    def _unacceptable(self, reply: InitReply) -> str:
        """What keeps the node from working with this arbitrator; empty when nothing does."""
        assert reply.maximum_request_size is not None
        assert reply.maximum_reply_size is not None
        assert reply.supported_options is not None
        assert reply.supported_algorithms is not None
        if reply.maximum_request_size < REQUEST_SIZE_MIN:
            return f"the arbitrator takes messages of {reply.maximum_request_size} bytes, {REQUEST_SIZE_MIN} are needed"
        if reply.maximum_reply_size > REPLY_SIZE_MAX:
            return f"the arbitrator may send messages of {reply.maximum_reply_size} bytes, {REPLY_SIZE_MAX} are the limit here"
        if self.identity.algorithm not in reply.supported_algorithms:
            return f"the arbitrator does not know the algorithm {self.identity.algorithm.name.lower()}"
        if self.identity.uses_heuristics and OptionType.HEURISTICS not in reply.supported_options:
            return "the arbitrator does not know heuristics"
        return ""

    def _take_echo(self, reply: EchoReply) -> None:
        if reply.sequence_number != self._echoes_sent:
            self._end(Cause.WRONG_NUMBER, f"the arbitrator answered echo {reply.sequence_number}, the last one sent is {self._echoes_sent}")
            return
        self._echoes_answered = self._echoes_sent
        self._output.append(EchoAnswered(self._echo_sent_at))

    def _take_vote(self, message: VoteCarrier) -> None:
        assert message.vote is not None
        assert message.ring_id is not None
        counts = message.ring_id == self._ring_sent
        if counts and message.vote is not Vote.NO_CHANGE:
            self.vote = message.vote
        self._output.append(VoteReceived(message.vote, message.ring_id, counts))

    # ---- checks

    def _is_complete(self, message: Message, fields: tuple[str, ...]) -> bool:
        """Ends the connection when a field is missing."""
        missing = [name.replace("_", " ") for name in fields if getattr(message, name) is None]
        if missing:
            self._end(Cause.INCOMPLETE_MESSAGE, f"the arbitrator sent a {message.type.name} without {', '.join(missing)}")
        return not missing

    def _answers_last_request(self, reply: PreinitReply | InitReply) -> bool:
        """Ends the connection when it does not."""
        if reply.sequence_number == self.last_number:
            return True
        self._end(Cause.WRONG_NUMBER, f"{reply.type.name} has number {reply.sequence_number}, the request had {self.last_number}")
        return False

    # ---- what goes out

    def _send_init(self) -> None:
        self.state = State.INIT_SENT
        self._ring_sent = self.standing.ring_id
        self._request(
            Init(
                supported_messages=_ALL_MESSAGES,
                supported_options=_ALL_OPTIONS,
                node_id=self.identity.node_id,
                algorithm=self.identity.algorithm,
                heartbeat_ms=self.identity.heartbeat_ms,
                tie_breaker=self.identity.tie_breaker,
                ring_id=self.standing.ring_id,
            )
        )

    def _send_config(self, kind: NodeListType) -> None:
        standing = self.standing
        self._report(NodeList(list_type=kind, config_version=standing.config_version, nodes=standing.config))

    def _send_membership(self) -> None:
        standing = self.standing
        if self.state is not State.RUNNING:
            return
        self._ring_sent = standing.ring_id
        self.vote = Vote.WAIT_FOR_REPLY
        heuristics = None if standing.heuristics is Heuristics.UNDEFINED else standing.heuristics
        self._report(NodeList(list_type=NodeListType.MEMBERSHIP, ring_id=standing.ring_id, nodes=standing.members, heuristics=heuristics))

    def _send_quorum(self) -> None:
        self._report(NodeList(list_type=NodeListType.QUORUM, quorate=self.standing.quorate, nodes=self.standing.quorum))

    def _echo(self, now: float) -> None:
        if self._echoes_answered != self._echoes_sent:
            self._end(Cause.ECHO_UNANSWERED, f"the arbitrator has not answered an echo for {now - self._echo_sent_at:.1f} s")
            return
        self._echoes_sent += 1
        self._echo_sent_at = now
        self._echo_at = now + self.identity.heartbeat_ms / 1000
        self._send(EchoRequest(_number_alone(self._echoes_sent), self._echoes_sent))

    def _report(self, message: NodeList | HeuristicsChange) -> None:
        """Sent once the node has introduced itself; until then `standing` keeps it."""
        if self.state is State.RUNNING:
            self._request(message)

    def _request(self, message: StartTls | Init | SetOption | NodeList | HeuristicsChange) -> None:
        self.last_number += 1
        self._send(replace(message, sequence_number=self.last_number))

    def _send(self, message: ClientMessage) -> None:
        data = encode(message)
        if len(data) > self._request_size_max:
            self._end(Cause.REQUEST_TOO_LONG, f"a {message.type.name} has {len(data)} bytes, the arbitrator takes {self._request_size_max}")
        elif self.state is not State.CLOSED:
            self._output.append(Send(data))

    def _end(self, cause: Cause, reason: str) -> None:
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        follows = Follows.RECONNECT if self.identity.algorithm is Algorithm.LMS else FOLLOWS[cause]
        self._output.append(Close(cause, follows, reason))

    def _take(self) -> list[Output]:
        output, self._output = self._output, []
        return output


def _number_alone(number: int) -> bytes:
    """The body of a message that is a sequence number and nothing else."""
    return b"\0\0\0\4" + number.to_bytes(4, "big")


def _code_name(code: int | None) -> str:
    names = {int(known): known.name.lower().replace("_", " ") for known in ReplyCode}
    return f"{code} ({names[code]})" if code in names else str(code)
