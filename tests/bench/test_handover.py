from __future__ import annotations

from functools import partial

from bench.handover import FAULTS, NOT_PROMISED, SIDES, TIMEOUTS, Table, plans
from tests.e2e.lab.arbitrator import OwnNames
from tests.e2e.lab.faults import Fault, Outcome
from tests.e2e.lab.fleet import Plan, Result
from tests.e2e.lab.settings import Settings

DEFAULT, SHORT = TIMEOUTS
POWER_CUT = "node 2 without power"


def result(timeout: str, side: str, name: str, handover_s: float, overlap_s: float = 0.0) -> Result:
    fault = next(fault for fault in FAULTS if fault.name == name)
    outcome = Outcome(0.0, frozenset({1}), 2.0, handover_s, overlap_s, (), {2: 2.5}, "")
    return Result(plan(timeout, side, fault), fault, outcome, None, "")


def plan(timeout: str, side: str, fault: Fault) -> Plan:
    return Plan(f"{timeout}, {side}, 1", Settings(), 2, partial(OwnNames), (fault,))


def power_cuts(timeout: str, *, stock: float, safe: float, fast: float) -> list[Result]:
    return [result(timeout, side, POWER_CUT, seconds) for side, seconds in (("stock", stock), ("safe", safe), ("fast", fast))]


def test_a_row_has_both_figures_of_each_side_and_what_corosync_needs() -> None:
    table = Table.of(
        [
            result(DEFAULT, "stock", "node 1 isolated (cable)", 5.0, 3.9),
            result(DEFAULT, "stock", "node 1 isolated (cable)", 10.0, 0.02),
            result(DEFAULT, "safe", "node 1 isolated (cable)", 8.0, 0.03),
        ]
    )
    row = "| node 1 isolated (cable) | 7.5 (5.0 to 10.0) | 2.0 (0.0 to 3.9) | 8.0 (8.0 to 8.0) | 0 | – | – | 2.0 (2.0 to 2.0) |"
    assert row in table.markdown().splitlines()


def test_a_run_without_an_outcome_is_counted() -> None:
    fault = FAULTS[0]
    table = Table.of([Result(plan(DEFAULT, "safe", fault), fault, None, AssertionError("not within 90 s"), "")])
    assert "–, 1 failed" in table.markdown()
    assert list(table.missed()) == [f"{DEFAULT}, {fault.name}, safe: failed 1 times"]


def test_two_sides_with_quorum_are_a_target_that_is_missed_unless_it_was_not_promised() -> None:
    assert list(Table.of([result(SHORT, "safe", "split", 2.2, 0.15)]).missed()) == [f"{SHORT}, split: two sides had quorum for 0.15 s"]
    assert list(Table.of([result(SHORT, "fast", "split", 2.2, 0.15)]).missed()) == []
    assert [list(Table.of([result(SHORT, "safe", name, 2.2, 28.0)]).missed()) for name in NOT_PROMISED] == [[] for _ in NOT_PROMISED]


def test_a_slow_hand_over_is_a_target_that_is_missed() -> None:
    assert list(Table.of(power_cuts(DEFAULT, stock=8.0, safe=7.9, fast=2.5)).missed()) == []
    assert list(Table.of(power_cuts(DEFAULT, stock=8.0, safe=8.1, fast=2.7)).missed()) == [
        f"{DEFAULT}, power cuts: 8.1 s in safe, 8.0 s at the stock server",
        f"{DEFAULT}, power cuts: 1.35 detections in fast",
    ]
    assert list(Table.of(power_cuts(SHORT, stock=2.2, safe=3.5, fast=2.5)).missed()) == []
    assert list(Table.of(power_cuts(SHORT, stock=2.2, safe=3.7, fast=2.5)).missed()) == [f"{SHORT}, power cuts: 1.85 detections in safe"]


def test_what_counts_is_the_power_cut_of_whichever_node() -> None:
    slow = [result(DEFAULT, "safe", "node 1 without power", 8.9), *power_cuts(DEFAULT, stock=8.0, safe=7.0, fast=2.5)]
    assert list(Table.of(slow).missed()) == []
    assert len(list(Table.of([*slow, result(DEFAULT, "safe", "node 1 without power", 8.9)]).missed())) == 1


def test_each_fault_happens_so_often_at_each_side_with_each_timeout() -> None:
    for runs in (1, 5, 7):
        happens = [(plan.name.rpartition(", ")[0], fault.name) for plan in plans(runs, SIDES, "") for fault in plan.faults]
        assert {happens.count(each) for each in happens} == {runs}
        assert len(set(happens)) == len(TIMEOUTS) * len(SIDES) * len(FAULTS)
