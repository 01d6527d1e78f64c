"""A schedule from a seed: a cluster of some kind, and faults at moments that come close to each other as often as not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from thirdvote.domain import Algorithm, Handover, TieBreakerMode
from thirdvote.sim.schedule import (
    ARBITRATOR,
    Delay,
    DiskFails,
    Fault,
    HangArbitrator,
    HangDaemon,
    Heal,
    JumpClock,
    KillArbitrator,
    KillCorosync,
    KillDaemon,
    OneWayLoss,
    PowerCut,
    PowerOn,
    Schedule,
    Setup,
    Shutdown,
    SlowArbitrator,
    Split,
    StopDaemon,
)

FIRST_FAULT_S = 2.0
"""All votes are there by then, unless the heuristics are slow, which is a case of its own."""

FAULTS_MAX = 5

QUIET_S = 2.0
QUIET_HEARTBEATS = 3.5
"""From the last fault to the repair, at least and at most: with the longest, every holder that can be waited out is."""

DELAY_S_MAX = 0.2
CLOCK_JUMP_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is not to be drawn."""

    handover: Handover = Handover.SAFE
    algorithm: Algorithm | None = None
    timeout_ms: int | None = None


def draw(seed: int, wanted: Wanted) -> Schedule:
    random = Random(seed)
    setup = draw_setup(random, wanted)
    at = FIRST_FAULT_S + random.random() * setup.heartbeat_s
    faults: list[Fault] = []
    for _ in range(random.randint(1, FAULTS_MAX)):
        faults.append(_draw_fault(random, setup, round(at, 3)))
        at += random.choice((0.0, 0.3, 2.5, 4.0, 12.0)) * random.random()
    until = round(at + random.uniform(QUIET_S, _longest_wait(setup, faults)), 3)
    return Schedule(seed, setup, tuple(faults), until)


def _longest_wait(setup: Setup, faults: list[Fault]) -> float:
    frozen = not setup.tls or not setup.gives_up_its_vote or any(isinstance(fault, KillDaemon | HangDaemon) for fault in faults)
    steady = QUIET_S + 4 * setup.token_s + QUIET_HEARTBEATS * setup.heartbeat_s
    return max(steady, setup.sync_timeout_s + 3 * setup.token_s) if frozen else steady


def draw_setup(random: Random, wanted: Wanted) -> Setup:
    nodes = random.choices((2, 3, 4, 5), (80, 10, 7, 3))[0]
    algorithm = wanted.algorithm
    if algorithm is None:
        algorithm = random.choices((Algorithm.FFSPLIT, Algorithm.LMS, Algorithm.TWO_NODE_LMS), (70, 25, 5))[0]
    timeout_ms = wanted.timeout_ms or random.choices((10_000, 1_250, 2_500, 4_000, 1_000), (60, 20, 8, 8, 4))[0]
    return Setup(
        nodes=2 if algorithm is Algorithm.TWO_NODE_LMS else nodes,
        algorithm=algorithm,
        handover=wanted.handover,
        timeout_ms=timeout_ms,
        token_ms=random.choice((1_000, 1_000, 3_000)),
        tells_token=random.random() < 0.5,
        tie_breaker=random.choices((TieBreakerMode.LOWEST, TieBreakerMode.HIGHEST), (70, 30))[0],
        keep_active_partition=random.random() < 0.7,
        wait_for_all=algorithm is Algorithm.LMS and random.random() < 0.15,
        tls=random.random() < 0.9,
        late_answers=random.random() < 0.7,
        heuristics_s=random.choices((0.0, 0.3), (80, 20))[0],
        latency_s=random.choice((0.0005, 0.002, 0.03)),
        persist_s=random.choice((0.002, 0.02, 0.2)),
    )


def _draw_fault(random: Random, setup: Setup, at: float) -> Fault:
    make = random.choices(_KINDS, _WEIGHTS)[0]
    return make(random, setup, at)


def _host(random: Random, setup: Setup) -> int:
    return random.randint(0, setup.nodes)


def _node(random: Random, setup: Setup) -> int:
    return random.randint(1, setup.nodes)


