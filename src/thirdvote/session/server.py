"""One node's connection, from the server's side.

A connection goes through two small machines. The *stage* says how far the node has introduced itself:

    ANONYMOUS --PREINIT--> NAMED --INIT, accepted--> JOINED --> CLOSED

and the *security* whether TLS is on:

    PLAIN --STARTTLS--> HANDSHAKE --handshake done--> SECURED

`REACTIONS` is the whole of the rules: for each stage and each message that a node may send, what happens. A message
that only a server sends is unexpected in every stage. What the table cannot say:

* Before INIT and everything behind it, the connection must be as secure as the server was told to insist on
  (`_check_security`): TLS where it is required, and a client certificate whose name is the cluster's, byte for byte.
* A node that has JOINED is bound to the cluster it joined: a PREINIT with another name is refused, a second INIT gets
  error 17, and the name that the certificate was compared with can no longer change.
* STARTTLS hands every byte behind it to TLS and none to the message parser.
* Whoever has not joined `before_init_s` after connecting is closed, whatever it sent; whoever has joined is closed when
  it has sent nothing that could be read for `dead_peer_coefficient` heartbeats.

Bytes and time come in, outputs go out; the session never knows a socket or a clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import assert_never

from thirdvote.config import Limits
from thirdvote.domain import Algorithm, ClusterName, NodeListType, TlsSupport
from thirdvote.errors import ReplyCode, Undecodable
from thirdvote.wire.codec import decode, encode
from thirdvote.wire.framing import Frame, FrameReader, Skipped
from thirdvote.wire.messages import (
    AskForVote,
    EchoRequest,
    HeuristicsChange,
    Init,
    InitReply,
    Message,
    MessageType,
    NodeList,
    OptionType,
    Preinit,
    PreinitReply,
    ServerError,
    ServerMessage,
    SetOption,
    StartTls,
    VoteInfoReply,
)


class Stage(Enum):
    ANONYMOUS = auto()
    NAMED = auto()
    DEFERRED = auto()
    JOINED = auto()
    CLOSED = auto()


class Security(Enum):
    PLAIN = auto()
    HANDSHAKE = auto()
    SECURED = auto()


class Reaction(Enum):
    NAME = auto()
    NAME_AGAIN = auto()
    START_TLS = auto()
    JOIN = auto()
    JOIN_AGAIN = auto()
    SERVE = auto()
    REFUSE_PREINIT_REQUIRED = auto()
    REFUSE_INIT_REQUIRED = auto()
    REFUSE_UNEXPECTED = auto()


_BEHIND_INIT = (
    MessageType.SET_OPTION,
    MessageType.ECHO_REQUEST,
    MessageType.NODE_LIST,
    MessageType.ASK_FOR_VOTE,
    MessageType.VOTE_INFO_REPLY,
    MessageType.HEURISTICS_CHANGE,
)

REACTIONS: Mapping[Stage, Mapping[MessageType, Reaction]] = {
    Stage.ANONYMOUS: {
        MessageType.PREINIT: Reaction.NAME,
        MessageType.STARTTLS: Reaction.REFUSE_PREINIT_REQUIRED,
        MessageType.INIT: Reaction.JOIN,  # refused there, in an INIT_REPLY
        **dict.fromkeys(_BEHIND_INIT, Reaction.REFUSE_INIT_REQUIRED),
    },
    Stage.NAMED: {
        MessageType.PREINIT: Reaction.NAME,
        MessageType.STARTTLS: Reaction.START_TLS,
        MessageType.INIT: Reaction.JOIN,
        **dict.fromkeys(_BEHIND_INIT, Reaction.REFUSE_INIT_REQUIRED),
    },
    Stage.DEFERRED: dict.fromkeys(
        (MessageType.PREINIT, MessageType.STARTTLS, MessageType.INIT, *_BEHIND_INIT),
        Reaction.REFUSE_UNEXPECTED,  # its INIT is not answered yet, and until then it has nothing to say
    ),
    Stage.JOINED: {
        MessageType.PREINIT: Reaction.NAME_AGAIN,
        MessageType.STARTTLS: Reaction.REFUSE_UNEXPECTED,
        MessageType.INIT: Reaction.JOIN_AGAIN,
        **dict.fromkeys(_BEHIND_INIT, Reaction.SERVE),
    },
}

NEEDS_SECURITY = frozenset({MessageType.INIT, *_BEHIND_INIT})

Request = EchoRequest | SetOption | NodeList | AskForVote | VoteInfoReply | HeuristicsChange
"""What the session leaves to the arbiter; whatever its kind must have is in it."""

_MANDATORY: Mapping[MessageType, tuple[str, ...]] = {
    MessageType.NODE_LIST: ("list_type", "sequence_number"),
    MessageType.ASK_FOR_VOTE: ("sequence_number",),
    MessageType.VOTE_INFO_REPLY: ("sequence_number",),
    MessageType.HEURISTICS_CHANGE: ("sequence_number", "heuristics"),
}
_MANDATORY_IN_LIST: Mapping[NodeListType, tuple[str, ...]] = {
    NodeListType.MEMBERSHIP: ("ring_id",),
    NodeListType.QUORUM: ("quorate",),
}

ALL_MESSAGES = tuple(int(number) for number in MessageType)
ALL_OPTIONS = tuple(int(number) for number in OptionType)
ALL_ALGORITHMS = tuple(int(number) for number in Algorithm)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the server insists on; shared by all sessions."""

    tls: TlsSupport
    client_certificate: bool
    test_algorithm: bool
    limits: Limits


