"""The faults that a stock server counts a vote twice in: it does so in the model, for as long as on real nodes, and never under `safe`."""

from __future__ import annotations

import pytest

from thirdvote.domain import Handover
from thirdvote.sim.faults import run
from thirdvote.sim.invariants import OVERLAP_S_MAX
from thirdvote.sim.schedule import (
    Fault,
    HangDaemon,
    KillArbitrator,
    KillDaemon,
    PowerCut,
    Schedule,
    Setup,
    Shutdown,
    Split,
)

SEEDS = range(20)
QUIET_S = 40.0

STOCK = Setup(handover=Handover.STOCK)
STOCK_SHORT = Setup(handover=Handover.STOCK, timeout_ms=1_250)
SAFE = Setup()

ISOLATED_1 = (Split(at=9.0, sides=((1,), (0, 2))),)
ISOLATED_2 = (Split(at=9.0, sides=((2,), (0, 1))),)
APART = Split(at=9.0, sides=((1,), (2,)))
SILENT_HOLDER = (APART, Split(at=20.0, sides=((1,), (0, 2))))
KILLED_HOLDER = (APART, KillDaemon(at=16.0, node=1))
HUNG_HOLDER = (APART, HangDaemon(at=16.0, node=1, seconds=25.0))
KILLED_THEN_APART = (KillDaemon(at=8.0, node=1), APART)
OTHER_SIDE_FIRST = (
    APART,
    KillArbitrator(at=16.0, restart_s=1.0),
    Split(at=16.0, sides=((1,), (0, 2))),
)


def longest_overlap(setup: Setup, faults: tuple[Fault, ...]) -> tuple[float, float]:
    """The longest overlap of all seeds, without an excuse and with one."""
    outcomes = [run(Schedule(seed, setup, faults, faults[-1].at + QUIET_S)) for seed in SEEDS]
    assert [outcome.failure for outcome in outcomes if outcome.failure] == []
    measures = [outcome.measures for outcome in outcomes]
    return max(each.overlap_s for each in measures), max(each.excused_overlap_s for each in measures)


@pytest.mark.parametrize(
    ("faults", "setup", "least", "most"),
    [
        pytest.param(ISOLATED_1, STOCK, 3.0, 4.5, id="node 1 isolated"),
        pytest.param(SILENT_HOLDER, STOCK, 3.5, 4.5, id="split, then the holder falls silent"),
        pytest.param(KILLED_HOLDER, STOCK, 5.0, 10.1, id="split, then the daemon of the holder is killed"),
        pytest.param(HUNG_HOLDER, STOCK, 0.3, 2.6, id="split, then the daemon of the holder hangs"),
        pytest.param(KILLED_THEN_APART, STOCK, 29.0, 31.0, id="a daemon is killed, a second later the nodes split"),
        pytest.param(ISOLATED_1, STOCK_SHORT, 0.3, 1.2, id="node 1 isolated, short timeout"),
        pytest.param(KILLED_HOLDER, STOCK_SHORT, 0.6, 1.3, id="split, then killed, short timeout"),
    ],
)
def test_under_stock_a_vote_counts_twice_for_as_long_as_on_real_nodes(
    faults: tuple[Fault, ...], setup: Setup, least: float, most: float
) -> None:
    overlap, _ = longest_overlap(setup, faults)
    assert least <= overlap <= most


@pytest.mark.parametrize("setup", [SAFE, Setup(timeout_ms=1_250), Setup(token_ms=3_000)], ids=["default", "short timeout", "long token"])
@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(ISOLATED_1, id="node 1 isolated"),
        pytest.param(ISOLATED_2, id="node 2 isolated"),
        pytest.param((APART,), id="split"),
        pytest.param((PowerCut(at=9.0, host=2),), id="power cut"),
        pytest.param(SILENT_HOLDER, id="split, then the holder falls silent"),
        pytest.param(KILLED_HOLDER, id="split, then the daemon of the holder is killed"),
        pytest.param(HUNG_HOLDER, id="split, then the daemon of the holder hangs"),
        pytest.param(KILLED_THEN_APART, id="a daemon is killed, a second later the nodes split"),
        pytest.param(OTHER_SIDE_FIRST, id="split, the arbitrator starts anew, the other side comes first"),
    ],
)
def test_under_safe_no_vote_counts_twice(faults: tuple[Fault, ...], setup: Setup) -> None:
    overlap, _ = longest_overlap(setup, faults)
    assert overlap <= OVERLAP_S_MAX


def test_what_is_not_promised_shows() -> None:
    """A daemon that hangs before its ring changes: nobody can know of it, and Corosync waits for it."""
    _, excused = longest_overlap(SAFE, (HangDaemon(at=8.5, node=1, seconds=40.0), APART, Split(at=9.0, sides=((1,), (0, 2)))))
    assert excused > 10.0


def test_the_survivor_of_an_orderly_shutdown_does_not_wait() -> None:
    for seed in SEEDS:
        outcome = run(Schedule(seed, Setup(), (Shutdown(at=9.0, node=2),), 20.0))
        alone = outcome.went_on_without(1, lost=2)
        assert outcome.failure is None
        assert alone is not None
        assert alone - 9.0 < 2.0
        assert outcome.lost_quorum(1) == []


def test_the_survivor_of_a_power_cut_waits_about_as_long_as_under_stock() -> None:
    def mean(handover: Handover) -> float:
        times = []
        for seed in SEEDS:
            cut = 17.0 + seed * 0.4  # at all phases of the heartbeat
            outcome = run(Schedule(seed, Setup(handover=handover), (PowerCut(at=cut, host=2),), cut + QUIET_S))
            alone = outcome.went_on_without(1, lost=2)
            assert alone is not None
            times.append(alone - cut)
        return sum(times) / len(times)

    assert mean(Handover.SAFE) <= mean(Handover.STOCK) + 1.5
    assert mean(Handover.FAST) <= 4.0
