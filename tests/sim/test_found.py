"""Schedules in which the simulator has found a vote that counted twice, made small. Each is run from a few other seeds, too."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thirdvote.domain import Algorithm, TieBreakerMode
from thirdvote.sim.faults import run
from thirdvote.sim.schedule import (
    Delay,
    DiskFails,
    HangArbitrator,
    HangDaemon,
    Heal,
    KillArbitrator,
    KillCorosync,
    KillDaemon,
    OneWayLoss,
    PowerCut,
    PowerOn,
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
    "a daemon is killed, then the ring changes, which the arbitrator reads late": Schedule(
        40005287, Setup(tells_token=True), (KillDaemon(7.6, 1), HangArbitrator(11.4, 8.248), Split(12.7, ((1,), (0, 2)))), 25.0
    ),
    "a node that has quorum by its mates, and whose record could not be written": Schedule(
        40042458,
        Setup(nodes=3, algorithm=LMS, timeout_ms=1_250, persist_s=0.2),
        (DiskFails(2.8, 8.236), Split(3.0, ((0, 1, 3), (2,)))),
        20.0,
    ),
    "a majority of four goes on by itself, and the arbitrator restarts": Schedule(
        40061697,
        Setup(nodes=4),
        (Split(2.6, ((4,), (0, 1, 2, 3))), Shutdown(5.0, 3), KillArbitrator(5.2, 0.019)),
        20.0,
    ),
    "a vote whose receipt was never heard, of a node that goes on casting": Schedule(
        40063587,
        Setup(algorithm=Algorithm.TWO_NODE_LMS, tells_token=True, tie_breaker=TieBreakerMode.HIGHEST),
        (OneWayLoss(14.5, 1, 2), OneWayLoss(17.7, 2, 0)),
        50.0,
    ),
    "the answers get lost some time before the ring": Schedule(
        40128386,
        Setup(timeout_ms=4_000, late_answers=False, heuristics_s=0.3),
        (OneWayLoss(5.6, 0, 2), Split(8.3, ((2,), (0, 1)))),
        20.0,
    ),
    "the ledger is lost, and the arbitrator restarts once more": Schedule(
        40136233,
        Setup(),
        (KillArbitrator(6.9, 0.329, disk_lost=True), Split(6.9, ((1,), (0, 2))), KillArbitrator(14.3, 0.09)),
        30.0,
    ),
    "rings that change together though their members were lost one after the other": Schedule(
        40139503,
        Setup(nodes=4, algorithm=LMS, token_ms=3_000, latency_s=0.03),
        (Split(9.0, ((2, 4), (1, 3))), Split(11.0, ((3, 4), (0, 1, 2))), Split(11.5, ((0, 2), (3,), (1, 4)))),
        30.0,
    ),
    "a daemon is killed before anything is known of its cluster": Schedule(
        40141443,
        Setup(algorithm=LMS, tells_token=True, heuristics_s=0.3),
        (OneWayLoss(4.1, 2, 1), KillArbitrator(4.8, 0.224, disk_lost=True), KillDaemon(6.0, 1)),
        40.0,
    ),
    "refused in a ring that had lost its token, and not heard again": Schedule(
        40312142,
        Setup(nodes=3, algorithm=LMS, tells_token=True, tie_breaker=TieBreakerMode.HIGHEST),
        (OneWayLoss(2.3, 2, 3), KillCorosync(12.7, 1), OneWayLoss(13.1, 2, 0)),
        30.0,
    ),
    "a daemon loses its patience with a slow answer to its INIT": Schedule(
        40568238,
        Setup(algorithm=Algorithm.TWO_NODE_LMS),
        (Split(9.7, ((1,), (0, 2))), Delay(12.1, 0, 1, 0.14), Split(24.8, ((1,), (2,)))),
        35.0,
    ),
    "two lost nodes come together, and the daemon of one of them is dead": Schedule(
        40511142,
        Setup(nodes=4),
        (Split(5.8, ((4,), (2, 3), (1,))), KillDaemon(14.8, 4), Split(16.8, ((0, 1, 3), (2, 4)))),
        45.0,
    ),
    "a killed daemon runs again, and can not reach the arbitrator": Schedule(
        40577822,
        Setup(algorithm=LMS),
        (KillDaemon(7.4, 2, 1.194), Split(8.1, ((0,), (1, 2))), Split(20.2, ((0, 1), (2,)))),
        35.0,
    ),
    "a daemon ends in order in a ring that has just lost its token": Schedule(
        40741106,
        Setup(nodes=3, algorithm=LMS, tells_token=True),
        (OneWayLoss(2.1, 2, 1), StopDaemon(4.5, 1), KillCorosync(4.5, 3)),
        20.0,
    ),
    "who gave up is in a ring that has just lost its token": Schedule(
        40822056,
        Setup(nodes=5, algorithm=LMS),
        (Split(9.4, ((4, 5), (0, 1), (2, 3))), Split(11.0, ((0, 1, 3), (2, 4, 5))), Split(14.8, ((1, 3, 4), (2, 5)))),
        40.0,
    ),
    "a lost node comes together with one that has no vote, and has to wait for it": Schedule(
        40857930,
        Setup(nodes=4, latency_s=0.03),
        (Split(4.3, ((2, 3, 4), (1,))), Split(8.4, ((1, 2), (0, 3, 4)))),
        40.0,
    ),
    "corosync begins anew before the other node has noticed, and the ledger is lost": Schedule(
        50019812,
        Setup(algorithm=LMS, timeout_ms=1_250, token_ms=3_000),
        (KillCorosync(2.4, 1), KillArbitrator(3.4, 2.551, disk_lost=True), PowerOn(3.4, 1), Split(3.6, ((2,), (0, 1)))),
        25.0,
    ),
    "a report that was held up comes after the other node's, and its daemon ends before it says more": Schedule(
        71154983,
        Setup(),
        (Split(7.5, ((2,), (0, 1))), Heal(9.7), StopDaemon(10.0, 2), Split(11.3, ((2,), (0, 1)))),
        24.154,
    ),
    "who goes on casting was in another ring already when it was given the vote, and the arbitrator began anew": Schedule(
        71163308,
        Setup(algorithm=LMS, tells_token=True, wait_for_all=True),
        (OneWayLoss(7.4, 2, 1), KillArbitrator(17.1, 3.416), Split(23.8, ((1,), (0, 2)))),
        59.777,
    ),
    "isolated under lms": Schedule(200109, Setup(algorithm=LMS, timeout_ms=2_500), (Split(2.8, ((1,), (0, 2))),), 37.4),
}

OTHER_SEEDS = range(5)


@pytest.mark.parametrize("schedule", FOUND.values(), ids=FOUND)
def test_what_was_found_holds_now(schedule: Schedule) -> None:
    for seed in (schedule.seed, *OTHER_SEEDS):
        assert run(replace(schedule, seed=seed)).failure is None
