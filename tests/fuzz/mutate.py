"""Damage to bytes, drawn from a seeded source, so that a seed replays a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

LENGTH_MAX = 100_000
"""A mutant is not let grow beyond this: three messages of the greatest size."""

TELLING_NUMBERS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 17, 18, 23, 24, 0x7F, 0x80, 0xFF, 0x7FFA, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def flip_bit(random: Random, data: bytearray) -> None:
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def set_byte(random: Random, data: bytearray) -> None:
    data[random.randrange(len(data))] = random.randrange(256)


def lie_about_a_number(random: Random, data: bytearray) -> None:
    """Writes a number where a length, a type or a value may stand."""
    width = random.choice((1, 2, 4))
    at = random.randrange(len(data))
    data[at : at + width] = (random.choice(TELLING_NUMBERS) & (256**width - 1)).to_bytes(width, "big")


def add_to_a_number(random: Random, data: bytearray) -> None:
    at = random.randrange(len(data))
    data[at] = (data[at] + random.choice((-2, -1, 1, 2))) % 256


def truncate(random: Random, data: bytearray) -> None:
    del data[random.randrange(len(data)) :]


def remove_range(random: Random, data: bytearray) -> None:
    start = random.randrange(len(data))
    del data[start : start + random.randrange(1, 40)]


def repeat_range(random: Random, data: bytearray) -> None:
    start = random.randrange(len(data))
    piece = data[start : start + random.randrange(1, 40)]
    data[start:start] = piece * random.choice((1, 1, 1, 2, 100))


def insert_bytes(random: Random, data: bytearray) -> None:
    at = random.randrange(len(data) + 1)
    data[at:at] = random.randbytes(random.randrange(1, 20))


DAMAGES: Sequence[Callable[[Random, bytearray], None]] = (
    flip_bit,
    set_byte,
    lie_about_a_number,
    lie_about_a_number,
    add_to_a_number,
    truncate,
    remove_range,
    repeat_range,
    insert_bytes,
)


def splice(random: Random, data: bytes, other: bytes) -> bytes:
    """The beginning of one and the end of the other, cut anywhere."""
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def mutate(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    if random.random() < 0.3:
        data = splice(random, data, random.choice(others))
    mutant = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 3, 6))):
        if mutant:
            random.choice(DAMAGES)(random, mutant)
    return bytes(mutant[:LENGTH_MAX])


def chunks(random: Random, data: bytes) -> list[bytes]:
    """The same bytes in pieces, as a network may deliver them."""
    pieces, start = [], 0
    while start < len(data):
        end = start + random.choice((1, 2, 5, 6, 7, 30, 1024, len(data)))
        pieces.append(data[start:end])
        start = end
    return pieces
