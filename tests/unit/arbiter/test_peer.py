"""What the end of a connection says about the node."""

from __future__ import annotations

import pytest

from tests.unit.arbiter.test_holders import node
from tests.world import SAFE, World, ring
from thirdvote.arbiter.interface import Ending
from thirdvote.arbiter.node import Node
from thirdvote.arbiter.peer import TICK_S, absence_of
from thirdvote.arbiter.releases import Manner

HEARTBEAT_S = 8.0


def echoed_at(time: float) -> Node:
    found = node(1, ring(1, 10), 1, 2)
    found.echoed_at = found.ticked_at = time
    found.answered_at, found.session.last_heard = time - HEARTBEAT_S, time + 1
    return found


def test_a_goodbye_before_the_next_echo_is_that_of_a_daemon_that_ends() -> None:
    absence = absence_of(echoed_at(100.0), Ending.GOODBYE, True, 105.0)
    assert (absence.manner, absence.at, absence.answered, absence.echoed) == (Manner.ENDED, 105.0, 92.0, 100.0)


@pytest.mark.parametrize("now", [100 + HEARTBEAT_S - TICK_S / 2, 100 + HEARTBEAT_S, 100 + 2 * HEARTBEAT_S])
def test_one_when_the_next_echo_is_due_may_be_that_of_one_that_gives_up(now: float) -> None:
    assert absence_of(echoed_at(100.0), Ending.GOODBYE, True, now).manner is Manner.GAVE_UP


def test_the_longer_the_round_trip_the_earlier_that_begins() -> None:
    found = echoed_at(100.0)
    found.round_trip = 2.0
    assert absence_of(found, Ending.GOODBYE, True, 105.0).manner is Manner.ENDED
    assert absence_of(found, Ending.GOODBYE, True, 106.0).manner is Manner.GAVE_UP


def test_one_that_may_not_have_had_our_answers_gave_up() -> None:
    assert absence_of(echoed_at(100.0), Ending.GOODBYE, False, 105.0).manner is Manner.GAVE_UP


def test_one_that_had_an_error_from_us_gave_up() -> None:
    found = echoed_at(100.0)
    found.errors_sent = 1
    assert absence_of(found, Ending.GOODBYE, True, 105.0).manner is Manner.GAVE_UP


def test_a_connection_without_a_goodbye_is_that_of_a_daemon_that_was_killed() -> None:
    assert absence_of(echoed_at(100.0), Ending.CLOSED, True, 105.0).manner is Manner.CLOSED


def test_one_that_broke_tells_only_when_the_node_was_heard_last() -> None:
    absence = absence_of(echoed_at(100.0), Ending.LOST, False, 112.0)
    assert (absence.manner, absence.at, absence.alive) == (Manner.DROPPED, 112.0, 101.0)


def test_one_whose_kernel_had_acknowledged_what_its_daemon_does_not_answer_hangs() -> None:
    found = echoed_at(100.0)
    found.asked_at, found.acknowledged = 102.0, True
    assert absence_of(found, Ending.LOST, False, 112.0).manner is Manner.HANGS


def test_a_late_answer_is_due_before_the_node_is_given_up() -> None:
    world = World(SAFE)
    one, _ = world.settled(1, 2)
    world.pass_time(8.0)
    one.take()
    one.echo()
    deadline = world.arbiter.deadline()
    assert deadline is not None
    assert deadline <= world.now + 0.9 * HEARTBEAT_S + 0.01
