"""What the vectors do not show: the rules for odd input, and for what may be left out."""

from __future__ import annotations

import pytest

from thirdvote.domain import Heuristics, NodeId, NodeInfo, NodeListType, RingId, Vote
from thirdvote.errors import ReplyCode, Undecodable
from thirdvote.wire.codec import decode, encode
from thirdvote.wire.messages import (
    EchoReply,
    EchoRequest,
    HeuristicsChangeReply,
    InitReply,
    MessageType,
    NodeList,
    OptionType,
    VoteInfoReply,
)

NUMBER_7 = bytes.fromhex("0000 0004 00000007")

A_GOOD_VALUE = {
    OptionType.MSG_SEQ_NUMBER: "00000001",
    OptionType.TLS_SUPPORTED: "00",
    OptionType.TLS_CLIENT_CERT_REQUIRED: "00",
    OptionType.SUPPORTED_MESSAGES: "0001",
    OptionType.SUPPORTED_OPTIONS: "0001",
    OptionType.REPLY_ERROR_CODE: "0001",
    OptionType.SERVER_MAXIMUM_REQUEST_SIZE: "00008000",
    OptionType.SERVER_MAXIMUM_REPLY_SIZE: "00008000",
    OptionType.NODE_ID: "00000001",
    OptionType.SUPPORTED_DECISION_ALGORITHMS: "0001",
    OptionType.DECISION_ALGORITHM: "0001",
    OptionType.HEARTBEAT_INTERVAL: "00001f40",
    OptionType.RING_ID: "00000001 0000000000000009",
    OptionType.CONFIG_VERSION: "0000000000000001",
    OptionType.DATA_CENTER_ID: "00000001",
    OptionType.NODE_STATE: "01",
    OptionType.NODE_INFO: "0009 0004 00000001",
    OptionType.NODE_LIST_TYPE: "00",
    OptionType.VOTE: "01",
    OptionType.QUORATE: "00",
    OptionType.TIE_BREAKER: "01 00000000",
    OptionType.HEURISTICS: "01",
    OptionType.KEEP_ACTIVE_PARTITION_TIE_BREAKER: "00",
}
"""All but CLUSTER_NAME, for which there is no bad one."""

BAD_VALUES = {
    OptionType.TLS_SUPPORTED: ("03", "ff"),
    OptionType.NODE_STATE: ("00", "04"),
    OptionType.NODE_INFO: ("0009 0004 00000000", "0010 0001 01", "0009 0003 000000", "0009 0004 00000001 0010 0001 00"),
    OptionType.NODE_LIST_TYPE: ("04", "ff"),
    OptionType.VOTE: ("00", "06"),
    OptionType.QUORATE: ("02", "ff"),
    OptionType.TIE_BREAKER: ("00 00000001", "04 00000001"),
    OptionType.HEURISTICS: ("00", "03"),
    OptionType.KEEP_ACTIVE_PARTITION_TIE_BREAKER: ("02", "ff"),
}


def option_bytes(option: int, value: bytes) -> bytes:
    return option.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


def damaged() -> list[tuple[OptionType, bytes]]:
    good = {option: bytes.fromhex(text) for option, text in A_GOOD_VALUE.items()}
    too_long = [(option, value + b"\0") for option, value in good.items()]
    too_short = [(option, value[:-1]) for option, value in good.items()]
    wrong = [(option, bytes.fromhex(text)) for option, texts in BAD_VALUES.items() for text in texts]
    return too_long + too_short + wrong


def test_the_damage_table_speaks_of_every_option() -> None:
    assert {*A_GOOD_VALUE, OptionType.CLUSTER_NAME} == set(OptionType)


@pytest.mark.parametrize("kind", MessageType, ids=lambda kind: kind.name)
def test_good_value_of_any_option_is_accepted_in_any_message(kind: MessageType) -> None:
    for option, text in A_GOOD_VALUE.items():
        assert decode(kind, option_bytes(option, bytes.fromhex(text))).type is kind


@pytest.mark.parametrize("kind", MessageType, ids=lambda kind: kind.name)
def test_bad_length_or_value_of_any_option_is_refused_in_any_message(kind: MessageType) -> None:
    for option, value in damaged():
        for before, number in ((b"", None), (NUMBER_7, 7)):
            with pytest.raises(Undecodable, match=f"^{option.name}: ") as error:
                decode(kind, before + option_bytes(option, value) + option_bytes(OptionType.MSG_SEQ_NUMBER, b"\0\0\0\x09"))
            assert error.value.sequence_number == number


