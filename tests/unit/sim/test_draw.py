from __future__ import annotations

from thirdvote.domain import Algorithm, Handover
from thirdvote.sim.draw import FAULTS_MAX, FIRST_FAULT_S, Wanted, draw

MANY = [draw(seed, Wanted()) for seed in range(600)]


def test_a_seed_is_a_schedule() -> None:
    assert draw(7, Wanted()) == draw(7, Wanted())
    assert draw(7, Wanted()) != draw(8, Wanted())


def test_what_is_wanted_is_not_drawn() -> None:
    wanted = Wanted(Handover.FAST, Algorithm.LMS, 1_250)
    for seed in range(50):
        setup = draw(seed, wanted).setup
        assert (setup.handover, setup.algorithm, setup.timeout_ms) == (Handover.FAST, Algorithm.LMS, 1_250)


def test_faults_are_in_order_after_the_start_and_before_the_repair() -> None:
    for schedule in MANY:
        times = [fault.at for fault in schedule.faults]
        assert 1 <= len(times) <= FAULTS_MAX
        assert times == sorted(times)
        assert times[0] >= FIRST_FAULT_S
        assert schedule.until > times[-1]


def test_every_kind_of_fault_and_cluster_comes() -> None:
    assert len({type(fault) for schedule in MANY for fault in schedule.faults}) == 16
    assert {schedule.setup.nodes for schedule in MANY} == {2, 3, 4, 5}
    assert {schedule.setup.algorithm for schedule in MANY} == {Algorithm.FFSPLIT, Algorithm.LMS, Algorithm.TWO_NODE_LMS}
    assert all(schedule.setup.nodes == 2 for schedule in MANY if schedule.setup.algorithm is Algorithm.TWO_NODE_LMS)
