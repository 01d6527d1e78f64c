from __future__ import annotations

import math

import pytest

from thirdvote.enroll.windows import (
    ADDRESSES_MAX,
    KEY_S,
    KEYS_MAX,
    LINGER_S,
    PAUSE_S,
    PAUSE_S_MAX,
    SIGNED_MAX,
    SIGNED_PER_HOUR_MAX,
    TRIES_OF_ADDRESS,
    TRIES_OF_ALL,
    WINDOWS_MAX,
    Window,
    Windows,
    source_of,
)
from thirdvote.errors import UserError

RIGHT, WRONG = b"right", b"wrong"
HOST = "192.0.2.1"


def opened(cluster: str | None = None, now: float = 0.0, digest: bytes = RIGHT) -> tuple[Windows, Window]:
    windows = Windows()
    window, _ = windows.open(digest, now, 900.0, cluster, False)
    return windows, window


def test_nobody_may_enter_before_a_window_is_open() -> None:
    windows = Windows()
    assert not windows.anybody_may_enter()
    assert windows.enter(RIGHT, HOST, 0.0) == frozenset()
    assert windows.next_end() == math.inf


def test_the_right_password_leads_to_its_window() -> None:
    windows, first = opened()
    second, _ = windows.open(b"other", 0.0, 60.0, None, False)
    assert windows.enter(RIGHT, HOST, 1.0) == {first.number}
    assert windows.enter(b"other", HOST, 1.0) == {second.number}
    assert windows.next_end() == 60.0


def test_one_password_may_lead_to_several_windows() -> None:
    windows, first = opened("a")
    second, _ = windows.open(RIGHT, 0.0, 60.0, "b", False)
    access = windows.enter(RIGHT, HOST, 0.0)
    assert access == {first.number, second.number}
    assert windows.window_for(access, "a", 0.0) is first
    assert windows.window_for(access, "b", 0.0) is second


def test_a_window_ends_when_its_time_is_over() -> None:
    windows, window = opened(now=100.0)
    access = windows.enter(RIGHT, HOST, 100.0)
    windows.add_keys(access, ["SHA256:a"], 100.0)
    assert windows.expire(999.9) == []
    (ended,) = windows.expire(1_000.0)
    assert (ended.window, ended.why) == (window, "its time was over")
    assert not windows.still_has(access)
    assert windows.enter_by_key("SHA256:a", 1_000.0) == frozenset()
    assert windows.enter(RIGHT, HOST, 1_000.0) == frozenset()


def test_close_takes_those_that_are_meant() -> None:
    windows, first = opened("a")
    second, _ = windows.open(b"2", 0.0, 60.0, None, False)
    third, _ = windows.open(b"3", 0.0, 60.0, None, False)
    windows.has_signed(third, "c", 0.0)
    assert windows.close(number=77) == []
    assert [ended.window for ended in windows.close(cluster="c")] == [third]
    assert [ended.window for ended in windows.close(number=second.number)] == [second]
    assert [ended.window for ended in windows.close()] == [first]
    assert len(windows) == 0


def test_a_second_window_for_a_cluster_ends_the_first() -> None:
    windows, first = opened("a")
    second, ended = windows.open(b"new", 1.0, 60.0, "a", False)
    assert [one.window for one in ended] == [first]
    assert windows.enter(RIGHT, HOST, 1.0) == frozenset()
    assert windows.enter(b"new", HOST, 1.0) == {second.number}


@pytest.mark.parametrize(("cluster", "stays"), [(None, False), ("a", False), ("b", True)])
def test_a_window_whose_work_is_done_makes_way_for_a_new_try(cluster: str | None, stays: bool) -> None:
    windows, first = opened()
    windows.has_signed(first, "a", 0.0)
    windows.has_fetched(frozenset({first.number}), "a", 0.0)
    _, ended = windows.open(b"new", 1.0, 60.0, cluster, False)
    assert (not ended) is stays


def test_a_window_that_has_still_to_do_does_not_make_way() -> None:
    windows, first = opened()
    windows.has_signed(first, "a", 0.0)
    _, ended = windows.open(b"new", 1.0, 60.0, None, False)
    assert ended == []


