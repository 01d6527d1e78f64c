"""Speed and memory of the arbitrator, side by side with the stock one: `python -m bench [--quick] [--only thirdvote]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from bench.figures import FULL, QUICK, Figures, Plan
from bench.load import raise_file_limit, run
from bench.measure import measure
from bench.servers import BenchError, our_server, stock_server
from bench.table import markdown, missed


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def bench(plan: Plan, only_ours: bool, folder: Path) -> tuple[Figures | None, Figures]:
    stock = None if only_ours else stock_server(folder / "stock")
    if stock is None and not only_ours:
        say("no comparison: corosync-qnetd or certutil is missing (apt-get install corosync-qnetd libnss3-tools)")
    theirs = await measure(stock, plan, say) if stock else None
    return theirs, await measure(our_server(folder / "ours"), plan, say)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer clients: about a minute")
    parser.add_argument("--only", choices=["thirdvote"], help="leave the stock server out")
    arguments = parser.parse_args()
    raise_file_limit()
    plan = QUICK if arguments.quick else FULL
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="thirdvote-bench-") as folder:
        try:
            stock, ours = run(bench(plan, bool(arguments.only), Path(folder)))
        except (BenchError, OSError) as error:
            say(f"error: {error}")
            return 1
    if len(ours.tiers) < len(plan.tiers):
        say("error: thirdvote did not take all clients in time")
        return 1
    print(markdown(stock, ours))
    say(f"took {time.monotonic() - started:.0f} s")
    for text in missed(ours):
        say(f"over budget: {text}")
    return 1 if missed(ours) else 0


if __name__ == "__main__":
    sys.exit(main())
