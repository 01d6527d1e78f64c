"""The 24 options of the protocol: how a body is cut into options, and how each option's value is read and written.

    body   := option*                                   at least one
    option := type:u16  length:u16  value[length]       big-endian, no padding

`OPTIONS` is the whole of what is accepted. A value is checked wherever its option stands, also in a message that has
no use for it; an option that is not in the table is skipped, whatever its length.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

from thirdvote.domain import (
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
from thirdvote.errors import Undecodable
from thirdvote.wire.messages import OptionType

_HEADER = struct.Struct(">HH")
_RING_ID = struct.Struct(">IQ")
_TIE_BREAKER = struct.Struct(">BI")

_NODE_INFOS_KEPT = 1024
"""Every list has the same few entries again, so the last of them are kept as they were read and written."""

_NODE_INFO_USUAL = 21
"""Bytes: an entry with all three options. One with more in it may be as long as a message, and is not kept."""


@dataclass(frozen=True, slots=True)
class Option:
    """`read` raises Undecodable saying what is wrong with the value. `repeats`: every occurrence counts, not only the last."""

    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]
    repeats: bool = False


def split(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The options of a body, or of a NODE_INFO, one by one: number and raw value."""
    if not data:
        raise Undecodable("no option at all")
    offset, end = 0, len(data)
    while offset < end:
        start = offset + 4
        if start > end:
            raise Undecodable(f"{end - offset} bytes at the end, too few for an option")
        number, length = _HEADER.unpack_from(data, offset)
        offset = start + length
        if offset > end:
            raise Undecodable(f"{name_of(number)}: {length} bytes announced, {end - start} there")
        yield number, data[start:offset]


def name_of(number: int) -> str:
    return OptionType(number).name if number in OPTIONS else f"option {number}"


def write_option(number: OptionType, value: Any) -> bytes:
    """The whole option; OverflowError or struct.error if `value` does not fit its width."""
    raw = OPTIONS[number].write(value)
    return _HEADER.pack(number, len(raw)) + raw


def _check_length(value: bytes, length: int) -> None:
    if len(value) != length:
        raise Undecodable(f"length {len(value)}, not {length}")


def _unsigned(length: int) -> Option:
    def read(value: bytes) -> int:
        _check_length(value, length)
        return int.from_bytes(value, "big")

    return Option(read, lambda number: int(number).to_bytes(length, "big"))


def _one_byte(values: Mapping[int, object]) -> Option:
    """One byte that stands for one of `values`, and nothing else."""
    meanings = {bytes((number,)): value for number, value in values.items()}

    def read(value: bytes) -> object:
        meaning = meanings.get(value)
        if meaning is None:
            _check_length(value, 1)
            raise Undecodable(f"value {value[0]}, not {min(values)} to {max(values)}")
        return meaning

    return Option(read, lambda value: bytes((int(value),)))


def _member_of(kind: type[IntEnum], *, but: tuple[IntEnum, ...] = ()) -> Option:
    return _one_byte({int(member): member for member in kind if member not in but})


def _read_numbers(value: bytes) -> tuple[int, ...]:
    if len(value) % 2:
        raise Undecodable(f"length {len(value)}, not even")
    return struct.unpack(f">{len(value) // 2}H", value)


def _write_numbers(numbers: tuple[int, ...]) -> bytes:
    return struct.pack(f">{len(numbers)}H", *numbers)


def _read_ring_id(value: bytes) -> RingId:
    _check_length(value, _RING_ID.size)
    node_id, sequence = _RING_ID.unpack(value)
    return RingId(NodeId(node_id), sequence)


def _write_ring_id(ring_id: RingId) -> bytes:
    return _RING_ID.pack(ring_id.node_id, ring_id.sequence)


_TIE_BREAKER_MODES = {int(mode): mode for mode in TieBreakerMode}


def _read_tie_breaker(value: bytes) -> TieBreaker:
    _check_length(value, _TIE_BREAKER.size)
    number, node_id = _TIE_BREAKER.unpack(value)
    mode = _TIE_BREAKER_MODES.get(number)
    if mode is None:
        raise Undecodable(f"mode {number}, not 1 to 3")
    return TieBreaker(mode, NodeId(node_id if mode is TieBreakerMode.NODE_ID else 0))


