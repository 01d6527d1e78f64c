from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from thirdvote.domain import Heuristics, NodeId, NodeInfo, NodeListType, NodeState, RingId, TieBreaker, TieBreakerMode, TlsSupport, Vote
from thirdvote.errors import Undecodable
from thirdvote.wire.codec import HEADER, decode, encode
from thirdvote.wire.messages import EchoReply, EchoRequest, Message, MessageType
from thirdvote.wire.schema import MESSAGES


def unsigned(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**bits - 1)


numbers = st.lists(unsigned(16), max_size=40).map(tuple)
ring_ids = st.builds(RingId, unsigned(32).map(NodeId), unsigned(64))
tie_breakers = st.sampled_from([TieBreaker(TieBreakerMode.LOWEST), TieBreaker(TieBreakerMode.HIGHEST)]) | st.builds(
    TieBreaker, st.just(TieBreakerMode.NODE_ID), unsigned(32).map(NodeId)
)
node_infos = st.builds(NodeInfo, st.integers(1, 2**32 - 1).map(NodeId), unsigned(32), st.none() | st.sampled_from(NodeState))

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "sequence_number": unsigned(32),
    "cluster_name": st.binary(max_size=300),
    "tls_supported": st.sampled_from(TlsSupport),
    "client_certificate_required": st.booleans(),
    "supported_messages": numbers,
    "supported_options": numbers,
    "supported_algorithms": numbers,
    "error_code": unsigned(16),
    "maximum_request_size": unsigned(32),
    "maximum_reply_size": unsigned(32),
    "node_id": unsigned(32),
    "algorithm": unsigned(16),
    "heartbeat_ms": unsigned(32),
    "ring_id": ring_ids,
    "config_version": unsigned(64),
    "list_type": st.sampled_from(NodeListType),
    "vote": st.sampled_from(Vote),
    "quorate": st.booleans(),
    "tie_breaker": tie_breakers,
    "heuristics": st.sampled_from((Heuristics.PASS, Heuristics.FAIL)),
    "keep_active_partition": st.booleans(),
}


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Any message that has at least one option: one without any can be written but not read."""
    kind = draw(st.sampled_from([schema.kind for schema in MESSAGES.values() if schema.kind not in (EchoRequest, EchoReply)]))
    present: dict[str, Any] = {name: draw(st.none() | VALUES[name]) for _, name in MESSAGES[kind.type].fields if name != "nodes"}
    if kind.type is MessageType.NODE_LIST:
        present["nodes"] = draw(st.lists(node_infos, max_size=20).map(tuple))
    if all(value is None or value == () for value in present.values()):
        present["sequence_number"] = draw(VALUES["sequence_number"])
    return kind(**present)


@given(messages())
def test_what_is_written_is_read_back(message: Message) -> None:
    data = encode(message)
    number, length = HEADER.unpack_from(data)
    assert (number, length) == (message.type, len(data) - HEADER.size)
    assert decode(message.type, data[HEADER.size :]) == message


@given(messages())
def test_any_body_is_an_echo_that_comes_back_unchanged(message: Message) -> None:
    body = encode(message)[HEADER.size :]
    request = decode(MessageType.ECHO_REQUEST, body)
    assert isinstance(request, EchoRequest)
    assert request == EchoRequest(body, message.sequence_number)
    assert encode(EchoReply(request.body))[HEADER.size :] == body


def option_bytes(number: int, value: bytes) -> bytes:
    return number.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


runs_of_options = st.lists(
    st.tuples(st.integers(0, 26), st.binary(max_size=14)).map(lambda option: option_bytes(*option)),
    max_size=8,
).map(b"".join)


@given(st.sampled_from(MessageType), st.binary(max_size=200) | runs_of_options)
@example(MessageType.NODE_LIST, b"\0\x11\0\x04\0\x11\0\0")
def test_any_body_is_a_message_or_undecodable(kind: MessageType, body: bytes) -> None:
    result = read(kind, body)
    if isinstance(result, Undecodable):
        number = result.sequence_number
        assert str(result)
        assert number is None or option_bytes(0, number.to_bytes(4, "big")) in body
    else:
        assert result.type is kind


def read(kind: MessageType, body: bytes) -> Message | Undecodable:
    try:
        return decode(kind, body)
    except Undecodable as fault:
        return fault


@given(messages(), st.data())
def test_cut_anywhere_it_is_undecodable_or_the_options_before_the_cut(message: Message, data: st.DataObject) -> None:
    body = encode(message)[HEADER.size :]
    cut = body[: data.draw(st.integers(0, len(body) - 1))]
    try:
        shorter = decode(message.type, cut)
    except Undecodable:
        return
    assert len(encode(shorter)) == HEADER.size + len(cut)
    assert encode(message)[HEADER.size :].startswith(cut)
