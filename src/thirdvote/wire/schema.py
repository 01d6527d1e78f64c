"""The 18 messages as a table: for each, its dataclass and its options in the order in which the stock programs write them.

Reading takes options in any order; which of them a receiver insists on is the session's matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from thirdvote.wire import messages
from thirdvote.wire.messages import MessageType, OptionType

Fields: TypeAlias = tuple[tuple[OptionType, str], ...]


@dataclass(frozen=True, slots=True)
class MessageSchema:
    """`fields`: each option and the name of the dataclass field that holds its value."""

    kind: type[messages.Message]
    fields: Fields


_NUMBER = (OptionType.MSG_SEQ_NUMBER, "sequence_number")
_MESSAGES = (OptionType.SUPPORTED_MESSAGES, "supported_messages")
_OPTIONS = (OptionType.SUPPORTED_OPTIONS, "supported_options")
_ERROR = (OptionType.REPLY_ERROR_CODE, "error_code")
_HEARTBEAT = (OptionType.HEARTBEAT_INTERVAL, "heartbeat_ms")
_KEEP = (OptionType.KEEP_ACTIVE_PARTITION_TIE_BREAKER, "keep_active_partition")
_LIST_TYPE = (OptionType.NODE_LIST_TYPE, "list_type")
_RING = (OptionType.RING_ID, "ring_id")
_VOTE = (OptionType.VOTE, "vote")
_HEURISTICS = (OptionType.HEURISTICS, "heuristics")

MESSAGES: Mapping[MessageType, MessageSchema] = {
    schema.kind.type: schema
    for schema in (
        MessageSchema(messages.Preinit, (_NUMBER, (OptionType.CLUSTER_NAME, "cluster_name"))),
        MessageSchema(
            messages.PreinitReply,
            (_NUMBER, (OptionType.TLS_SUPPORTED, "tls_supported"), (OptionType.TLS_CLIENT_CERT_REQUIRED, "client_certificate_required")),
        ),
        MessageSchema(messages.StartTls, (_NUMBER,)),
        MessageSchema(
            messages.Init,
            (
                _NUMBER,
                _MESSAGES,
                _OPTIONS,
                (OptionType.NODE_ID, "node_id"),
                (OptionType.DECISION_ALGORITHM, "algorithm"),
                _HEARTBEAT,
                (OptionType.TIE_BREAKER, "tie_breaker"),
                _RING,
            ),
        ),
        MessageSchema(
            messages.InitReply,
            (
                _ERROR,
                _MESSAGES,
                _OPTIONS,
                _NUMBER,
                (OptionType.SERVER_MAXIMUM_REQUEST_SIZE, "maximum_request_size"),
                (OptionType.SERVER_MAXIMUM_REPLY_SIZE, "maximum_reply_size"),
                (OptionType.SUPPORTED_DECISION_ALGORITHMS, "supported_algorithms"),
            ),
        ),
        MessageSchema(messages.ServerError, (_NUMBER, _ERROR)),
        MessageSchema(messages.SetOption, (_NUMBER, _HEARTBEAT, _KEEP)),
        MessageSchema(messages.SetOptionReply, (_NUMBER, _HEARTBEAT, _KEEP)),
        MessageSchema(messages.EchoRequest, (_NUMBER,)),
        MessageSchema(messages.EchoReply, (_NUMBER,)),
        MessageSchema(
            messages.NodeList,
            (
                _NUMBER,
                _LIST_TYPE,
                (OptionType.CONFIG_VERSION, "config_version"),
                _RING,
                (OptionType.QUORATE, "quorate"),
                (OptionType.NODE_INFO, "nodes"),
                _HEURISTICS,
            ),
        ),
        MessageSchema(messages.NodeListReply, (_NUMBER, _LIST_TYPE, _RING, _VOTE)),
        MessageSchema(messages.AskForVote, (_NUMBER,)),
        MessageSchema(messages.AskForVoteReply, (_NUMBER, _VOTE, _RING)),
        MessageSchema(messages.VoteInfo, (_NUMBER, _VOTE, _RING)),
        MessageSchema(messages.VoteInfoReply, (_NUMBER,)),
        MessageSchema(messages.HeuristicsChange, (_NUMBER, _HEURISTICS)),
        MessageSchema(messages.HeuristicsChangeReply, (_NUMBER, _VOTE, _RING, _HEURISTICS)),
    )
}
