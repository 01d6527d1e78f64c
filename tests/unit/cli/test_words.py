from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from thirdvote.cli.words import counted, duration, listed, named, until


@pytest.fixture
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.9, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3_600, "1 h"),
        (3_601, "1 h"),
        (11_530.2, "3 h 12 min"),
        (86_400, "1 d"),
        (90_000, "1 d 1 h"),
        (10**9, "11574 d 1 h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.usefixtures("_in_berlin")
def test_until() -> None:
    assert until(None, None) == ""
    assert until("2026-11-25T12:03:07.250+00:00", 8.9) == "; until 13:03:07, 8 s from now"
    assert until("2026-11-25T12:03:07+00:00", 0.3) == "; until 13:03:07"
    assert until("2026-11-25T12:03:07+00:00", -5.0) == "; until 13:03:07"


def test_counted() -> None:
    assert [counted(1, "node"), counted(0, "node"), counted(2, "entry", "entries")] == ["1 node", "0 nodes", "2 entries"]


def test_listed() -> None:
    assert [listed([]), listed([1]), listed([1, 2]), listed([1, 2, 3])] == ["none", "1", "1 and 2", "1, 2 and 3"]


def test_an_empty_name_is_seen() -> None:
    assert named("") == '""'
    assert named("cluster1") == "cluster1"
