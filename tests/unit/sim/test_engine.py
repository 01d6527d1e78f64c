from __future__ import annotations

import pytest

from thirdvote.sim.engine import Clock, Engine


def test_what_is_due_first_happens_first_and_ties_keep_their_order() -> None:
    engine, seen = Engine(), []
    for when, name in ((2.0, "c"), (1.0, "a"), (1.0, "b")):
        engine.at(when, lambda name=name: seen.append((engine.now, name)))  # type: ignore[misc]
    engine.run(5.0)
    assert seen == [(1.0, "a"), (1.0, "b"), (2.0, "c")]
    assert engine.now == 5.0
    assert engine.steps == 3


def test_what_was_set_for_the_past_happens_now() -> None:
    engine, seen = Engine(), []

    def set_for_the_past() -> None:
        engine.at(1.0, lambda: seen.append(engine.now))

    engine.at(2.0, set_for_the_past)
    engine.run(3.0)
    assert seen == [2.0]


def test_a_cancelled_timer_does_nothing() -> None:
    engine, seen = Engine(), []
    engine.after(1.0, lambda: seen.append(1)).cancel()
    engine.run(2.0)
    assert seen == []
    assert engine.steps == 0


def test_a_stop_leaves_the_rest() -> None:
    engine, seen = Engine(), []
    engine.at(1.0, engine.stop)
    engine.at(2.0, lambda: seen.append(2))
    engine.run(5.0)
    assert (engine.now, seen) == (1.0, [])
    engine.run(5.0)
    assert seen == [2]


def test_a_fast_clock_is_early() -> None:
    engine, seen = Engine(), []
    clock = Clock(engine, 2.0, 100.0)
    clock.after(3.0, lambda: seen.append((engine.now, clock.now())))
    engine.run(9.0)
    assert seen == [(1.5, 103.0)]
    assert clock.true(103.0) == pytest.approx(1.5)
