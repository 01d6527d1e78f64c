"""A fixed set of random worlds for each policy. Much larger sets: `thirdvote simulate --runs 1000000`."""

from __future__ import annotations

import pytest

from thirdvote.domain import Handover
from thirdvote.sim.campaign import Summary, campaign
from thirdvote.sim.draw import Wanted
from thirdvote.sim.invariants import OVERLAP_S_MAX

BLOCK = 250


def all_of(handover: Handover, first: int, runs: int = BLOCK) -> Summary:
    *_, summary = campaign(first, runs, 1, Wanted(handover))
    return summary


@pytest.mark.parametrize("first", range(0, 1_000, BLOCK))
def test_under_safe_everything_holds(first: int) -> None:
    summary = all_of(Handover.SAFE, first)
    assert summary.failures == []
    assert summary.runs == BLOCK
    assert summary.overlap_s <= OVERLAP_S_MAX


def test_under_fast_everything_but_overlap_holds() -> None:
    assert all_of(Handover.FAST, 0).failures == []


def test_under_stock_the_same_watch_sees_votes_that_count_twice() -> None:
    summary = all_of(Handover.STOCK, 0)
    assert summary.failures == []
    assert summary.overlaps > BLOCK // 20
    assert summary.overlap_s > 5.0
