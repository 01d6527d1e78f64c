"""Runs a target on mutants of its seeds until something is wrong or the time is up."""

from __future__ import annotations

import hashlib
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzz import server, wire


@dataclass(frozen=True)
class Target:
    """`run` raises when something is wrong with `data`; `mutant` makes an input from the corpus."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    mutant: Callable[[Random, Sequence[bytes]], bytes]


TARGETS = {
    "wire": Target(wire.target, wire.seeds, wire.mutant),
    "server": Target(server.target, server.seeds, server.mutant),
}


@dataclass(frozen=True)
class Failure:
    """`data` is the smallest input found that still fails; `report` is its traceback."""

    data: bytes
    report: str

    def save(self, name: str) -> Path:
        path = Path(tempfile.gettempdir()) / f"thirdvote-fuzz-{name}-{hashlib.sha256(self.data).hexdigest()[:12]}"
        path.write_bytes(self.data)
        return path


def inputs(target: Target, seed: int) -> Iterator[bytes]:
    """The seeds as they are, then mutants for ever."""
    corpus = target.seeds()
    yield from corpus
    random = Random(seed)
    while True:
        yield target.mutant(random, corpus)


def first_failure(target: Target, candidates: Iterable[bytes]) -> Failure | None:
    for data in candidates:
        report = attempt(target, data)
        if report is not None:
            smallest = shrink(target, data)
            return Failure(smallest, attempt(target, smallest) or report)
    return None


def attempt(target: Target, data: bytes) -> str | None:
    try:
        target.run(data)
    except Exception:
        return traceback.format_exc()
    return None


def shrink(target: Target, data: bytes, seconds: float = 20.0) -> bytes:
    """Leaves out piece after piece as long as it still fails, for so long at most."""
    end = time.monotonic() + seconds
    size = len(data) // 2
    while size and time.monotonic() < end:
        start = 0
        while start < len(data) and time.monotonic() < end:
            shorter = data[:start] + data[start + size :]
            if attempt(target, shorter) is not None:
                data = shorter
            else:
                start += size
        size //= 2
    return data
