"""The longest hand-over and the longest overlap, as they are shown."""

from __future__ import annotations

import pytest

from thirdvote.arbiter.bounds import bounds
from thirdvote.arbiter.releases import Absence, Manner, Mates, Ring, RingChange, Timing, released_at, timing
from thirdvote.config import ClusterPolicy, Limits
from thirdvote.domain import Algorithm, Handover

LIMITS = Limits()


def policy(handover: Handover = Handover.SAFE, *, late_answers: bool = True, token_ms: int | None = None) -> ClusterPolicy:
    return ClusterPolicy(handover, late_answers, token_ms=token_ms)


def timed(heartbeat_ms: int = 8000, algorithm: Algorithm = Algorithm.FFSPLIT, of: ClusterPolicy | None = None) -> Timing:
    return timing(heartbeat_ms, algorithm, 2, False, of or policy())


def test_safe_has_no_overlap() -> None:
    assert bounds(timed(), 2, policy(), LIMITS).overlap_s == 0


@pytest.mark.parametrize("heartbeat_ms", [1000, 8000, 120_000])
@pytest.mark.parametrize("late_answers", [True, False])
def test_no_loss_of_a_node_that_is_whole_makes_the_survivor_wait_longer(heartbeat_ms: int, late_answers: bool) -> None:
    """It was lost at 0, up to a heartbeat after its last echo, which is answered late if that is before its ring is gone."""
    its = policy(late_answers=late_answers)
    heartbeat = heartbeat_ms / 1000
    handover = bounds(timed(heartbeat_ms), 2, its, LIMITS).handover_s
    ring_gone = 3 * 2.03
    for share in range(21):
        age = share / 20 * heartbeat
        late = late_answers and 0.9 * heartbeat - age > 0
        is_answered = not late or 0.9 * heartbeat - age < ring_gone
        absence = Absence(Manner.SILENT, 0.0, -age - (0.0 if is_answered else heartbeat), -age, -age, late)
        until = released_at(absence, Ring(ring_gone), timed(heartbeat_ms))
        assert until is not None
        assert until - ring_gone <= handover + 0.01


def test_fast_is_the_time_of_a_probe_at_the_price_of_what_safe_waits_for() -> None:
    fast, safe = bounds(timed(), 2, policy(Handover.FAST), LIMITS), bounds(timed(), 2, policy(), LIMITS)
    assert fast.handover_s == 1.0
    assert fast.overlap_s == safe.handover_s


def test_stock_overlaps_for_as_long_as_corosync_waits_for_a_daemon_that_is_gone() -> None:
    assert bounds(timed(), 2, policy(Handover.STOCK), LIMITS).overlap_s == 30
    assert bounds(timed(), 2, policy(Handover.STOCK), LIMITS).handover_s == 12


def test_2nodelms_waits_for_corosync() -> None:
    assert bounds(timed(algorithm=Algorithm.TWO_NODE_LMS), 2, policy(), LIMITS).handover_s >= 30


def test_the_advice_names_what_is_not_in_force_yet() -> None:
    assert "timeout: 1250" in bounds(timed(), 2, policy(), LIMITS).advice
    assert bounds(timed(1000), 2, policy(), LIMITS).advice == ""
    assert "safe" in bounds(timed(), 2, policy(Handover.FAST), LIMITS).advice
    assert "safe" in bounds(timed(), 2, policy(Handover.STOCK), LIMITS).advice


def test_a_node_that_falls_silent_in_a_ring_of_its_own_may_hang() -> None:
    """Then Corosync drops its vote T after its last poll, which may have come right before its next echo was due."""
    absence = Absence(Manner.SILENT, 0.0, 0.0, 0.0, 0.0)
    until = released_at(absence, Ring(), timed())
    assert until is not None
    assert until <= bounds(timed(), 2, policy(), LIMITS).handover_s + 0.01


def test_with_more_than_two_nodes_a_ring_may_change_unseen() -> None:
    absence = Absence(Manner.SILENT, 0.0, 0.0, 0.0, 0.0)
    four = timing(8000, Algorithm.FFSPLIT, 4, False, policy())
    until = released_at(absence, Ring(mates=Mates.AWAY), four)
    assert until is not None
    assert until <= bounds(four, 4, policy(), LIMITS).handover_s + 0.01


@pytest.mark.parametrize("heartbeat_ms", [1000, 8000])
@pytest.mark.parametrize("algorithm", [Algorithm.FFSPLIT, Algorithm.TWO_NODE_LMS])
def test_nodes_that_are_lost_together_may_lose_each_other_too(heartbeat_ms: int, algorithm: Algorithm) -> None:
    its = timing(heartbeat_ms, algorithm, 4, False, policy())
    handover = bounds(its, 4, policy(), LIMITS).handover_s
    for share in range(11):
        at = -share / 10 * heartbeat_ms / 1000
        until = released_at(Absence(Manner.SILENT, at, at, at, at), Ring(0.0, (RingChange(0.0, 0.0),), Mates.AWAY), its)
        assert until is not None
        assert until <= handover + 0.01
