"""The 18 messages of the protocol, one frozen dataclass each.

A field that may be absent on the wire is None when it was; which fields a receiver insists on is the session's
matter, not the wire's. Lists keep the order and the repetitions of the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from thirdvote.domain import ClusterName, Heuristics, NodeId, NodeInfo, NodeListType, RingId, TieBreaker, TlsSupport, Vote


class MessageType(IntEnum):
    PREINIT = 0
    PREINIT_REPLY = 1
    STARTTLS = 2
    INIT = 3
    INIT_REPLY = 4
    SERVER_ERROR = 5
    SET_OPTION = 6
    SET_OPTION_REPLY = 7
    ECHO_REQUEST = 8
    ECHO_REPLY = 9
    NODE_LIST = 10
    NODE_LIST_REPLY = 11
    ASK_FOR_VOTE = 12
    ASK_FOR_VOTE_REPLY = 13
    VOTE_INFO = 14
    VOTE_INFO_REPLY = 15
    HEURISTICS_CHANGE = 16
    HEURISTICS_CHANGE_REPLY = 17


class OptionType(IntEnum):
    MSG_SEQ_NUMBER = 0
    CLUSTER_NAME = 1
    TLS_SUPPORTED = 2
    TLS_CLIENT_CERT_REQUIRED = 3
    SUPPORTED_MESSAGES = 4
    SUPPORTED_OPTIONS = 5
    REPLY_ERROR_CODE = 6
    SERVER_MAXIMUM_REQUEST_SIZE = 7
    SERVER_MAXIMUM_REPLY_SIZE = 8
    NODE_ID = 9
    SUPPORTED_DECISION_ALGORITHMS = 10
    DECISION_ALGORITHM = 11
    HEARTBEAT_INTERVAL = 12
    RING_ID = 13
    CONFIG_VERSION = 14
    DATA_CENTER_ID = 15
    NODE_STATE = 16
    NODE_INFO = 17
    NODE_LIST_TYPE = 18
    VOTE = 19
    QUORATE = 20
    TIE_BREAKER = 21
    HEURISTICS = 22
    KEEP_ACTIVE_PARTITION_TIE_BREAKER = 23


@dataclass(frozen=True, slots=True)
class Preinit:
    type: ClassVar[MessageType] = MessageType.PREINIT
    sequence_number: int | None = None
    cluster_name: ClusterName | None = None


@dataclass(frozen=True, slots=True)
class PreinitReply:
    type: ClassVar[MessageType] = MessageType.PREINIT_REPLY
    sequence_number: int | None = None
    tls_supported: TlsSupport | None = None
    client_certificate_required: bool | None = None


@dataclass(frozen=True, slots=True)
class StartTls:
    type: ClassVar[MessageType] = MessageType.STARTTLS
    sequence_number: int | None = None


@dataclass(frozen=True, slots=True)
class Init:
    """`algorithm` is the number on the wire, of whatever value; `heartbeat_ms` likewise."""

    type: ClassVar[MessageType] = MessageType.INIT
    sequence_number: int | None = None
    supported_messages: tuple[int, ...] | None = None
    supported_options: tuple[int, ...] | None = None
    node_id: NodeId | None = None
    algorithm: int | None = None
    heartbeat_ms: int | None = None
    tie_breaker: TieBreaker | None = None
    ring_id: RingId | None = None


@dataclass(frozen=True, slots=True)
class InitReply:
    type: ClassVar[MessageType] = MessageType.INIT_REPLY
    error_code: int | None = None
    supported_messages: tuple[int, ...] | None = None
    supported_options: tuple[int, ...] | None = None
    sequence_number: int | None = None
    maximum_request_size: int | None = None
    maximum_reply_size: int | None = None
    supported_algorithms: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class ServerError:
    type: ClassVar[MessageType] = MessageType.SERVER_ERROR
    sequence_number: int | None = None
    error_code: int | None = None


@dataclass(frozen=True, slots=True)
class SetOption:
    type: ClassVar[MessageType] = MessageType.SET_OPTION
    sequence_number: int | None = None
    heartbeat_ms: int | None = None
    keep_active_partition: bool | None = None


@dataclass(frozen=True, slots=True)
class SetOptionReply:
    type: ClassVar[MessageType] = MessageType.SET_OPTION_REPLY
    sequence_number: int | None = None
    heartbeat_ms: int | None = None
    keep_active_partition: bool | None = None


@dataclass(frozen=True, slots=True)
class EchoRequest:
    """`body` is the whole body as it came (or goes), `sequence_number` what was read in it."""

    type: ClassVar[MessageType] = MessageType.ECHO_REQUEST
    body: bytes = b""
    sequence_number: int | None = None


@dataclass(frozen=True, slots=True)
class EchoReply:
    """The body of the request, byte for byte."""

    type: ClassVar[MessageType] = MessageType.ECHO_REPLY
    body: bytes = b""
    sequence_number: int | None = None


@dataclass(frozen=True, slots=True)
class NodeList:
    type: ClassVar[MessageType] = MessageType.NODE_LIST
    sequence_number: int | None = None
    list_type: NodeListType | None = None
    config_version: int | None = None
    ring_id: RingId | None = None
    quorate: bool | None = None
    nodes: tuple[NodeInfo, ...] = ()
    heuristics: Heuristics | None = None


@dataclass(frozen=True, slots=True)
class NodeListReply:
    type: ClassVar[MessageType] = MessageType.NODE_LIST_REPLY
    sequence_number: int | None = None
    list_type: NodeListType | None = None
    ring_id: RingId | None = None
    vote: Vote | None = None


@dataclass(frozen=True, slots=True)
class AskForVote:
    type: ClassVar[MessageType] = MessageType.ASK_FOR_VOTE
    sequence_number: int | None = None


@dataclass(frozen=True, slots=True)
class AskForVoteReply:
    type: ClassVar[MessageType] = MessageType.ASK_FOR_VOTE_REPLY
    sequence_number: int | None = None
    vote: Vote | None = None
    ring_id: RingId | None = None


@dataclass(frozen=True, slots=True)
class VoteInfo:
    type: ClassVar[MessageType] = MessageType.VOTE_INFO
    sequence_number: int | None = None
    vote: Vote | None = None
    ring_id: RingId | None = None


@dataclass(frozen=True, slots=True)
class VoteInfoReply:
    type: ClassVar[MessageType] = MessageType.VOTE_INFO_REPLY
    sequence_number: int | None = None


@dataclass(frozen=True, slots=True)
class HeuristicsChange:
    type: ClassVar[MessageType] = MessageType.HEURISTICS_CHANGE
    sequence_number: int | None = None
    heuristics: Heuristics | None = None


@dataclass(frozen=True, slots=True)
class HeuristicsChangeReply:
    type: ClassVar[MessageType] = MessageType.HEURISTICS_CHANGE_REPLY
    sequence_number: int | None = None
    vote: Vote | None = None
    ring_id: RingId | None = None
    heuristics: Heuristics | None = None


ClientMessage = Preinit | StartTls | Init | SetOption | EchoRequest | NodeList | AskForVote | VoteInfoReply | HeuristicsChange
ServerMessage = (
    PreinitReply | InitReply | ServerError | SetOptionReply | EchoReply | NodeListReply | AskForVoteReply | VoteInfo | HeuristicsChangeReply
)
Message = ClientMessage | ServerMessage
