from __future__ import annotations

import gc
import os
import signal
from typing import NoReturn

import pytest

from thirdvote.domain import Handover
from thirdvote.errors import UserError
from thirdvote.sim import campaign as module
from thirdvote.sim.campaign import BATCH, SAMPLES_MAX, Summary, batch, campaign
from thirdvote.sim.draw import Wanted, draw
from thirdvote.sim.faults import Outcome, run
from thirdvote.sim.invariants import Failure, HandOver, Invariant, Measures
from thirdvote.sim.schedule import Schedule

STOCK = Wanted(Handover.STOCK)


def test_several_processes_find_what_one_does() -> None:
    *_, alone = campaign(1, 2 * BATCH + 3, 1, STOCK)
    *_, together = campaign(1, 2 * BATCH + 3, 2, STOCK)
    assert alone == together
    assert alone.runs == 2 * BATCH + 3
    assert alone.faults.total() > alone.runs
    assert alone.failures == []


def test_progress_comes_after_each_batch() -> None:
    assert [summary.runs for summary in campaign(1, BATCH + 1, 1, STOCK)] == [BATCH, BATCH + 1]


def test_a_world_that_can_not_be_made_has_failed_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(schedule: Schedule) -> Outcome:
        if schedule.seed == 2:
            raise ValueError("no such world")
        return run(schedule)

    monkeypatch.setattr(module, "run", refuse)
    *_, summary = campaign(1, 3, 2, STOCK)
    assert summary.runs == 3
    assert summary.failures == [(2, Failure(Invariant.PROGRAM, 0.0, 0, "ValueError: no such world"))]


def test_a_process_that_is_killed_ends_the_campaign_with_words_and_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(schedule: Schedule) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    monkeypatch.setattr(module, "run", die)
    with pytest.raises(UserError, match="a process that ran worlds was killed"):
        list(campaign(1, 3 * BATCH, 2, STOCK))


def test_a_batch_leaves_the_collector_as_it_was() -> None:
    assert gc.isenabled()
    assert batch(1, 3, STOCK).runs == 2
    assert gc.isenabled()


def test_a_summary_keeps_the_worst_and_the_failures() -> None:
    failure = Failure(Invariant.WAIT, 5.0, 10, "why")
    schedule = draw(3, STOCK)
    measures = Measures(overlap_s=0.5, wait_s=7.0, whole_again_s=9.0, hand_overs=[HandOver("Split", 2.0)])
    first, second = Summary(), Summary()
    first.add(Outcome(schedule, failure, measures, (), 10))
    second.add(Outcome(schedule, None, Measures(overlap_s=0.05, wait_s=8.0), (), 20))
    first.take(second)
    assert (first.runs, first.steps, first.overlaps) == (2, 30, 1)
    assert (first.overlap_s, first.wait_s, first.whole_again_s) == (0.5, 8.0, 9.0)
    assert first.hand_overs == {"Split": [2.0]}
    assert first.failures == [(3, failure)]


def test_samples_are_bounded_and_the_longest_stays() -> None:
    total = Summary()
    for number in range(5):
        total.take(Summary(hand_overs={"Split": [number + index / SAMPLES_MAX for index in range(SAMPLES_MAX // 2)]}))
    assert len(total.hand_overs["Split"]) <= SAMPLES_MAX
    assert max(total.hand_overs["Split"]) == 4 + (SAMPLES_MAX // 2 - 1) / SAMPLES_MAX
