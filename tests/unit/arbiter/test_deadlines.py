from __future__ import annotations

from thirdvote.arbiter.deadlines import Deadlines


def test_the_earliest_comes_first() -> None:
    deadlines = Deadlines()
    deadlines.schedule(1, 30.0)
    deadlines.schedule(2, 20.0)
    assert deadlines.earliest() == 20.0
    assert list(deadlines.due(25.0)) == [2]
    assert deadlines.earliest() == 30.0


def test_a_later_time_does_not_replace_an_earlier_one() -> None:
    deadlines = Deadlines()
    deadlines.schedule(1, 10.0)
    deadlines.schedule(1, 40.0)
    assert deadlines.earliest() == 10.0


def test_an_earlier_time_does() -> None:
    deadlines = Deadlines()
    deadlines.schedule(1, 40.0)
    deadlines.schedule(1, 10.0)
    assert list(deadlines.due(10.0)) == [1]
    assert deadlines.earliest() is None


def test_a_connection_that_is_gone_never_comes_up() -> None:
    deadlines = Deadlines()
    deadlines.schedule(1, 10.0)
    deadlines.forget(1)
    assert deadlines.earliest() is None
    assert list(deadlines.due(99.0)) == []


def test_no_deadline_is_none() -> None:
    deadlines = Deadlines()
    deadlines.schedule(1, None)
    assert deadlines.earliest() is None


def test_moving_a_deadline_back_and_forth_does_not_pile_up() -> None:
    """A client may set its heartbeat up and down for as long as it likes."""
    deadlines = Deadlines()
    for number in range(10_000):
        deadlines.schedule(1, 1e9 - number)
    assert len(deadlines._entries) <= 66
    assert deadlines.earliest() == 1e9 - 9_999
