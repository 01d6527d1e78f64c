from __future__ import annotations

from copy import deepcopy

import pytest

from thirdvote.errors import ReplyCode
from thirdvote.wire.framing import Frame, FrameReader, Skipped
from thirdvote.wire.messages import MessageType

ECHO = bytes.fromhex("0008 00000008 0000 0004 00000001")
ECHO_FRAME = Frame(MessageType.ECHO_REQUEST, ECHO[6:])
TOO_LONG = Skipped(ReplyCode.MESSAGE_TOO_LONG)
UNSUPPORTED = Skipped(ReplyCode.UNSUPPORTED_MESSAGE)


def header(kind: int, length: int) -> bytes:
    return kind.to_bytes(2, "big") + length.to_bytes(4, "big")


def test_message_comes_when_its_last_byte_has() -> None:
    reader = FrameReader(100)
    for byte in ECHO[:-1]:
        reader.feed(bytes((byte,)))
        assert reader.next() is None
    reader.feed(ECHO[-1:])
    assert reader.next() == ECHO_FRAME
    assert reader.next() is None


def test_messages_that_came_together_are_given_one_by_one() -> None:
    reader = FrameReader(100)
    reader.feed(ECHO + header(0, 0) + ECHO + ECHO[:3])
    assert [reader.next() for _ in range(4)] == [ECHO_FRAME, Frame(MessageType.PREINIT, b""), ECHO_FRAME, None]


def test_message_of_exactly_the_maximum_is_taken_and_one_byte_more_is_not() -> None:
    for maximum, expected in ((len(ECHO), ECHO_FRAME), (len(ECHO) - 1, TOO_LONG)):
        reader = FrameReader(maximum)
        reader.feed(ECHO)
        assert reader.next() == expected
        assert reader.next() is None


def test_maximum_may_change_between_messages() -> None:
    reader = FrameReader(10)
    reader.feed(ECHO + ECHO)
    assert reader.next() == TOO_LONG
    reader.maximum_size = 14
    assert reader.next() == ECHO_FRAME


@pytest.mark.parametrize(
    ("kind", "length", "expected"),
    [(8, 95, TOO_LONG), (18, 0, UNSUPPORTED), (18, 5, UNSUPPORTED), (0xFFFF, 5_000, UNSUPPORTED), (3, 5_000, TOO_LONG)],
    ids=["one byte too long", "unknown without a body", "unknown", "unknown and too long", "too long"],
)
def test_skipped_only_when_the_whole_body_is_gone(kind: int, length: int, expected: Skipped) -> None:
    reader = FrameReader(100)
    reader.feed(header(kind, length)[:-1])
    assert reader.next() is None
    reader.feed(header(kind, length)[-1:] + b"\0" * (length - 1 if length else 0))
    if length:
        assert reader.next() is None
        reader.feed(b"\0" + ECHO)
    else:
        reader.feed(ECHO)
    assert [reader.next() for _ in range(3)] == [expected, ECHO_FRAME, None]


def test_four_gigabytes_are_skipped_without_being_kept() -> None:
    reader = FrameReader(100)
    reader.feed(header(8, 2**32 - 1))
    block = bytes(2**20)
    for _ in range(4_095):
        reader.feed(block)
        assert reader.next() is None
    assert deepcopy(reader).take_rest() == b""
    reader.feed(block[:-1] + ECHO)
    assert [reader.next() for _ in range(3)] == [TOO_LONG, ECHO_FRAME, None]


def test_take_rest_gives_every_byte_that_no_message_was_made_of_and_forgets_them() -> None:
    reader = FrameReader(100)
    hello = b"\x16\x03\x01" + bytes(300)
    reader.feed(ECHO + hello)
    assert reader.next() == ECHO_FRAME
    assert reader.take_rest() == hello
    assert reader.take_rest() == b""
    reader.feed(ECHO)
    assert [reader.next(), reader.next()] == [ECHO_FRAME, None]


def test_take_rest_ends_what_was_being_skipped() -> None:
    reader = FrameReader(100)
    reader.feed(header(8, 5_000) + bytes(10))
    assert reader.next() is None
    assert reader.take_rest() == b""
    reader.feed(ECHO)
    assert [reader.next(), reader.next()] == [ECHO_FRAME, None]
