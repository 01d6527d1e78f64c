"""Bytes <-> messages, by the tables of `schema` and `options`.

Options come in any order; of one that comes twice the last counts, but every NODE_INFO does. The sequence number goes
into an error only when its option came before the fault. The work is linear in the length of the body.
"""

from __future__ import annotations

import struct
from typing import Any

from thirdvote.domain import Heuristics
from thirdvote.errors import Undecodable
from thirdvote.wire.messages import EchoReply, EchoRequest, Message, MessageType, OptionType
from thirdvote.wire.options import OPTIONS, REPEATED, read_option, split, write_option
from thirdvote.wire.schema import MESSAGES

HEADER = struct.Struct(">HI")
"""Message type, and the length of the body, which does not count this header."""

_LONE_NUMBER = b"\x00\x00\x00\x04"
"""How a body starts that is, as nearly every echo is, a sequence number and nothing else (8 bytes)."""


def encode(message: Message) -> bytes:
    """The complete message. Fields that are None are left out, and so are heuristics that are UNDEFINED: the wire has no value for them."""
    body = message.body if isinstance(message, EchoRequest | EchoReply) else _write_fields(message)
    return HEADER.pack(message.type, len(body)) + body


def decode(kind: MessageType, body: bytes) -> Message:
    """The message whose type and body these are; raises Undecodable and nothing else."""
    is_echo = kind is MessageType.ECHO_REQUEST or kind is MessageType.ECHO_REPLY
    if is_echo and len(body) == 8 and body.startswith(_LONE_NUMBER):
        number = int.from_bytes(body[4:], "big")
        return EchoRequest(body, number) if kind is MessageType.ECHO_REQUEST else EchoReply(body, number)
    schema = MESSAGES[kind]
    values = _read_options(body)
    fields = {name: values[option] for option, name in schema.fields if option in values}
    if is_echo:
        fields["body"] = body
    return schema.kind(**fields)


def _read_options(body: bytes) -> dict[int, Any]:
    values: dict[int, Any] = {}
    repeated: dict[int, list[Any]] = {}
    try:
        for number, raw in split(body):
            if number in REPEATED:
                repeated.setdefault(number, []).append(read_option(number, raw))
            elif number in OPTIONS:
                values[number] = read_option(number, raw)
    except Undecodable as fault:
        raise Undecodable(str(fault), values.get(OptionType.MSG_SEQ_NUMBER)) from None
    for number, found in repeated.items():
        values[number] = tuple(found)
    return values


def _write_fields(message: Message) -> bytes:
    parts: list[bytes] = []
    for option, name in MESSAGES[message.type].fields:
        value = getattr(message, name)
        if value is None or value is Heuristics.UNDEFINED:
            continue
        if option in REPEATED:
            parts += [write_option(option, item) for item in value]
        else:
            parts.append(write_option(option, value))
    return b"".join(parts)