def test_there_are_not_too_many_windows() -> None:
    windows = Windows()
    for number in range(WINDOWS_MAX):
        windows.open(str(number).encode(), 0.0, 60.0, str(number), False)
    with pytest.raises(UserError, match="windows are open"):
        windows.open(b"x", 0.0, 60.0, None, False)
    windows.open(b"x", 0.0, 60.0, "3", False)  # in the place of another


# ---- tries


def test_an_address_with_too_many_wrong_passwords_has_to_wait_and_longer_each_time() -> None:
    windows, _ = opened()
    now = 0.0
    for pause_s in (PAUSE_S, 2 * PAUSE_S, 4 * PAUSE_S):
        windows._all.wrong = 0  # others' tries do not matter here
        for tries in range(TRIES_OF_ADDRESS):
            assert windows.pause_left(HOST, now) == 0
            assert windows.tries_left(HOST) == TRIES_OF_ADDRESS - tries
            assert not windows.enter(WRONG, HOST, now)
        assert windows.pause_left(HOST, now) == pause_s
        assert windows.pause_left("192.0.2.2", now) == 0
        now += pause_s
    assert windows.pause_left(HOST, now) == 0


def test_no_pause_is_longer_than_the_most() -> None:
    windows, _ = opened()
    for _ in range(12 * TRIES_OF_ADDRESS):
        windows._all.wrong = 0
        windows.enter(WRONG, HOST, 0.0)
    assert windows.pause_left(HOST, 0.0) == PAUSE_S_MAX


def test_the_right_password_forgets_the_wrong_ones() -> None:
    windows, window = opened()
    for _ in range(TRIES_OF_ADDRESS - 1):
        windows.enter(WRONG, HOST, 0.0)
    assert windows.enter(RIGHT, HOST, 0.0) == {window.number}
    assert windows.tries_left(HOST) == TRIES_OF_ADDRESS


def test_many_addresses_together_bring_a_pause_for_all() -> None:
    windows, _ = opened()
    for number in range(TRIES_OF_ALL):
        assert windows.pause_left(HOST, 0.0) == 0
        windows.enter(WRONG, f"198.51.100.{number}", 0.0)
    assert windows.pause_left(HOST, 0.0) == PAUSE_S
    assert windows.pause_left(HOST, PAUSE_S) == 0


def test_not_all_addresses_of_the_world_are_remembered() -> None:
    windows, _ = opened()
    for number in range(ADDRESSES_MAX + 10):
        windows.enter(WRONG, f"10.{number // 256}.0.{number % 256}", 0.0)
    assert len(windows._addresses) == ADDRESSES_MAX
    assert windows.tries_left("10.0.0.0") == TRIES_OF_ADDRESS


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_who_counts_as_one(address: str, source: str) -> None:
    assert source_of(address) == source


# ---- keys


def test_a_key_lets_in_until_its_window_ends() -> None:
    windows, window = opened()
    access = windows.enter(RIGHT, HOST, 0.0)
    windows.add_keys(access, ["SHA256:a", "SHA256:b"], 0.0)
    assert windows.enter_by_key("SHA256:b", 899.0) == {window.number}
    assert windows.enter_by_key("SHA256:c", 0.0) == frozenset()
    windows.close()
    assert windows.enter_by_key("SHA256:b", 0.0) == frozenset()


def test_a_key_lasts_an_hour_in_a_window_without_end() -> None:
    windows = Windows()
    window = windows.open_lasting(RIGHT, 0.0)
    access = windows.enter(RIGHT, HOST, 0.0)
    windows.add_keys(access, ["SHA256:a"], 0.0)
    assert windows.enter_by_key("SHA256:a", KEY_S - 1) == {window.number}
    assert windows.enter_by_key("SHA256:a", KEY_S) == frozenset()
    windows.expire(KEY_S)
    assert window.keys == {}


def test_a_key_in_the_wrong_window_is_forgotten() -> None:
    windows, window = opened("a")
    access = frozenset({window.number})
    windows.add_keys(access, ["SHA256:a", "SHA256:b"], 0.0)
    windows.forget_key(access, "SHA256:a")
    windows.forget_key(access, "")
    assert list(window.keys) == ["SHA256:b"]


