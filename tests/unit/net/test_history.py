from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from thirdvote.arbiter.interface import Level, NoteKind
from thirdvote.config import Limits
from thirdvote.domain import ClusterName
from thirdvote.net import history as module
from thirdvote.net.history import STARTED, STOPPED, History, Unreadable
from thirdvote.net.history_file import Damaged, HistoryFile, Selection
from thirdvote.net.log import Event

LATER = 1e9


@dataclass
class Told:
    """What the history said to the log."""

    lines: list[tuple[Level, str]] = field(default_factory=list)

    def __call__(self, level: Level, text: str) -> None:
        self.lines.append((level, text))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER_S", 0.0)


def event(text: str, kind: str = NoteKind.CHANGED, cluster: bytes | None = b"web", level: Level = Level.INFO) -> Event:
    return Event(level, kind, text, None if cluster is None else ClusterName(cluster))


async def shown(history: History, selection: Selection | None = None) -> list[dict[str, Any]]:
    pages = [page async for page in history.pages(selection or Selection(1_000_000))]
    found: list[dict[str, Any]] = json.loads(f"[{', '.join(pages)}]")
    return found


def texts(history: History) -> list[str]:
    return [event["text"] for event in asyncio.run(shown(history))]


def with_history(path: Path, use: Callable[[History], None], told: Told | None = None, limits: Limits | None = None) -> Told:
    """`use` plays the event loop's part."""
    told = told or Told()
    history = History(path, limits or Limits(), told)
    try:
        use(history)
    finally:
        history.stop()
    assert not history._thread.is_alive()
    return told


def test_what_was_taken_is_there_at_once_and_after_a_restart(tmp_path: Path) -> None:
    def first(history: History) -> None:
        history.take(event("listens", STARTED, None))
        history.take(event("a"))
        assert texts(history) == ["listens", "a"]
        history.take(event("all is closed", STOPPED, None))

    def second(history: History) -> None:
        history.take(event("listens again", STARTED, None))
        assert texts(history) == ["listens", "a", "all is closed", "listens again"]

    assert with_history(tmp_path / "h", first).lines == []
    assert with_history(tmp_path / "h", second).lines == []


def test_a_run_that_did_not_end_in_order_is_seen(tmp_path: Path) -> None:
    with_history(tmp_path / "h", lambda history: history.take(event("listens", STARTED, None)))

    def second(history: History) -> None:
        history.take(event("listens again", STARTED, None))
        first, between, last = texts(history)
        assert (first, last) == ("listens", "listens again")
        assert between.startswith("the arbitrator did not end in order: it was killed, or its host failed, at 2")

    with_history(tmp_path / "h", second)


@pytest.mark.parametrize(
    ("unwanted"),
    [
        event("each message", level=Level.DEBUG),
        event("a stranger", NoteKind.REFUSED, None),
        event("something of the network", NoteKind.PROTOCOL_ERROR),
        event("a connection", NoteKind.CONNECTED),
        event("files", "exhausted", None),
    ],
    ids=lambda unwanted: unwanted.text,
)
def test_what_is_not_kept(tmp_path: Path, unwanted: Event) -> None:
    def use(history: History) -> None:
        history.take(unwanted)
        history.take(event("kept", NoteKind.REFUSED))
        assert texts(history) == ["kept"]

    with_history(tmp_path / "h", use)


def test_a_disk_that_stands_still_costs_no_memory_and_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUED_EVENTS_MAX", 10)
    stands, go_on = threading.Event(), threading.Event()
    append = HistoryFile.append

    def slow(self: HistoryFile, occurrences: Any) -> None:
        stands.set()
        assert go_on.wait(20)
        append(self, occurrences)

    monkeypatch.setattr(HistoryFile, "append", slow)

    def use(history: History) -> None:
        history.take(event("first"))
        assert stands.wait(20)
        for number in range(100):
            history.take(event(str(number)))
        assert len(history._events) == 10
        go_on.set()
        found = texts(history)
        assert found[:11] == ["first", *map(str, range(10))]
        assert found[11].startswith("90 events are missing before this")

    with_history(tmp_path / "h", use)


