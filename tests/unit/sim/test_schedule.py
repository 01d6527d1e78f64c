from __future__ import annotations

import pytest

from thirdvote.domain import Algorithm, Handover, TieBreakerMode
from thirdvote.sim import schedule
from thirdvote.sim.draw import Wanted, draw
from thirdvote.sim.schedule import (
    Delay,
    Fault,
    HangArbitrator,
    HangDaemon,
    OneWayLoss,
    PowerCut,
    Schedule,
    Setup,
    Split,
    is_of_the_arbitrator,
    literal,
)

NAMES = {**vars(schedule), "Algorithm": Algorithm, "Handover": Handover, "TieBreakerMode": TieBreakerMode}


def test_the_heartbeat_is_what_the_stock_client_makes_of_its_timeout() -> None:
    assert Setup().heartbeat_s == 8.0
    assert Setup(timeout_ms=1_250).heartbeat_s == 1.0
    assert Setup(timeout_ms=1_000).heartbeat_s == 1.0, "its least"
    assert Setup(timeout_ms=300_000).heartbeat_s == 120.0, "its most"
    assert Setup().poll_s == 5.0


def test_the_device_has_one_vote_or_as_many_as_all_nodes_but_one() -> None:
    assert Setup(nodes=4).device_votes == 1
    assert Setup(nodes=4, algorithm=Algorithm.LMS).device_votes == 3


def test_a_schedule_can_be_pasted() -> None:
    for seed in range(50):
        wanted = draw(seed, Wanted())
        assert eval(literal(wanted), NAMES) == wanted


def test_a_literal_leaves_out_what_is_as_usual() -> None:
    small = Schedule(7, Setup(nodes=3), (Split(at=2.0, sides=((1,),)),), 9.0)
    assert literal(small) == "Schedule(seed=7, setup=Setup(nodes=3), faults=(Split(at=2.0, sides=((1,),)),), until=9.0)"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (HangArbitrator(1.0, 2.0), True),
        (PowerCut(1.0, 0), True),
        (PowerCut(1.0, 2), False),
        (Split(1.0, ((0,), (1, 2))), True),
        (Split(1.0, ((0, 1), (2,))), False),
        (OneWayLoss(1.0, 0, 2), True),
        (OneWayLoss(1.0, 1, 2), False),
        (Delay(1.0, 1, 0, 0.1), True),
        (HangDaemon(1.0, 1, 2.0), False),
    ],
)
def test_whose_fault_it_is(fault: Fault, expected: bool) -> None:
    assert is_of_the_arbitrator(fault) is expected