def test_there_are_not_too_many_keys() -> None:
    windows, _ = opened()
    access = windows.enter(RIGHT, HOST, 0.0)
    windows.add_keys(access, [str(number) for number in range(KEYS_MAX)], 0.0)
    windows.add_keys(access, ["0"], 0.0)
    with pytest.raises(UserError, match="keys in one window"):
        windows.add_keys(access, ["one more"], 0.0)


# ---- what it is for


def test_a_window_for_a_cluster_is_for_no_other() -> None:
    windows, window = opened("a")
    access = windows.enter(RIGHT, HOST, 0.0)
    assert windows.window_for(access, "a", 0.0) is window
    with pytest.raises(UserError, match="is for the cluster 'a', not for 'b'"):
        windows.window_for(access, "b", 0.0)


def test_a_window_takes_the_first_cluster_that_comes_and_no_second() -> None:
    windows, window = opened()
    access = windows.enter(RIGHT, HOST, 0.0)
    windows.has_signed(windows.window_for(access, "a", 0.0), "a", 0.0)
    assert windows.window_for(access, "a", 0.0) is window  # again, when something went wrong in between
    with pytest.raises(UserError, match="was taken by the cluster 'a', not for 'b'"):
        windows.window_for(access, "b", 0.0)


def test_a_window_is_done_when_its_certificate_was_fetched() -> None:
    windows, window = opened()
    access = windows.enter(RIGHT, HOST, 0.0)
    windows.add_keys(access, ["SHA256:a"], 0.0)
    assert windows.has_fetched(access, "a", 5.0) is None  # nothing was signed
    windows.has_signed(window, "a", 5.0)
    assert windows.has_fetched(access, "b", 6.0) is None
    assert windows.has_fetched(access, "a", 7.0) is window
    assert windows.has_fetched(access, "a", 8.0) is None
    assert windows.enter(RIGHT, HOST, 8.0) == frozenset()
    assert windows.enter_by_key("SHA256:a", 8.0) == {window.number}  # for what a program has still to do
    with pytest.raises(UserError, match="has done its work for 'a'"):
        windows.window_for(access, "a", 8.0)
    (ended,) = windows.expire(7.0 + LINGER_S)
    assert ended.why == "its work is done"


def test_the_moment_after_is_no_longer_than_the_window() -> None:
    windows, window = opened()
    windows.has_signed(window, "a", 895.0)
    windows.has_fetched(frozenset({window.number}), "a", 895.0)
    assert window.until == 900.0


def test_a_window_that_has_ended_signs_nothing() -> None:
    windows, _ = opened()
    access = windows.enter(RIGHT, HOST, 0.0)
    windows.close()
    with pytest.raises(UserError, match="has ended"):
        windows.window_for(access, "a", 0.0)


def test_a_lasting_window_takes_as_many_clusters_as_come_and_is_never_done() -> None:
    windows = Windows()
    window = windows.open_lasting(RIGHT, 0.0)
    access = windows.enter(RIGHT, HOST, 0.0)
    for cluster in ("a", "b"):
        assert windows.window_for(access, cluster, 0.0) is window
        windows.has_signed(window, cluster, 0.0)
        assert windows.has_fetched(access, cluster, 0.0) is None
    assert windows.close() == []
    assert windows.expire(1e9) == []
    assert windows.enter(RIGHT, HOST, 1e9) == access


def test_not_everything_is_signed_in_one_window() -> None:
    windows, window = opened("a")
    access = frozenset({window.number})
    for _ in range(SIGNED_MAX):
        windows.has_signed(windows.window_for(access, "a", 0.0), "a", 0.0)
    with pytest.raises(UserError, match="certificates were signed in this window"):
        windows.window_for(access, "a", 0.0)


def test_a_lasting_window_signs_so_many_in_an_hour() -> None:
    windows = Windows()
    window = windows.open_lasting(RIGHT, 0.0)
    access = frozenset({window.number})
    for number in range(SIGNED_PER_HOUR_MAX):
        windows.has_signed(windows.window_for(access, str(number), 0.0), str(number), 0.0)
    with pytest.raises(UserError, match="in the last hour"):
        windows.window_for(access, "a", 3_599.0)
    assert windows.window_for(access, "a", 3_601.0) is window