def test_a_damaged_file_is_set_aside_and_a_new_one_begins(tmp_path: Path) -> None:
    (tmp_path / "h").write_bytes(b"rubbish" * 1_000)

    def use(history: History) -> None:
        history.take(event("a"))
        assert texts(history) == ["a"]
        assert history.problem is None

    ((level, text),) = with_history(tmp_path / "h", use).lines
    assert level is Level.WARNING
    assert "is set aside as h.broken, and a new one begins; votes are not affected" in text
    assert (tmp_path / "h.broken").read_bytes() == b"rubbish" * 1_000


def test_a_file_that_is_damaged_while_it_is_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append, faults = HistoryFile.append, [Damaged("malformed")]

    def sometimes(self: HistoryFile, occurrences: Any) -> None:
        if faults:
            raise faults.pop()
        append(self, occurrences)

    monkeypatch.setattr(HistoryFile, "append", sometimes)

    def use(history: History) -> None:
        history.take(event("a"))
        assert texts(history) == ["a"]

    assert len(with_history(tmp_path / "h", use).lines) == 1
    assert (tmp_path / "h.broken").exists()


def test_a_disk_on_which_every_new_file_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: HistoryFile, occurrences: Any) -> None:
        raise Damaged("malformed")

    monkeypatch.setattr(HistoryFile, "append", never)

    def use(history: History) -> None:
        history.take(event("a"))
        assert texts(history) == []
        assert history.problem == "a new one is damaged, too (malformed)"

    assert len(with_history(tmp_path / "h", use).lines) == 2


def test_a_file_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "h") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    before = (tmp_path / "h").read_bytes()

    def use(history: History) -> None:
        history.take(event("a"))
        with pytest.raises(Unreadable, match=r"a later version of thirdvote has written it; .*: mv .*/h .*/h\.later"):
            texts(history)
        assert history.problem is not None

    assert len(with_history(tmp_path / "h", use).lines) == 1
    assert (tmp_path / "h").read_bytes() == before


def test_what_can_not_be_written_is_said_once_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "h").mkdir()

    def use(history: History) -> None:
        for text in "abc":
            history.take(event(text))
            with pytest.raises(Unreadable, match="is a directory"):
                texts(history)
        (tmp_path / "h").rmdir()
        history._retry_at = 0.0
        history.take(event("d"))
        found = texts(history)
        assert found[0] == "d"
        assert found[1].startswith("3 events are missing before this")
        assert history.problem is None

    told = with_history(tmp_path / "h", use)
    assert [level for level, _ in told.lines] == [Level.WARNING, Level.INFO]
    assert "is a directory; votes are not affected" in told.lines[0][1]
    assert "what happens is kept again" in told.lines[1][1]


def test_a_full_disk_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: HistoryFile, occurrences: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(HistoryFile, "append", full)

    def use(history: History) -> None:
        for text in "abc":
            history.take(event(text))
            history._retry_at = 0.0
            assert texts(history) == []
            assert history.problem == "database or disk is full"

    told = with_history(tmp_path / "h", use)
    assert [text.partition(": ")[2] for _, text in told.lines] == ["database or disk is full; votes are not affected"]


def test_a_fault_of_the_program_ends_neither_the_thread_nor_its_readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append, faults = HistoryFile.append, [ZeroDivisionError("x")]

    def sometimes(self: HistoryFile, occurrences: Any) -> None:
        if faults:
            raise faults.pop()
        append(self, occurrences)

    monkeypatch.setattr(HistoryFile, "append", sometimes)

    def use(history: History) -> None:
        history.take(event("a"))
        assert texts(history) == []
        assert history.problem == "a fault of the program, please report it: ZeroDivisionError: x"
        history.take(event("b"))
        assert texts(history)[0] == "b"

    with_history(tmp_path / "h", use)


def test_limits_count_from_the_next_event_on(tmp_path: Path) -> None:
    def use(history: History) -> None:
        for number in range(10):
            history.take(event(str(number)))
        assert len(texts(history)) == 10
        history.set_limits(Limits(history_per_cluster=3))
        history.take(event("10"))
        assert texts(history) == ["8", "9", "10"]

    with_history(tmp_path / "h", use)


def test_nobody_waits_for_one_that_has_stopped(tmp_path: Path) -> None:
    history = History(tmp_path / "h", Limits(), Told())
    history.stop()
    with pytest.raises(Unreadable, match="stopping"):
        texts(history)
