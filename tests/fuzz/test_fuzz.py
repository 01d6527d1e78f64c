"""A short run of every fuzz target, the same on every machine; `python -m tests.fuzz` runs them at length."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from tests.fuzz import script
from tests.fuzz.engine import TARGETS, Target, first_failure, inputs
from tests.fuzz.mutate import chunks, mutate

INPUTS = {"wire": 3_000, "server": 250}
SEEDS = (1, 2)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", TARGETS)
def test_short_run(name: str, seed: int) -> None:
    target = TARGETS[name]
    failure = first_failure(target, itertools.islice(inputs(target, seed), len(target.seeds()) + INPUTS[name]))
    if failure is not None:
        pytest.fail(f"{failure.report}\nagain with: python -m tests.fuzz --target {name} --replay {failure.save(name)}")


@pytest.mark.parametrize("name", TARGETS)
def test_a_seed_replays_a_run(name: str) -> None:
    first, second = (list(itertools.islice(inputs(TARGETS[name], 7), len(TARGETS[name].seeds()) + 20)) for _ in range(2))
    assert first == second


def fails_on_ff(data: bytes) -> None:
    assert 0xFF not in data


def test_a_failure_is_found_and_made_small() -> None:
    target = Target(fails_on_ff, lambda: [b"harmless"], lambda random, corpus: mutate(random, b"a" * 50, corpus))
    failure = first_failure(target, inputs(target, 1))
    assert failure is not None
    assert failure.data == b"\xff"
    assert "AssertionError" in failure.report


def test_any_bytes_are_a_script_and_a_script_is_bytes() -> None:
    random = Random(1)
    for data in (*script.seeds(), b"", b"\0", random.randbytes(500)):
        parsed = script.parse(data)
        assert script.parse(script.write(parsed)) == parsed
    assert all(script.write(script.parse(data)) == data for data in script.seeds())


def test_chunks_are_the_whole_in_pieces() -> None:
    data = Random(2).randbytes(3_000)
    assert b"".join(chunks(Random(3), data)) == data
