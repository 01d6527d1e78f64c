"""How long the third vote takes to change sides, and how long two sides have quorum at once: on real Corosync nodes, each fault at
corosync-qnetd and at `thirdvote serve` in one run. `python -m bench.handover [--runs 5]` prints the table of docs/handover.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.e2e.lab.arbitrator import Arbitrator, OwnNames, StockNames
from tests.e2e.lab.faults import ARBITRATORS, TWO_NODES, UNREACHABLE_AND_HUNG, Fault, Outcome, heartbeat_s
from tests.e2e.lab.fleet import Plan, Result, run_side_by_side
from tests.e2e.lab.network import Switch
from tests.e2e.lab.settings import Settings
from tests.e2e.lab.watch import OVERLAP_RESOLUTION_SECONDS

FAULTS = (*TWO_NODES, *ARBITRATORS, UNREACHABLE_AND_HUNG)
NOT_PROMISED = frozenset({UNREACHABLE_AND_HUNG.name})
POWER_CUTS = ("node 1 without power", "node 2 without power")

SIDES: dict[str, Callable[[Switch, Path], Arbitrator]] = {
    "stock": partial(StockNames, server="stock"),
    "safe": partial(OwnNames, options=("--handover", "safe")),
    "fast": partial(OwnNames, options=("--handover", "fast")),
}
TIMEOUTS = {"default timeouts": None, "`timeout: 1250`": 1250}

STEADY_SECONDS = 8.0
"""For so long the clusters are whole before a fault, as they are outside of a laboratory, and then up to a heartbeat longer."""

CLUSTERS_AT_ONCE_MAX = 5
"""Of one side and one timeout; with more of them two processors would be what is measured."""

SHORT_HEARTBEAT_DETECTIONS_MAX = 1.8
FAST_DETECTIONS_MAX = 1.3
"""A power cut's hand-over may take so many times what Corosync itself needs to see it."""


@dataclass(frozen=True)
class Summary:
    """Of one figure over the runs, in seconds."""

    mean: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Summary | None:
        known = list(values)
        return cls(sum(known) / len(known), min(known), max(known)) if known else None

    def __str__(self) -> str:
        if self.most < OVERLAP_RESOLUTION_SECONDS:
            return "0"
        return f"{self.mean:.1f} ({self.least:.1f} to {self.most:.1f})"


Key = tuple[str, str, str]
"""Timeout, fault, side."""


