from __future__ import annotations

from thirdvote.net.ratelimit import KEYS_MAX, RateLimit


def test_a_burst_and_then_a_rate() -> None:
    limit = RateLimit(3, 2.0)
    assert [limit.allows("a", 10.0) for _ in range(5)] == [True, True, True, False, False]
    assert [limit.allows("a", 10.5) for _ in range(2)] == [True, False]
    assert limit.allows("b", 10.5)


def test_what_was_held_back_is_told_once() -> None:
    limit = RateLimit(1, 1.0)
    for _ in range(4):
        limit.allows("a", 0.0)
    assert list(limit.take_suppressed(0.0)) == [("a", 3)]
    assert list(limit.take_suppressed(0.0)) == []


def test_a_key_that_is_silent_for_long_is_forgotten() -> None:
    limit = RateLimit(2, 1.0)
    limit.allows("a", 0.0)
    assert list(limit.take_suppressed(0.5)) == []
    assert len(limit) == 1
    assert list(limit.take_suppressed(1.0)) == []
    assert len(limit) == 0


def test_sources_are_bounded_and_the_longest_silent_goes() -> None:
    limit = RateLimit(1, 0.001)
    for number in range(KEYS_MAX):
        limit.allows(number, 0.0)
    assert not limit.allows(0, 1.0)
    limit.allows("new", 1.0)
    assert len(limit) == KEYS_MAX
    assert not limit.allows(0, 1.0)  # it spoke after the others
    assert limit.allows(1, 1.0)  # forgotten, so its burst is full again
