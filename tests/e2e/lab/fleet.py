"""Many clusters side by side, each with a fault of its own: most of a fault is waiting."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from tests.e2e.lab.arbitrator import Arbitrator
from tests.e2e.lab.cluster import Cluster, running_cluster
from tests.e2e.lab.faults import Fault, Outcome, heartbeat_s, observe
from tests.e2e.lab.network import Switch
from tests.e2e.lab.settings import Settings
from tests.e2e.lab.watch import OVERLAP_RESOLUTION_SECONDS

STARTS_AT_ONCE = 2
"""What takes a processor is the start; it must not disturb the clusters in which something is measured."""

START_SECONDS_MAX = 600
"""All of them, on a machine that has other work too."""


@dataclass(frozen=True)
class Plan:
    """One cluster, and the faults that happen to it one after the other, each at any moment of `pause_s` after its start or repair;
    of two heartbeats, if that says nothing."""

    name: str
    settings: Settings
    nodes: int
    kind: Callable[[Switch, Path], Arbitrator]
    faults: tuple[Fault, ...]
    pause_s: tuple[float, float] | None = None


@dataclass(frozen=True)
class Result:
    """`problem` stands for the outcome when there is none, or when the cluster was not whole again afterwards."""

    plan: Plan
    fault: Fault
    outcome: Outcome | None
    problem: Exception | None
    logs: str

    def expect(self) -> Outcome:
        if self.problem is not None:
            raise self.problem
        assert self.outcome is not None
        return self.outcome

    def expect_safe(self) -> Outcome:
        """The vote was never counted twice, and nobody who goes on lost quorum without need."""
        outcome = self.expect()
        shown = f"{outcome.evidence}\n{self.logs}"
        assert outcome.overlap_s <= OVERLAP_RESOLUTION_SECONDS, f"two sides had quorum for {outcome.overlap_s:.2f} s\n{shown}"
        assert not (self.fault.keeps and outcome.lost), f"quorum was lost: {outcome.lost}\n{shown}"
        return outcome


def run_side_by_side(plans: Iterable[Plan], folder: Path, say: Callable[[Result], None] = lambda result: None) -> list[Result]:
    """Starts all clusters, then lets the faults happen. `say` is called from the threads of the clusters, after each fault."""
    plans = list(plans)
    all_started = threading.Barrier(len(plans))
    starting = threading.Semaphore(STARTS_AT_ONCE)

    def run(plan: Plan) -> list[Result]:
        with ExitStack() as stack:
            try:
                with starting:
                    place = folder / re.sub(r"\W+", "-", plan.name)
                    cluster = stack.enter_context(running_cluster(plan.settings, plan.nodes, plan.kind, place))
            except Exception as error:
                all_started.wait(START_SECONDS_MAX)
                return [Result(plan, fault, None, error, "") for fault in plan.faults]
            all_started.wait(START_SECONDS_MAX)
            return list(_run_faults(plan, cluster, say))

    with ThreadPoolExecutor(len(plans)) as pool:
        futures: list[Future[list[Result]]] = [pool.submit(run, plan) for plan in plans]
        return [result for future in futures for result in future.result()]


def _run_faults(plan: Plan, cluster: Cluster[Arbitrator], say: Callable[[Result], None]) -> Iterator[Result]:
    """Where one can not be repaired, those after it have its problem."""
    broken: Exception | None = None
    for fault in plan.faults:
        result = _run_fault(plan, cluster, fault) if broken is None else Result(plan, fault, None, broken, "")
        if result.problem is not None and broken is None:
            try:
                cluster.restore()
            except Exception as error:
                broken = error
        say(result)
        yield result


def _run_fault(plan: Plan, cluster: Cluster[Arbitrator], fault: Fault) -> Result:
    """A cluster that is repaired has all its votes again, whatever happened."""
    outcome, logs = None, ""
    try:
        outcome = observe(cluster, fault, random.getrandbits(32), plan.pause_s or (0.0, 2 * heartbeat_s(plan.settings)))
        logs = cluster.evidence()
        cluster.restore()
        overlap_s = cluster.watch.overlap(outcome.start)
        if overlap_s > outcome.overlap_s:  # while it was repaired
            outcome, logs = replace(outcome, overlap_s=overlap_s), cluster.evidence()
    except Exception as error:
        error.add_note(f"{plan.name}: {fault.name}")
        error.add_note(cluster.evidence())
        return Result(plan, fault, outcome, error, logs)
    return Result(plan, fault, outcome, None, logs)
