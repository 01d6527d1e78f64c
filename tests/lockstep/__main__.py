"""python -m tests.lockstep [--seconds N] [--seed S] [--algorithm NAME] [--process]: random clusters, side by side with the stock server."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from tests.lockstep.compare import Divergence
from tests.lockstep.ours import MemoryServer, start_ours
from tests.lockstep.run import Runner
from tests.lockstep.servers import SocketServer
from tests.lockstep.story import Story, make_story
from thirdvote.domain import Algorithm

NAMES = {"ffsplit": Algorithm.FFSPLIT, "lms": Algorithm.LMS, "2nodelms": Algorithm.TWO_NODE_LMS}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lockstep", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="the first story's; the next ones follow")
    parser.add_argument("--algorithm", choices=NAMES, help="only this one")
    parser.add_argument("--process", action="store_true", help="our server as a process instead of the arbiter in memory")
    arguments = parser.parse_args()
    algorithm = NAMES[arguments.algorithm] if arguments.algorithm else None
    end = time.monotonic() + arguments.seconds

    def stories() -> Iterator[Story]:
        for seed in count(arguments.seed):
            if time.monotonic() > end:
                return
            yield make_story(seed, algorithm)

    with tempfile.TemporaryDirectory(prefix="lockstep-") as folder:
        process = start_ours(Path(folder)) if arguments.process else None
        runner = Runner(Path(folder), MemoryServer if process is None else lambda: SocketServer(process))
        try:
            runner.run(stories())
        except Divergence as divergence:
            print(divergence, file=sys.stderr)
            return 1
        finally:
            runner.stop()
            if process is not None:
                process.stop()
            print(runner.summary())
    return 0


if __name__ == "__main__":
    sys.exit(main())
