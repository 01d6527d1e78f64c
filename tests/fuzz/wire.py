"""Framing and decoding under any bytes."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from zlib import crc32

from tests.fuzz.mutate import chunks, mutate
from tests.vectors.reader import exchanges, message_vectors
from thirdvote.errors import Undecodable
from thirdvote.wire.codec import HEADER, decode, encode
from thirdvote.wire.framing import Frame, FrameReader, Skipped

MAXIMUM_SIZE = 32_768


def seeds() -> list[bytes]:
    conversations = [b"".join(step.client for step in exchange.steps) for exchange in exchanges()]
    return [vector.data for vector in message_vectors()] + conversations


def mutant(random: Random, corpus: Sequence[bytes]) -> bytes:
    return mutate(random, b"".join(random.choices(corpus, k=random.choice((1, 1, 2, 5)))), corpus)


def target(data: bytes) -> None:
    whole = _read([data])
    assert _read(chunks(Random(crc32(data)), data)) == whole, "chunks make a difference"
    for found in whole:
        if isinstance(found, Frame):
            _decode(found)


def _read(pieces: list[bytes]) -> list[Frame | Skipped]:
    reader = FrameReader(MAXIMUM_SIZE)
    found: list[Frame | Skipped] = []
    for piece in pieces:
        reader.feed(piece)
        found.extend(iter(reader.next, None))
    assert len(reader.take_rest()) < MAXIMUM_SIZE, "the reader keeps more than one message"
    return found


def _decode(frame: Frame) -> None:
    """What can be read can be written, and means the same then."""
    try:
        message = decode(frame.type, frame.body)
    except Undecodable:
        return
    again = encode(message)
    number, length = HEADER.unpack_from(again)
    assert (number, length) == (frame.type, len(again) - HEADER.size)
    if length:
        assert decode(frame.type, again[HEADER.size :]) == message, "written and read again it is another message"