@pytest.mark.parametrize("kind", MessageType, ids=lambda kind: kind.name)
@pytest.mark.parametrize("end", ["00", "0000", "000000", "0063 0001", "0000 0004 000000"])
def test_body_that_does_not_end_with_an_option_is_refused(kind: MessageType, end: str) -> None:
    with pytest.raises(Undecodable) as error:
        decode(kind, NUMBER_7 + bytes.fromhex(end))
    assert error.value.sequence_number == 7
    assert error.value.code is ReplyCode.UNDECODABLE


@pytest.mark.parametrize("kind", MessageType, ids=lambda kind: kind.name)
def test_empty_body_is_refused(kind: MessageType) -> None:
    with pytest.raises(Undecodable) as error:
        decode(kind, b"")
    assert error.value.sequence_number is None


@pytest.mark.parametrize("kind", MessageType, ids=lambda kind: kind.name)
def test_last_of_an_option_counts_and_unknown_ones_do_not(kind: MessageType) -> None:
    body = NUMBER_7 + option_bytes(24, b"") + option_bytes(0xFFFF, b"whatever") + option_bytes(OptionType.MSG_SEQ_NUMBER, b"\0\0\0\x09")
    assert decode(kind, body).sequence_number == 9


def test_options_are_read_in_any_order_and_written_in_the_stock_order() -> None:
    data = encode(
        NodeList(5, NodeListType.MEMBERSHIP, None, RingId(NodeId(1), 9), None, (NodeInfo(NodeId(2)), NodeInfo(NodeId(1))), Heuristics.PASS)
    )
    pieces = [bytes.fromhex(text) for text in ("0016000101", "0011000800090004 00000002", "000d000c000000010000000000000009", "0012000102")]
    body = b"".join(pieces) + bytes.fromhex("0011000800090004 00000001") + bytes.fromhex("0000 0004 00000005")
    assert encode(decode(MessageType.NODE_LIST, body)) == data


def test_repeated_nodes_are_kept_in_wire_order() -> None:
    one, two = (option_bytes(OptionType.NODE_INFO, option_bytes(OptionType.NODE_ID, bytes((0, 0, 0, node)))) for node in (1, 2))
    message = decode(MessageType.NODE_LIST, two + one + two)
    assert isinstance(message, NodeList)
    assert message.nodes == (NodeInfo(NodeId(2)), NodeInfo(NodeId(1)), NodeInfo(NodeId(2)))


def test_option_without_meaning_in_a_message_is_checked_and_dropped() -> None:
    assert decode(MessageType.VOTE_INFO_REPLY, NUMBER_7 + option_bytes(OptionType.VOTE, b"\1")) == VoteInfoReply(7)


def test_list_that_is_there_and_empty_is_not_one_that_is_missing() -> None:
    assert decode(MessageType.INIT_REPLY, option_bytes(OptionType.SUPPORTED_MESSAGES, b"")) == InitReply(supported_messages=())
    assert encode(InitReply(supported_messages=())) == bytes.fromhex("0004 00000004 0004 0000")


def test_undefined_heuristics_are_left_out() -> None:
    reply = HeuristicsChangeReply(1, Vote.NO_CHANGE, RingId(NodeId(1), 9), Heuristics.UNDEFINED)
    assert b"\x00\x16" not in encode(reply)[6:]
    message = decode(MessageType.HEURISTICS_CHANGE_REPLY, encode(reply)[6:])
    assert message == HeuristicsChangeReply(1, Vote.NO_CHANGE, RingId(NodeId(1), 9), None)


@pytest.mark.parametrize("kind", [EchoRequest, EchoReply])
@pytest.mark.parametrize("body", [NUMBER_7, NUMBER_7 + option_bytes(0x1234, b"kept"), option_bytes(OptionType.QUORATE, b"\1")])
def test_echo_keeps_its_body(kind: type[EchoRequest] | type[EchoReply], body: bytes) -> None:
    message = decode(kind.type, body)
    assert message == kind(body, 7 if body.startswith(NUMBER_7) else None)
    assert encode(message) == bytes((0, kind.type)) + len(body).to_bytes(4, "big") + body


def test_value_that_its_option_cannot_hold_is_not_written() -> None:
    with pytest.raises(OverflowError):
        encode(VoteInfoReply(2**32))
