from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from thirdvote.arbiter.interface import Level
from thirdvote.domain import ClusterName
from thirdvote.net.history_file import PAGE_EVENTS, TEXT_MAX, Damaged, HistoryFile, Newer, Occurrence, Selection, set_aside
from thirdvote.net.log import Event


@contextmanager
def opened(path: Path, most: int = 1_000, most_of_one: int = 100) -> Iterator[HistoryFile]:
    file = HistoryFile(path, most, most_of_one)
    try:
        yield file
    finally:
        file.close()


def happened(cluster: bytes | None, text: str, event: str = "changed", time: float = 0.0, node: int | None = None) -> Occurrence:
    return Occurrence(time, Event(Level.INFO, event, text, None if cluster is None else ClusterName(cluster), node))


def read(file: HistoryFile, selection: Selection) -> list[dict[str, Any]]:
    first, last = file.bounds(selection)
    found: list[dict[str, Any]] = []
    while first <= last:
        text, first = file.page(selection, first, last)
        found += json.loads(f"[{text}]")
    return found


def texts(file: HistoryFile, selection: Selection | None = None) -> list[str]:
    return [event["text"] for event in read(file, selection or Selection(1_000))]


def test_what_is_written_is_read_after_the_next_start(tmp_path: Path) -> None:
    with opened(tmp_path / "h") as file:
        file.append([happened(b"web", "a", time=1_000.5, node=1), happened(None, "listens", "started")])
    with opened(tmp_path / "h") as file:
        assert file.count == 2
        assert read(file, Selection(10)) == [
            {"time": "1970-01-01T00:16:40.500+00:00", "level": "info", "event": "changed", "cluster": "web", "node": 1, "text": "a"},
            {"time": "1970-01-01T00:00:00.000+00:00", "level": "info", "event": "started", "text": "listens"},
        ]
    assert (tmp_path / "h").stat().st_mode & 0o777 == 0o600


def test_the_newest_of_a_cluster_with_what_the_voter_says_of_itself(tmp_path: Path) -> None:
    with opened(tmp_path / "h") as file:
        file.append([happened(b"a", "1", time=1), happened(b"b", "2", time=2), happened(None, "3", "stopped", time=3)])
        file.append([happened(b"a", "4", time=4), happened(b"\xff", "5", time=5), happened(b"a", "6", "refused", time=6)])
        assert texts(file) == ["1", "2", "3", "4", "5", "6"]
        assert texts(file, Selection(10, "a")) == ["1", "3", "4", "6"]
        assert texts(file, Selection(2, "a")) == ["4", "6"]
        assert texts(file, Selection(10, "a", since=3)) == ["3", "4", "6"]
        assert texts(file, Selection(10, "never", spelling="\\xff")) == ["3", "5"]
        assert texts(file, Selection(10, since=7)) == []


def test_more_than_a_page(tmp_path: Path) -> None:
    count = 2 * PAGE_EVENTS + 1
    with opened(tmp_path / "h", 10_000, 10_000) as file:
        file.append([happened(b"ab"[number % 2 :][:1], str(number)) for number in range(2 * count)])
        assert texts(file, Selection(10_000, "a")) == [str(number) for number in range(0, 2 * count, 2)]
        assert texts(file, Selection(10_000)) == [str(number) for number in range(2 * count)]


def test_each_cluster_keeps_its_newest(tmp_path: Path) -> None:
    with opened(tmp_path / "h", most_of_one=3) as file:
        file.append([happened(b"quiet", "q")])
        for start in range(0, 20, 4):
            file.append([happened(b"loud", str(number)) for number in range(start, start + 4)])
        assert texts(file) == ["q", "17", "18", "19"]
        assert file.count == 4


