"""Every message of the stock programs is read to what they meant by it, and written back byte for byte."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from tests.vectors.reader import MessageVector, Options, message_vectors
from thirdvote.domain import Heuristics, NodeId, NodeInfo, NodeListType, NodeState, RingId, TieBreaker, TieBreakerMode, TlsSupport, Vote
from thirdvote.errors import Undecodable
from thirdvote.wire.codec import decode, encode
from thirdvote.wire.framing import Frame, FrameReader
from thirdvote.wire.messages import EchoReply, EchoRequest, MessageType, StartTls

VECTORS = message_vectors()

CANNOT_BE_READ = {
    "starttls_no_seq_empty_body": "a message without any option can be written, but the protocol has every receiver refuse it",
}

FIELD_OF = {
    "MSG_SEQ_NUMBER": "sequence_number",
    "CLUSTER_NAME": "cluster_name",
    "TLS_SUPPORTED": "tls_supported",
    "TLS_CLIENT_CERT_REQUIRED": "client_certificate_required",
    "SUPPORTED_MESSAGES": "supported_messages",
    "SUPPORTED_OPTIONS": "supported_options",
    "REPLY_ERROR_CODE": "error_code",
    "SERVER_MAXIMUM_REQUEST_SIZE": "maximum_request_size",
    "SERVER_MAXIMUM_REPLY_SIZE": "maximum_reply_size",
    "NODE_ID": "node_id",
    "SUPPORTED_DECISION_ALGORITHMS": "supported_algorithms",
    "DECISION_ALGORITHM": "algorithm",
    "HEARTBEAT_INTERVAL": "heartbeat_ms",
    "RING_ID": "ring_id",
    "CONFIG_VERSION": "config_version",
    "NODE_LIST_TYPE": "list_type",
    "VOTE": "vote",
    "QUORATE": "quorate",
    "TIE_BREAKER": "tie_breaker",
    "HEURISTICS": "heuristics",
    "KEEP_ACTIVE_PARTITION_TIE_BREAKER": "keep_active_partition",
}


def meaning(option: str, value: Any) -> object:
    match option:
        case "CLUSTER_NAME":
            return value.encode()
        case "TLS_SUPPORTED":
            return TlsSupport(value)
        case "TLS_CLIENT_CERT_REQUIRED" | "QUORATE" | "KEEP_ACTIVE_PARTITION_TIE_BREAKER":
            return bool(value)
        case "SUPPORTED_MESSAGES" | "SUPPORTED_OPTIONS" | "SUPPORTED_DECISION_ALGORITHMS":
            return tuple(value)
        case "RING_ID":
            return RingId(NodeId(value["node_id"]), value["seq"])
        case "NODE_LIST_TYPE":
            return NodeListType(value)
        case "VOTE":
            return Vote[value]
        case "TIE_BREAKER":
            return TieBreaker(TieBreakerMode(value["mode"]), NodeId(value["node_id"]))
        case "HEURISTICS":
            return Heuristics(value)
        case _:
            return int(value)


def node_info(entry: Options) -> NodeInfo:
    values = dict(entry)
    state = values.get("NODE_STATE")
    return NodeInfo(NodeId(values["NODE_ID"]), values.get("DATA_CENTER_ID", 0), None if state is None else NodeState(state))


def expected_fields(options: Options) -> dict[str, object]:
    expected: dict[str, object] = {FIELD_OF[name]: meaning(name, value) for name, value in options if name != "NODE_INFO"}
    nodes = tuple(node_info(value) for name, value in options if name == "NODE_INFO")
    return expected | ({"nodes": nodes} if nodes else {})


def frame_of(data: bytes) -> Frame:
    reader = FrameReader(32_768)
    reader.feed(data)
    frame = reader.next()
    assert isinstance(frame, Frame)
    assert reader.next() is None
    return frame


READABLE = [vector for vector in VECTORS if vector.name not in CANNOT_BE_READ]


@pytest.mark.parametrize("vector", READABLE, ids=lambda vector: vector.name)
def test_message_is_read_to_what_it_means_and_written_back(vector: MessageVector) -> None:
    frame = frame_of(vector.data)
    message = decode(frame.type, frame.body)
    assert message.type is MessageType[vector.message]
    absent = {field.name: field.default for field in fields(message)}
    body = {"body": vector.data[6:]} if isinstance(message, EchoRequest | EchoReply) else {}
    assert {field.name: getattr(message, field.name) for field in fields(message)} == absent | expected_fields(vector.options) | body
    assert encode(message) == vector.data


def test_starttls_without_a_number_can_only_be_written() -> None:
    (vector,) = (vector for vector in VECTORS if vector.name in CANNOT_BE_READ)
    assert encode(StartTls()) == vector.data
    with pytest.raises(Undecodable, match="no option at all"):
        decode(MessageType.STARTTLS, frame_of(vector.data).body)


def test_the_vectors_cover_every_message() -> None:
    assert {vector.message for vector in VECTORS} == {kind.name for kind in MessageType}
    assert len(VECTORS) == 150