def _write_tie_breaker(tie_breaker: TieBreaker) -> bytes:
    return _TIE_BREAKER.pack(tie_breaker.mode, tie_breaker.node_id if tie_breaker.mode is TieBreakerMode.NODE_ID else 0)


def _read_node_info(value: bytes) -> NodeInfo:
    return _read_usual_node_info(value) if len(value) <= _NODE_INFO_USUAL else _read_any_node_info(value)


def _read_any_node_info(value: bytes) -> NodeInfo:
    found = {number: read_option(number, nested) for number, nested in split(value) if number in _IN_NODE_INFO}
    node_id = found.get(OptionType.NODE_ID)
    if not node_id:
        raise Undecodable("no node id, or node id 0")
    return NodeInfo(NodeId(node_id), found.get(OptionType.DATA_CENTER_ID, 0), found.get(OptionType.NODE_STATE))


_read_usual_node_info = lru_cache(_NODE_INFOS_KEPT)(_read_any_node_info)


@lru_cache(_NODE_INFOS_KEPT)
def _write_node_info(node: NodeInfo) -> bytes:
    data = write_option(OptionType.NODE_ID, node.node_id)
    if node.data_center_id:
        data += write_option(OptionType.DATA_CENTER_ID, node.data_center_id)
    if node.state is not None:
        data += write_option(OptionType.NODE_STATE, node.state)
    return data


def _read_any_flag(value: bytes) -> bool:
    _check_length(value, 1)
    return value != b"\0"


_IN_NODE_INFO = frozenset((OptionType.NODE_ID, OptionType.DATA_CENTER_ID, OptionType.NODE_STATE))
_FLAG = _one_byte({0: False, 1: True})
_NUMBERS = Option(_read_numbers, _write_numbers)

OPTIONS: Mapping[int, Option] = {
    OptionType.MSG_SEQ_NUMBER: _unsigned(4),
    OptionType.CLUSTER_NAME: Option(ClusterName, bytes),
    OptionType.TLS_SUPPORTED: _member_of(TlsSupport),
    OptionType.TLS_CLIENT_CERT_REQUIRED: Option(_read_any_flag, _FLAG.write),
    OptionType.SUPPORTED_MESSAGES: _NUMBERS,
    OptionType.SUPPORTED_OPTIONS: _NUMBERS,
    OptionType.REPLY_ERROR_CODE: _unsigned(2),
    OptionType.SERVER_MAXIMUM_REQUEST_SIZE: _unsigned(4),
    OptionType.SERVER_MAXIMUM_REPLY_SIZE: _unsigned(4),
    OptionType.NODE_ID: _unsigned(4),
    OptionType.SUPPORTED_DECISION_ALGORITHMS: _NUMBERS,
    OptionType.DECISION_ALGORITHM: _unsigned(2),
    OptionType.HEARTBEAT_INTERVAL: _unsigned(4),
    OptionType.RING_ID: Option(_read_ring_id, _write_ring_id),
    OptionType.CONFIG_VERSION: _unsigned(8),
    OptionType.DATA_CENTER_ID: _unsigned(4),
    OptionType.NODE_STATE: _member_of(NodeState),
    OptionType.NODE_INFO: Option(_read_node_info, _write_node_info, repeats=True),
    OptionType.NODE_LIST_TYPE: _member_of(NodeListType),
    OptionType.VOTE: _member_of(Vote),
    OptionType.QUORATE: _FLAG,
    OptionType.TIE_BREAKER: Option(_read_tie_breaker, _write_tie_breaker),
    OptionType.HEURISTICS: _member_of(Heuristics, but=(Heuristics.UNDEFINED,)),
    OptionType.KEEP_ACTIVE_PARTITION_TIE_BREAKER: _FLAG,
}

REPEATED = frozenset(number for number, option in OPTIONS.items() if option.repeats)


def read_option(number: int, value: bytes) -> Any:
    """The meaning of a known option; Undecodable names the option and what is wrong with it."""
    try:
        return OPTIONS[number].read(value)
    except Undecodable as fault:
        raise Undecodable(f"{name_of(number)}: {fault}") from None