def test_when_there_are_too_many_in_all_the_largest_give_up_theirs(tmp_path: Path) -> None:
    with opened(tmp_path / "h", most=100, most_of_one=90) as file:
        file.append([happened(b"quiet", f"q{number}") for number in range(10)])
        for name in (b"a", b"b", b"c"):
            file.append([happened(name, str(number)) for number in range(80)])
        shown = read(file, Selection(1_000))
        counts = {name: sum(event["cluster"] == name for event in shown) for name in ("quiet", "a", "b", "c")}
        assert counts["quiet"] == 10
        assert 60 < sum(counts.values()) == file.count <= 100
        assert [event["text"] for event in shown if event["cluster"] == "c"][-1] == "79"


def test_more_clusters_than_events_fit(tmp_path: Path) -> None:
    with opened(tmp_path / "h", most=20, most_of_one=10) as file:
        for number in range(100):
            file.append([happened(f"c{number}".encode(), str(number))])
        assert file.count == len(texts(file)) <= 20
        assert texts(file)[-1] == "99"


def test_strangers_push_out_nothing_of_the_cluster_that_they_name(tmp_path: Path) -> None:
    with opened(tmp_path / "h", most_of_one=5) as file:
        file.append([happened(b"web", "ours")])
        file.append([happened(b"web", "wrong certificate", "refused") for _ in range(50)])
        assert texts(file, Selection(100, "web")) == ["ours", *["wrong certificate"] * 5]


def test_what_is_long_or_would_be_obeyed_by_a_terminal(tmp_path: Path) -> None:
    with opened(tmp_path / "h") as file:
        file.append([happened(b"n" * 30_000, "x" * 10_000), happened(b"\x1b[1m", "a\x1b[1m\nb")])
        long, odd = read(file, Selection(10))
        assert (len(long["text"]), len(long["cluster"])) == (TEXT_MAX + 1, 256)
        assert (odd["cluster"], odd["text"]) == ("\\x1b[1m", "a\\x1b[1m\\nb")


def test_the_last_thing_that_the_voter_said(tmp_path: Path) -> None:
    with opened(tmp_path / "h") as file:
        assert file.latest() is None
        file.append([happened(None, "", "started", time=1), happened(b"a", "", time=2)])
        assert file.latest() == ("started", 2.0)
        file.append([happened(None, "", "stopped", time=3)])
        assert file.latest() == ("stopped", 3.0)


def test_all_of_a_batch_or_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "h") as file:
        file.append([happened(b"a", "1")])
        with pytest.raises(sqlite3.Error):
            file.append([happened(b"a", "2"), Occurrence(0.0, Event(Level.INFO, None, ""))])  # type: ignore[arg-type]
        assert (texts(file), file.count) == (["1"], 1)
        file.append([happened(b"a", "3")])
        assert texts(file) == ["1", "3"]


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5_000])
def test_what_is_no_database(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "h").write_bytes(content)
    with pytest.raises(Damaged):
        HistoryFile(tmp_path / "h", 10, 10)
    assert (tmp_path / "h").read_bytes() == content


def test_pages_that_were_overwritten_are_found_at_the_start(tmp_path: Path) -> None:
    with opened(tmp_path / "h") as file:
        file.append([happened(b"a", "x" * 500) for _ in range(90)])
    content = bytearray((tmp_path / "h").read_bytes())
    content[8_192:40_000] = b"\xa5" * (40_000 - 8_192)
    (tmp_path / "h").write_bytes(content)
    with pytest.raises(Damaged):
        HistoryFile(tmp_path / "h", 1_000, 100)


def test_a_file_of_a_later_version(tmp_path: Path) -> None:
    with opened(tmp_path / "h"):
        pass
    with sqlite3.connect(tmp_path / "h") as database:
        database.execute("PRAGMA user_version = 2")
    database.close()
    with pytest.raises(Newer):
        HistoryFile(tmp_path / "h", 10, 10)


def test_a_file_that_is_set_aside_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "h"
    for content in ("first", "second"):
        path.write_text(content)
        (tmp_path / "h-wal").write_text("log")
        assert set_aside(path) == tmp_path / "h.broken"
    assert [file.name for file in tmp_path.iterdir()] == ["h.broken"]
    assert (tmp_path / "h.broken").read_text() == "second"
