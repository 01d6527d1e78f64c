"""Schedules in which the simulator has found a vote that counted twice, made small. Each is run from a few other seeds, too."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thirdvote.domain import Algorithm, TieBreakerMode
from thirdvote.sim.faults import run
from thirdvote.sim.schedule import (
    HangArbitrator,
    HangDaemon,
    KillCorosync,
    KillDaemon,
    OneWayLoss,
    PowerCut,
    Schedule,
    Setup,
    Shutdown,
    Split,
    StopDaemon,
)

LMS = Algorithm.LMS

FOUND = {
    "a daemon is killed after its new ring and before its vote": Schedule(
        5014, Setup(), (Split(7.5, ((1,), (0, 2))), KillDaemon(14.4, 2)), 29.1
    ),
    "a daemon is killed, and the only one who could tell of its ring hangs": Schedule(
        1725, Setup(), (Split(2.1, ((2,), (1,))), KillDaemon(2.5, 2), HangDaemon(2.5, 1, 15.902)), 26.0
    ),
    "a daemon ends in order, later the nodes split": Schedule(
        13318, Setup(), (StopDaemon(2.4, 1), KillDaemon(2.5, 2, 0.444), Split(4.7, ((1,), (0, 2)))), 20.2
    ),
    "the same under lms": Schedule(
        22358, Setup(algorithm=LMS), (StopDaemon(2.8, 2), KillDaemon(5.5, 1, 0.68), Split(7.5, ((0, 1), (2,)))), 25.0
    ),
    "both sides come back to an arbitrator that stood still": Schedule(
        374, Setup(algorithm=LMS, timeout_ms=1_250, heuristics_s=0.3), (HangArbitrator(2.5, 2.683), OneWayLoss(4.6, 1, 2)), 20.0
    ),
    "three nodes, one after the other alone": Schedule(
        698,
        Setup(nodes=3, algorithm=LMS, timeout_ms=1_000, latency_s=0.03),
        (Split(2.4, ((2,), (0, 1, 3))), Split(5.05, ((1,), (0, 2, 3)))),
        27.6,
    ),
    "a node is lost while another one shuts down": Schedule(
        248,
        Setup(nodes=3, algorithm=LMS, timeout_ms=1_250, token_ms=3_000, tells_token=True),
        (Split(2.5, ((1,), (0, 2, 3))), Shutdown(3.9, 2)),
        24.1,
    ),
    "the arbitrator is not heard by one of four, then they split": Schedule(
        201165,
        Setup(nodes=4, tells_token=True, latency_s=0.03),
        (OneWayLoss(13.6, 0, 1), Split(32.8, ((2, 3), (1, 4)))),
        43.2,
    ),
    "two of three are lost together, and lose each other before they have given up": Schedule(
        5007605, Setup(nodes=3, algorithm=LMS), (Split(5.2, ((0, 1), (2, 3))), Split(14.7, ((1, 3), (2,)))), 32.4
    ),
    "a node is lost while the arbitrator stands still, with a token timeout that is told": Schedule(
        5007422,
        Setup(timeout_ms=1_250, tells_token=True, late_answers=False, latency_s=0.03, persist_s=0.2),
        (HangArbitrator(2.899, 2.659), Split(3.272, ((2,), (0, 1))), HangArbitrator(3.272, 3.073)),
        19.4,
    ),
    "the mate of a node that is refused was just lost": Schedule(
        3319, Setup(nodes=3, algorithm=LMS), (Split(6.9, ((1,), (2, 3))), KillCorosync(15.0, 3)), 33.8
    ),
    "two that nobody hears are together for a while, the daemon of one of them was killed": Schedule(
        10014830,
        Setup(tells_token=True),
        (Split(2.5, ((0, 2), (1,))), KillDaemon(12.0, 2), Split(13.2, ((0, 1, 2),)), Split(17.0, ((1,), (2,)))),
        38.85,
    ),
    "three that nobody hears, and that go on casting, lose one of them": Schedule(
        10018646,
        Setup(nodes=5, algorithm=LMS, wait_for_all=True),
        (Split(3.6, ((0, 4, 5), (1, 2, 3))), PowerCut(14.1, 3)),
        51.3,
    ),
    "the same with a ring that changes while the arbitrator stands still": Schedule(
        10025141,
        Setup(nodes=4, algorithm=LMS, timeout_ms=1_250, tie_breaker=TieBreakerMode.HIGHEST, wait_for_all=True),
        (Split(2.5, ((0, 1, 4), (2, 3))), HangArbitrator(13.265, 4.967), Split(15.0, ((0, 3), (1, 2, 4))), PowerCut(25.5, 2)),
        38.8,
    ),
    "a node comes back after a power cut, the other one is frozen": Schedule(
        12235, Setup(algorithm=LMS, token_ms=3_000), (Split(4.0, ((1, 2), (0,))), PowerCut(17.3, 1)), 23.0
    ),
    "isolated under lms": Schedule(200109, Setup(algorithm=LMS, timeout_ms=2_500), (Split(2.8, ((1,), (0, 2))),), 37.4),
}

OTHER_SEEDS = range(5)


@pytest.mark.parametrize("schedule", FOUND.values(), ids=FOUND)
def test_what_was_found_holds_now(schedule: Schedule) -> None:
    for seed in (schedule.seed, *OTHER_SEEDS):
        assert run(replace(schedule, seed=seed)).failure is None
