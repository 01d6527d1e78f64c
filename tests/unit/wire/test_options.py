from __future__ import annotations

from typing import Any

import pytest

from thirdvote.domain import NodeId, NodeInfo, NodeState, RingId, TieBreaker, TieBreakerMode, Vote
from thirdvote.errors import Undecodable
from thirdvote.wire.messages import OptionType
from thirdvote.wire.options import OPTIONS, read_option, split, write_option


def test_every_option_of_the_protocol_is_in_the_table_and_no_other() -> None:
    assert list(OPTIONS) == list(OptionType)


def test_split_gives_number_and_raw_value_of_each_option() -> None:
    assert list(split(bytes.fromhex("0000 0004 00000007  1234 0000  0013 0001 01"))) == [(0, b"\0\0\0\7"), (0x1234, b""), (19, b"\1")]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ("", "no option at all"),
        ("0013 0001 01 00", "1 bytes at the end, too few for an option"),
        ("0013 0001 01 000000", "3 bytes at the end, too few for an option"),
        ("0013 0002 01", "VOTE: 2 bytes announced, 1 there"),
        ("0063 ffff", "option 99: 65535 bytes announced, 0 there"),
    ],
)
def test_split_refuses_what_is_not_a_run_of_options(data: str, fault: str) -> None:
    with pytest.raises(Undecodable) as error:
        list(split(bytes.fromhex(data)))
    assert str(error.value) == fault


@pytest.mark.parametrize(
    ("option", "raw", "value"),
    [
        (OptionType.MSG_SEQ_NUMBER, "ffffffff", 0xFFFFFFFF),
        (OptionType.CLUSTER_NAME, "", b""),
        (OptionType.CLUSTER_NAME, "61 00 ff", b"a\0\xff"),
        (OptionType.TLS_CLIENT_CERT_REQUIRED, "01", True),
        (OptionType.SUPPORTED_MESSAGES, "", ()),
        (OptionType.SUPPORTED_OPTIONS, "0000 ffff", (0, 0xFFFF)),
        (OptionType.REPLY_ERROR_CODE, "ffff", 0xFFFF),
        (OptionType.NODE_ID, "00000000", 0),
        (OptionType.DECISION_ALGORITHM, "0009", 9),
        (OptionType.RING_ID, "00000002 0000000100000003", RingId(NodeId(2), 0x1_0000_0003)),
        (OptionType.CONFIG_VERSION, "ffffffffffffffff", 2**64 - 1),
        (OptionType.VOTE, "05", Vote.NO_CHANGE),
        (OptionType.QUORATE, "00", False),
        (OptionType.TIE_BREAKER, "03 00000007", TieBreaker(TieBreakerMode.NODE_ID, NodeId(7))),
        (OptionType.NODE_INFO, "0009 0004 00000001", NodeInfo(NodeId(1))),
        (
            OptionType.NODE_INFO,
            "0009 0004 00000001 000f 0004 00000007 0010 0001 03",
            NodeInfo(NodeId(1), data_center_id=7, state=NodeState.LEAVING),
        ),
    ],
)
def test_value_is_read_and_written(option: OptionType, raw: str, value: Any) -> None:
    data = bytes.fromhex(raw)
    assert read_option(option, data) == value
    assert write_option(option, value) == option.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


@pytest.mark.parametrize(
    ("option", "raw", "value"),
    [
        (OptionType.TLS_CLIENT_CERT_REQUIRED, "ff", True),
        (OptionType.TIE_BREAKER, "01 00000007", TieBreaker(TieBreakerMode.LOWEST)),
        (OptionType.NODE_INFO, "0063 0001 ff 0009 0004 00000001", NodeInfo(NodeId(1))),
        (OptionType.NODE_INFO, "0009 0004 00000001 0013 0001 00", NodeInfo(NodeId(1))),
        (OptionType.NODE_INFO, "0009 0004 00000000 0009 0004 00000002", NodeInfo(NodeId(2))),
        (OptionType.NODE_INFO, "0009 0004 00000001 000f 0004 00000000", NodeInfo(NodeId(1))),
    ],
    ids=[
        "any flag that is not 0 is yes",
        "node id of a tie-breaker in another mode is nothing",
        "unknown option in a node info is skipped",
        "an option that means nothing in a node info is not even checked",
        "the last node id counts",
        "data center 0 is none",
    ],
)
def test_value_that_is_read_more_kindly_than_it_is_written(option: OptionType, raw: str, value: Any) -> None:
    assert read_option(option, bytes.fromhex(raw)) == value
    assert write_option(option, value)[4:] != bytes.fromhex(raw)


@pytest.mark.parametrize(
    ("option", "raw", "fault"),
    [
        (OptionType.MSG_SEQ_NUMBER, "000001", "MSG_SEQ_NUMBER: length 3, not 4"),
        (OptionType.TLS_SUPPORTED, "03", "TLS_SUPPORTED: value 3, not 0 to 2"),
        (OptionType.TLS_CLIENT_CERT_REQUIRED, "", "TLS_CLIENT_CERT_REQUIRED: length 0, not 1"),
        (OptionType.SUPPORTED_MESSAGES, "000001", "SUPPORTED_MESSAGES: length 3, not even"),
        (OptionType.RING_ID, "00000001", "RING_ID: length 4, not 12"),
        (OptionType.NODE_LIST_TYPE, "04", "NODE_LIST_TYPE: value 4, not 0 to 3"),
        (OptionType.VOTE, "00", "VOTE: value 0, not 1 to 5"),
        (OptionType.VOTE, "0101", "VOTE: length 2, not 1"),
        (OptionType.TIE_BREAKER, "00 00000000", "TIE_BREAKER: mode 0, not 1 to 3"),
        (OptionType.HEURISTICS, "00", "HEURISTICS: value 0, not 1 to 2"),
        (OptionType.NODE_INFO, "", "NODE_INFO: no option at all"),
        (OptionType.NODE_INFO, "000f 0004 00000001", "NODE_INFO: no node id, or node id 0"),
        (OptionType.NODE_INFO, "0009 0004 00000000", "NODE_INFO: no node id, or node id 0"),
        (OptionType.NODE_INFO, "0009 0004 00000001 00", "NODE_INFO: 1 bytes at the end, too few for an option"),
        (OptionType.NODE_INFO, "0009 0004 00000001 0010 0001 04", "NODE_INFO: NODE_STATE: value 4, not 1 to 3"),
    ],
)
def test_fault_names_the_option_and_what_is_wrong_with_it(option: OptionType, raw: str, fault: str) -> None:
    with pytest.raises(Undecodable) as error:
        read_option(option, bytes.fromhex(raw))
    assert str(error.value) == fault
