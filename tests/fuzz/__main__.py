"""`python -m tests.fuzz --seconds 600`: any input at length. A failure leaves its input in a file, which `--replay` runs again."""

from __future__ import annotations

import argparse
import itertools
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.engine import TARGETS, Failure, attempt, first_failure, inputs


def until(end: float, candidates: Iterator[bytes]) -> Iterator[bytes]:
    return itertools.takewhile(lambda _: time.monotonic() < end, candidates)


def fuzz(name: str, seconds: float, seed: int) -> Failure | None:
    counter = itertools.count()
    candidates = (data for data, _ in zip(inputs(TARGETS[name], seed), counter, strict=False))
    failure = first_failure(TARGETS[name], until(time.monotonic() + seconds, candidates))
    print(f"{name}: seed {seed}, {next(counter)} inputs")
    return failure


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="in all")
    parser.add_argument("--seed", type=int, help="of a run that is to be repeated")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append", help="only this one (may be repeated)")
    parser.add_argument("--replay", type=Path, help="run --target on the input in this file, and on nothing else")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    names = arguments.target or sorted(TARGETS)
    if arguments.replay is not None:
        reports = [attempt(TARGETS[name], arguments.replay.read_bytes()) for name in names]
        print("\n".join(report or "nothing wrong" for report in reports))
        return 1 if any(reports) else 0
    seed = secrets.randbelow(2**32) if arguments.seed is None else arguments.seed
    for name in names:
        failure = fuzz(name, arguments.seconds / len(names), seed)
        if failure is not None:
            print(f"{failure.report}\nseed {seed}; again with: python -m tests.fuzz --target {name} --replay {failure.save(name)}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