@dataclass
class Table:
    outcomes: dict[Key, list[Outcome]]
    failed: dict[Key, int]

    @classmethod
    def of(cls, results: Iterable[Result]) -> Table:
        table = cls({}, {})
        for result in results:
            timeout, side, _ = result.plan.name.split(", ")
            key = (timeout, result.fault.name, side)
            if result.outcome is not None:
                table.outcomes.setdefault(key, []).append(result.outcome)
            else:
                table.failed[key] = table.failed.get(key, 0) + 1
        return table

    def handover(self, timeout: str, side: str, *faults: str) -> Summary | None:
        """Of any of these faults."""
        return Summary.of(outcome.handover_s for fault in faults for outcome in self.outcomes.get((timeout, fault, side), ()))

    def overlap(self, timeout: str, fault: str, side: str) -> Summary | None:
        return Summary.of(outcome.overlap_s for outcome in self.outcomes.get((timeout, fault, side), ()))

    def detection(self, timeout: str, *faults: str) -> Summary | None:
        """Corosync's own, at whichever server: from the fault to the ring of those who go on."""
        known = [outcome.detected_s for fault in faults for side in SIDES for outcome in self.outcomes.get((timeout, fault, side), ())]
        return Summary.of(seconds for seconds in known if seconds is not None)

    def markdown(self) -> str:
        return "\n\n".join(f"### {timeout[0].upper()}{timeout[1:]}\n\n{self._part(timeout)}" for timeout in TIMEOUTS)

    def _part(self, timeout: str) -> str:
        head = (
            "| fault | stock: hand-over | stock: overlap | safe: hand-over | safe: overlap | fast: hand-over | fast: overlap | detection |"
        )
        lines = [head, "|---" * (head.count("|") - 1) + "|"]
        for fault in dict.fromkeys(fault.name for fault in FAULTS):
            cells = [cell for side in SIDES for cell in self._cells(timeout, fault, side)]
            lines.append(f"| {fault} | {' | '.join(cells)} | {_shown(self.detection(timeout, fault))} |")
        return "\n".join(lines)

    def _cells(self, timeout: str, fault: str, side: str) -> Iterator[str]:
        failed = self.failed.get((timeout, fault, side), 0)
        yield _shown(self.handover(timeout, side, fault)) + (f", {failed} failed" if failed else "")
        yield _shown(self.overlap(timeout, fault, side))

    def missed(self) -> Iterator[str]:
        """The targets that are not met, in words."""
        for (timeout, fault, side), outcomes in self.outcomes.items():
            overlap = max(outcome.overlap_s for outcome in outcomes)
            if side == "safe" and fault not in NOT_PROMISED and overlap > OVERLAP_RESOLUTION_SECONDS:
                yield f"{timeout}, {fault}: two sides had quorum for {overlap:.2f} s"
        yield from (
            f"{timeout}, {fault}, {side}: failed {times} times" for (timeout, fault, side), times in self.failed.items() if side != "stock"
        )
        for timeout in TIMEOUTS:
            yield from self._missed_after_power_cut(timeout)

    def _missed_after_power_cut(self, timeout: str) -> Iterator[str]:
        """Of whichever node: a cluster does not choose which one dies."""
        stock, safe, fast = (self.handover(timeout, side, *POWER_CUTS) for side in SIDES)
        detection = self.detection(timeout, *POWER_CUTS)
        if stock is None or safe is None or fast is None or detection is None:
            return
        if TIMEOUTS[timeout] is None and safe.mean > stock.mean:
            yield f"{timeout}, power cuts: {safe.mean:.1f} s in safe, {stock.mean:.1f} s at the stock server"
        if TIMEOUTS[timeout] is not None and safe.mean > SHORT_HEARTBEAT_DETECTIONS_MAX * detection.mean:
            yield f"{timeout}, power cuts: {safe.mean / detection.mean:.2f} detections in safe"
        if fast.mean > FAST_DETECTIONS_MAX * detection.mean:
            yield f"{timeout}, power cuts: {fast.mean / detection.mean:.2f} detections in fast"


def plans(runs: int, sides: Iterable[str], wanted: str) -> Iterator[Plan]:
    """So many clusters of each kind at once that each has about as many rounds of faults to go through."""
    faults = tuple(fault for fault in FAULTS if wanted in fault.name)
    clusters = min(runs, CLUSTERS_AT_ONCE_MAX)
    for name, timeout_ms in TIMEOUTS.items():
        for side in sides:
            settings = Settings(timeout_ms=timeout_ms)
            pause_s = (STEADY_SECONDS, STEADY_SECONDS + heartbeat_s(settings))
            for number in range(clusters):
                all_faults = _turned(faults, number) * len(range(number, runs, clusters))
                yield Plan(f"{name}, {side}, {number + 1}", settings, 2, SIDES[side], all_faults, pause_s)


def _turned(faults: tuple[Fault, ...], by: int) -> tuple[Fault, ...]:
    """Clusters of one kind start with different faults, so that not all do the same at the same time."""
    first = by * 3 % max(1, len(faults))
    return faults[first:] + faults[:first]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def say_result(result: Result) -> None:
    outcome = result.outcome
    shown = (
        f"{result.problem}".partition("\n")[0]
        if outcome is None
        else f"hand-over {outcome.handover_s:.2f} s, overlap {outcome.overlap_s:.2f} s"
    )
    say(f"{result.plan.name}: {result.fault.name}: {shown}")


def _shown(summary: Summary | None) -> str:
    return "–" if summary is None else str(summary)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.handover", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each fault")
    parser.add_argument("--side", choices=SIDES, action="append", help="leave the others out")
    parser.add_argument("--fault", default="", help="only those with this in their name")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        say("error: real nodes need root, for network namespaces")
        return 1
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="thirdvote-handover-") as folder:
        table = Table.of(run_side_by_side(plans(arguments.runs, arguments.side or SIDES, arguments.fault), Path(folder), say_result))
    print(table.markdown())
    say(f"took {time.monotonic() - started:.0f} s")
    missed = list(table.missed())
    for text in missed:
        say(f"missed: {text}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
