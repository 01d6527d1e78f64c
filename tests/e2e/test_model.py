"""The simulator's nodes against real ones: after the same fault at the same moment of a heartbeat they lose quorum at the same time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from tests.e2e.lab.arbitrator import OwnNames
from tests.e2e.lab.faults import LOWER, UPPER, Fault, Scene, hang_daemon, kill_daemon
from tests.e2e.lab.fleet import Plan, Result, run_side_by_side
from tests.e2e.lab.moments import echo_due, sleep_until
from tests.e2e.lab.settings import Settings
from thirdvote.sim.faults import run
from thirdvote.sim.schedule import Fault as SimulatedFault
from thirdvote.sim.schedule import HangDaemon, KillDaemon, Schedule, Setup, Split

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

HEARTBEAT_S = 8.0
HEARTBEATS_BEFORE = 3
"""After which both arbitrators answer echoes late."""

DIFFERENCE_SECONDS_MAX = 0.3
SEEDS = range(20)
QUIET_S = 45.0

JOINED = re.compile(r"^ *([0-9.]+) +arbitrator +joined node 1:", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """`at` in seconds after one of node 1's echoes was due."""

    at: float
    real: Callable[[Scene], None]
    simulated: Callable[[float], SimulatedFault]


@dataclass(frozen=True)
class Case:
    name: str
    loser: int
    steps: tuple[Step, ...]


def apart(at: float) -> Step:
    return Step(at, lambda scene: scene.part((1,), (2,)), lambda when: Split(when, ((1,), (2,))))


def isolated(at: float, node: int) -> Step:
    return Step(at, lambda scene: scene.isolate(node), lambda when: Split(when, ((node,), (0, 3 - node))))


def killed(at: float) -> Step:
    return Step(at, kill_daemon(1), lambda when: KillDaemon(when, 1))


def hung(at: float) -> Step:
    return Step(at, hang_daemon(1), lambda when: HangDaemon(when, 1, seconds=100.0))


CASES = (
    Case("node 1 isolated while its echo is not answered yet", 1, (isolated(3.0, 1),)),
    Case("node 1 isolated when its echo has been answered", 1, (isolated(7.6, 1),)),
    Case("split", 2, (apart(3.0),)),
    Case("split, then node 1 falls silent", 1, (apart(0.5), isolated(6.0, 1))),
    Case("split, then the daemon of node 1 is killed", 1, (apart(0.5), killed(5.5))),
    Case("split, then the daemon of node 1 hangs", 1, (apart(0.5), hung(5.5))),
    Case("the daemon of node 1 is killed, then split", 1, (killed(1.0), apart(2.0))),
)


def real_fault(case: Case) -> Fault:
    def happen(scene: Scene) -> float:
        due = echo_due(scene, 1, HEARTBEATS_BEFORE)
        for step in case.steps:
            sleep_until(due + step.at)
            at = time.monotonic()
            step.real(scene)
        return at

    return Fault(case.name, happen, UPPER if case.loser == 1 else LOWER)


def simulated_times(case: Case) -> list[float]:
    """From the last step until the loser reports that it has no quorum, for each seed."""
    found = []
    for seed in SEEDS:
        (joined,) = JOINED.findall("\n".join(run(Schedule(seed, Setup(), (), 2.0), tracing=True).trace))[:1]
        due = float(joined) + HEARTBEATS_BEFORE * HEARTBEAT_S
        faults = tuple(step.simulated(due + step.at) for step in case.steps)
        last = faults[-1].at
        outcome = run(Schedule(seed, Setup(), faults, last + QUIET_S))
        assert outcome.failure is None
        found.append(min(outcome.lost_quorum(case.loser, last)) - last)
    return found


@pytest.fixture(scope="module")
def real(real_nodes: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    kind = partial(OwnNames, options=("--log-level", "debug"))
    plans = [Plan(case.name, Settings(), 2, kind, (real_fault(case),)) for case in CASES]
    return {result.plan.name: result for result in run_side_by_side(plans, tmp_path_factory.mktemp("model"))}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_quorum_is_lost_at_the_same_time(real: dict[str, Result], case: Case) -> None:
    outcome = real[case.name].expect_safe()
    simulated = simulated_times(case)
    lost = outcome.gave_up_s[case.loser]
    print(f"{case.name}: {lost:.2f} s on real nodes, {min(simulated):.2f} to {max(simulated):.2f} s in the model")
    assert min(simulated) - DIFFERENCE_SECONDS_MAX <= lost <= max(simulated) + DIFFERENCE_SECONDS_MAX, f"{simulated}\n{outcome.evidence}"
