from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from thirdvote.errors import ReplyCode
from thirdvote.wire.codec import HEADER
from thirdvote.wire.framing import Frame, FrameReader, Skipped
from thirdvote.wire.messages import MessageType

MAXIMUM = 64

wire_messages = st.tuples(st.integers(0, 20), st.binary(max_size=MAXIMUM + 10))


def on_the_wire(message: tuple[int, bytes]) -> bytes:
    number, body = message
    return HEADER.pack(number, len(body)) + body


def expected(message: tuple[int, bytes]) -> Frame | Skipped:
    number, body = message
    if number > 17:
        return Skipped(ReplyCode.UNSUPPORTED_MESSAGE)
    if len(on_the_wire(message)) > MAXIMUM:
        return Skipped(ReplyCode.MESSAGE_TOO_LONG)
    return Frame(MessageType(number), body)


@st.composite
def chunked_streams(draw: st.DrawFn) -> tuple[list[tuple[int, bytes]], bytes, list[bytes]]:
    """Whole messages, the beginning of one more, and all of it cut into chunks anyhow."""
    sent = draw(st.lists(wire_messages, max_size=6))
    unfinished = on_the_wire(draw(wire_messages))
    rest = unfinished[: draw(st.integers(0, len(unfinished) - 1))]
    stream = b"".join(map(on_the_wire, sent)) + rest
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return sent, rest, [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]


def drain(reader: FrameReader) -> list[Frame | Skipped]:
    return list(iter(reader.next, None))


@given(chunked_streams())
def test_chunks_make_no_difference_and_little_is_kept(case: tuple[list[tuple[int, bytes]], bytes, list[bytes]]) -> None:
    sent, _, chunks = case
    reader = FrameReader(MAXIMUM)
    found: list[Frame | Skipped] = []
    for chunk in chunks:
        reader.feed(chunk)
        assert len(deepcopy(reader).take_rest()) < MAXIMUM + len(chunk)
        found += drain(reader)
        assert len(deepcopy(reader).take_rest()) < MAXIMUM
    assert found == [expected(message) for message in sent]


@given(chunked_streams(), st.integers(0, 8))
def test_no_byte_is_lost_or_told_twice_when_the_rest_is_taken(case: tuple[list[tuple[int, bytes]], bytes, list[bytes]], taken: int) -> None:
    """As for STARTTLS: stop after some messages, and what follows them is all there."""
    sent, rest, _ = case
    readable = [message for message in sent if isinstance(expected(message), Frame)]
    stream = b"".join(map(on_the_wire, readable))
    reader = FrameReader(MAXIMUM)
    reader.feed(stream + rest)
    for message in readable[:taken]:
        assert reader.next() == expected(message)
    assert reader.take_rest() == b"".join(map(on_the_wire, readable[taken:])) + rest
    assert reader.next() is None


@given(st.binary(max_size=300), st.integers(6, 100))
def test_any_bytes_are_frames_skipped_messages_or_an_unfinished_one(data: bytes, maximum: int) -> None:
    reader = FrameReader(maximum)
    reader.feed(data)
    for found in drain(reader):
        assert isinstance(found, Skipped) or HEADER.size + len(found.body) <= maximum
    assert len(reader.take_rest()) < maximum