def _split(random: Random, setup: Setup, at: float) -> Fault:
    """Any shape: two or three sides, the arbitrator's host on one of them, on none, or alone."""
    count = random.choice((2, 2, 2, 3))
    sides: list[list[int]] = [[] for _ in range(count)]
    hosts = list(range(setup.nodes + 1))
    random.shuffle(hosts)
    for host in hosts:
        if host != ARBITRATOR or random.random() < 0.6:
            random.choice(sides).append(host)
    return Split(at, tuple(tuple(sorted(side)) for side in sides if side))


def _isolate(random: Random, setup: Setup, at: float) -> Fault:
    host = _host(random, setup)
    return Split(at, ((host,), tuple(other for other in range(setup.nodes + 1) if other != host)))


def _one_way(random: Random, setup: Setup, at: float) -> Fault:
    source, target = random.sample(range(setup.nodes + 1), 2)
    return OneWayLoss(at, source, target)


def _delay(random: Random, setup: Setup, at: float) -> Fault:
    host, other = random.sample(range(setup.nodes + 1), 2)
    return Delay(at, host, other, round(random.random() * DELAY_S_MAX, 3))


def _heal(random: Random, setup: Setup, at: float) -> Fault:
    return Heal(at)


def _power_cut(random: Random, setup: Setup, at: float) -> Fault:
    return PowerCut(at, _host(random, setup))


def _power_on(random: Random, setup: Setup, at: float) -> Fault:
    return PowerOn(at, _host(random, setup), disk_lost=random.random() < 0.2)


def _shutdown(random: Random, setup: Setup, at: float) -> Fault:
    return Shutdown(at, _node(random, setup))


def _kill_daemon(random: Random, setup: Setup, at: float) -> Fault:
    restart_s = None if random.random() < 0.5 else round(random.random() * 2.0, 3)
    return KillDaemon(at, _node(random, setup), restart_s)


def _stop_daemon(random: Random, setup: Setup, at: float) -> Fault:
    return StopDaemon(at, _node(random, setup))


def _hang_daemon(random: Random, setup: Setup, at: float) -> Fault:
    return HangDaemon(at, _node(random, setup), round(random.choice((1.0, 10.0, 40.0)) * random.random(), 3))


def _kill_corosync(random: Random, setup: Setup, at: float) -> Fault:
    return KillCorosync(at, _node(random, setup))


def _kill_arbitrator(random: Random, setup: Setup, at: float) -> Fault:
    restart_s = None if random.random() < 0.2 else round(random.choice((0.3, 3.0, 10.0)) * random.random(), 3)
    return KillArbitrator(at, restart_s, disk_lost=random.random() < 0.2)


def _hang_arbitrator(random: Random, setup: Setup, at: float) -> Fault:
    return HangArbitrator(at, round(random.choice((1.0, 5.0, 20.0)) * random.random(), 3))


def _slow_arbitrator(random: Random, setup: Setup, at: float) -> Fault:
    return SlowArbitrator(at, round(random.random() * 20.0, 3), round(random.choice((0.01, 0.05, 0.3)) * random.random(), 3))


def _disk_fails(random: Random, setup: Setup, at: float) -> Fault:
    return DiskFails(at, round(random.random() * 10.0, 3))


def _jump_clock(random: Random, setup: Setup, at: float) -> Fault:
    return JumpClock(at, round(random.uniform(-CLOCK_JUMP_S, CLOCK_JUMP_S), 3))


_TABLE: tuple[tuple[Callable[[Random, Setup, float], Fault], int], ...] = (
    (_split, 22),
    (_isolate, 14),
    (_one_way, 8),
    (_delay, 4),
    (_heal, 8),
    (_power_cut, 8),
    (_power_on, 4),
    (_shutdown, 4),
    (_kill_daemon, 10),
    (_stop_daemon, 3),
    (_hang_daemon, 7),
    (_kill_corosync, 3),
    (_kill_arbitrator, 8),
    (_hang_arbitrator, 5),
    (_slow_arbitrator, 2),
    (_disk_fails, 3),
    (_jump_clock, 1),
)
_KINDS = [make for make, _ in _TABLE]
_WEIGHTS = [weight for _, weight in _TABLE]