@dataclass(frozen=True, slots=True)
class Reply:
    data: bytes


@dataclass(frozen=True, slots=True)
class BeginTls:
    """Everything from here on is TLS, both ways; `early` is what came of it in the same packet."""

    early: bytes


@dataclass(frozen=True, slots=True)
class End:
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The peer did something wrong and was told so; for the log."""

    code: ReplyCode
    reason: str


@dataclass(frozen=True, slots=True)
class Joining:
    """All fields are present and in range. Call `accept`, `refuse` or `defer` before the next output is taken."""

    init: Init


@dataclass(frozen=True, slots=True)
class Asked:
    request: Request


Output = Reply | BeginTls | End | Refused | Joining | Asked


class ServerSession:
    """`receive` and `secured` give outputs one by one; take them all, acting on each before the next."""

    __slots__ = (
        "_certificate_names",
        "_connected_at",
        "_reader",
        "cluster_name",
        "heartbeat_ms",
        "last_heard",
        "policy",
        "security",
        "stage",
    )

    def __init__(self, policy: Policy, now: float) -> None:
        self.policy = policy
        self.stage = Stage.ANONYMOUS
        self.security = Security.PLAIN
        self.cluster_name: ClusterName | None = None
        self.heartbeat_ms = policy.limits.heartbeat_ms_max
        self.last_heard = now
        self._connected_at = now
        self._certificate_names: tuple[bytes, ...] = ()
        self._reader = FrameReader(policy.limits.receive_size)

    @property
    def certificate_verified(self) -> bool:
        """One certificate, one cluster: one with several names is for none of them."""
        return frozenset(self._certificate_names) == {self.cluster_name}

    @property
    def _reads_messages(self) -> bool:
        return self.stage is not Stage.CLOSED and self.security is not Security.HANDSHAKE

    def deadline(self) -> float | None:
        """The time in seconds at which this connection is given up unless something comes; None: never."""
        limits = self.policy.limits
        if self.stage is not Stage.JOINED:
            return self._connected_at + limits.before_init_s
        if not limits.dead_peer_enabled:
            return None
        return self.last_heard + int(self.heartbeat_ms * limits.dead_peer_coefficient) / 1000

    def secured(self, certificate_names: tuple[bytes, ...]) -> None:
        """The handshake that BeginTls asked for is done."""
        if self.security is Security.HANDSHAKE:
            self.security = Security.SECURED
            self._certificate_names = certificate_names

    def receive(self, data: bytes, now: float) -> Iterator[Output]:
        if not self._reads_messages:
            return
        self._reader.feed(data)
        while self._reads_messages:
            frame = self._reader.next()
            match frame:
                case None:
                    return
                case Skipped(code):
                    yield from self._refuse(code, None, f"a message that was not read: {code.name.lower().replace('_', ' ')}")
                case Frame(kind, body):
                    yield from self._read(kind, body, now)
                case _:
                    assert_never(frame)

    def accept(self, init: Init) -> Reply:
        self.stage = Stage.JOINED
        return self._init_reply(init, ReplyCode.NO_ERROR)

    def refuse(self, init: Init, code: ReplyCode) -> Reply:
        if self.stage is Stage.DEFERRED:
            self.stage = Stage.NAMED
        return self._init_reply(init, code)

    def defer(self) -> None:
        """The answer comes later, by `accept` or `refuse`."""
        self.stage = Stage.DEFERRED

    def close(self) -> None:
        self.stage = Stage.CLOSED

    # ---- what happens with each message

    def _read(self, kind: MessageType, body: bytes, now: float) -> Iterator[Output]:
        try:
            message = decode(kind, body)
        except Undecodable as error:
            yield from self._refuse(error.code, error.sequence_number, f"{kind.name} that cannot be read: {error}")
            return
        self.last_heard = now
        if kind in NEEDS_SECURITY:
            problem = self._check_security(message.sequence_number)
            if problem is not None:
                yield from problem
                return
        yield from self._react(REACTIONS[self.stage].get(kind, Reaction.REFUSE_UNEXPECTED), message)

    def _react(self, reaction: Reaction, message: Message) -> Iterator[Output]:
        number = message.sequence_number
        match reaction:
            case Reaction.NAME:
                assert isinstance(message, Preinit)
                yield from self._name(message)
            case Reaction.NAME_AGAIN:
                assert isinstance(message, Preinit)
                yield from self._name_again(message)
            case Reaction.START_TLS:
                assert isinstance(message, StartTls)
                yield from self._start_tls(message)
            case Reaction.JOIN:
                assert isinstance(message, Init)
                yield from self._join(message, ReplyCode.NO_ERROR)
            case Reaction.JOIN_AGAIN:
                assert isinstance(message, Init)
                yield from self._join(message, ReplyCode.DUPLICATE_NODE_ID)
            case Reaction.SERVE:
                yield from self._serve(message)
            case Reaction.REFUSE_PREINIT_REQUIRED:
                yield from self._refuse(ReplyCode.PREINIT_REQUIRED, number, f"{message.type.name} before PREINIT")
            case Reaction.REFUSE_INIT_REQUIRED:
                yield from self._refuse(ReplyCode.INIT_REQUIRED, number, f"{message.type.name} before INIT")
            case Reaction.REFUSE_UNEXPECTED:
                yield from self._refuse(ReplyCode.UNEXPECTED_MESSAGE, number, f"unexpected {message.type.name}")
            case _:
                assert_never(reaction)

    def _name(self, message: Preinit) -> Iterator[Output]:
        if message.cluster_name is None:
            yield from self._refuse(ReplyCode.OPTION_MISSING, message.sequence_number, "PREINIT without a cluster name")
            return
        if self.stage is Stage.ANONYMOUS:
            self.stage = Stage.NAMED
        self.cluster_name = message.cluster_name
        yield self._reply(PreinitReply(message.sequence_number, self.policy.tls, self.policy.client_certificate))

    def _name_again(self, message: Preinit) -> Iterator[Output]:
        if message.cluster_name not in (None, self.cluster_name):
            yield from self._refuse(ReplyCode.UNEXPECTED_MESSAGE, message.sequence_number, "PREINIT with another cluster's name after INIT")
        else:
            yield from self._name(message)

    def _start_tls(self, message: StartTls) -> Iterator[Output]:
        if self.security is not Security.PLAIN:
            yield from self._refuse(ReplyCode.UNEXPECTED_MESSAGE, message.sequence_number, "STARTTLS inside TLS")
        elif self.policy.tls is TlsSupport.UNSUPPORTED:
            yield from self._refuse(ReplyCode.UNEXPECTED_MESSAGE, message.sequence_number, "STARTTLS, but TLS is off on this server")
            yield from self._end("the node wants TLS, and TLS is off on this server")
        else:
            self.security = Security.HANDSHAKE
            yield BeginTls(self._reader.take_rest())

    def _join(self, init: Init, code_when_valid: ReplyCode) -> Iterator[Output]:
        code = self._check_init(init) or code_when_valid
        if code is not ReplyCode.NO_ERROR:
            yield Refused(code, f"INIT: {code.name.lower().replace('_', ' ')}")
            yield self.refuse(init, code)
            return
        assert init.heartbeat_ms is not None
        self.heartbeat_ms = init.heartbeat_ms
        yield Joining(init)

    def _check_init(self, init: Init) -> ReplyCode:
        """The first fault wins; only the codes of the heartbeat and of the algorithm replace an earlier one, as in the stock server."""
        limits = self.policy.limits
        code = ReplyCode.NO_ERROR
        if self.stage is Stage.ANONYMOUS:
            code = ReplyCode.PREINIT_REQUIRED
        if init.node_id is None or init.ring_id is None:
            code = code or ReplyCode.OPTION_MISSING
        if init.heartbeat_ms is None and not code:
            code = ReplyCode.OPTION_MISSING
        elif not limits.heartbeat_ms_min <= (init.heartbeat_ms or 0) <= limits.heartbeat_ms_max:
            code = ReplyCode.INVALID_HEARTBEAT
        if init.tie_breaker is None:
            code = code or ReplyCode.OPTION_MISSING
        if init.algorithm is None:
            code = code or ReplyCode.OPTION_MISSING
        elif init.algorithm not in ALL_ALGORITHMS or (init.algorithm == Algorithm.TEST and not self.policy.test_algorithm):
            code = ReplyCode.UNSUPPORTED_ALGORITHM
        return code

    def _serve(self, message: Message) -> Iterator[Output]:
        match message:
            case EchoRequest():
                yield Asked(message)
            case SetOption() | NodeList() | AskForVote() | VoteInfoReply() | HeuristicsChange():
                missing = _missing_fields(message)
                if missing:
                    yield from self._refuse(ReplyCode.OPTION_MISSING, message.sequence_number, f"{message.type.name} without {missing}")
                elif isinstance(message, SetOption):
                    yield from self._set_option(message)
                else:
                    yield Asked(message)
            case _:
                raise AssertionError(f"{message.type.name} is not served")

    def _set_option(self, message: SetOption) -> Iterator[Output]:
        limits = self.policy.limits
        if message.heartbeat_ms is not None:
            if not limits.heartbeat_ms_min <= message.heartbeat_ms <= limits.heartbeat_ms_max:
                yield from self._refuse(ReplyCode.INVALID_HEARTBEAT, message.sequence_number, f"heartbeat of {message.heartbeat_ms} ms")
                return
            self.heartbeat_ms = message.heartbeat_ms
        yield Asked(message)

    def _check_security(self, number: int | None) -> Iterator[Output] | None:
        """None when all is well, else the outputs that say no."""
        if self.policy.tls is TlsSupport.REQUIRED and self.security is Security.PLAIN:
            return self._refuse(ReplyCode.TLS_REQUIRED, number, "no TLS, which this server requires")
        if self.policy.client_certificate and self.security is Security.SECURED and not self.certificate_verified:
            return self._end(self._wrong_certificate())
        return None

    def _wrong_certificate(self) -> str:
        """The name that it says it has is in the log line already."""
        names = ", ".join(ascii(name)[1:] for name in self._certificate_names) or "none"
        if len(frozenset(self._certificate_names)) > 1:
            return f"the client certificate is for {names}, may have only one name"
        return f"the client certificate is for {names}, the node says it is of another cluster; one that was renamed is to be enrolled anew"

    # ---- outputs

    def _refuse(self, code: ReplyCode, number: int | None, reason: str) -> Iterator[Output]:
        yield Refused(code, reason)
        yield self._reply(ServerError(number, code))

    def _end(self, reason: str) -> Iterator[Output]:
        self.stage = Stage.CLOSED
        yield End(reason)

    def _reply(self, message: ServerMessage) -> Reply:
        return Reply(encode(message))

    def _init_reply(self, init: Init, code: ReplyCode) -> Reply:
        limits = self.policy.limits
        return self._reply(
            InitReply(
                error_code=code,
                supported_messages=None if init.supported_messages is None else ALL_MESSAGES,
                supported_options=None if init.supported_options is None else ALL_OPTIONS,
                sequence_number=init.sequence_number,
                maximum_request_size=limits.receive_size,
                maximum_reply_size=limits.send_size,
                supported_algorithms=ALL_ALGORITHMS,
            )
        )


def _missing_fields(message: Request) -> str:
    """What the message lacks, for a person; empty when it is whole."""
    wanted = _MANDATORY.get(message.type, ())
    if isinstance(message, NodeList) and message.list_type is not None:
        wanted += _MANDATORY_IN_LIST.get(message.list_type, ())
    return ", ".join(name.replace("_", " ") for name in wanted if getattr(message, name) is None)
