"""The writer's thread, with a store that does what the test wants, and with the real one."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import pytest

from tests.ledger_here import DB, WEB, record_with
from thirdvote.domain import ClusterName
from thirdvote.ledger import writer as module
from thirdvote.ledger.interface import Batch, Found, LedgerProblem
from thirdvote.ledger.sqlite import SqliteLedger
from thirdvote.ledger.writer import REOPEN_S, LedgerWriter

PATIENCE_S = 20.0

FULL = LedgerProblem("it is full", "make room", lasting=False)
DAMAGED = LedgerProblem("it is damaged", "move it away")


NOTHING = Found()


class Store:
    """In memory. `problems` are raised by the next calls, in order, None for a call that works."""

    def __init__(self, found: Found = NOTHING) -> None:
        self.found = found
        self.problems: list[LedgerProblem | Exception | None] = []
        self.calls: list[str] = []
        self.batches: list[Batch] = []
        self.may_write = threading.Event()
        self.may_write.set()
        self.is_writing = threading.Event()

    place = "somewhere"

    @property
    def records(self) -> int:
        return len(self.batches)

    def _call(self, name: str) -> None:
        self.calls.append(name)
        problem = self.problems.pop(0) if self.problems else None
        if problem is not None:
            raise problem

    def open(self) -> Found:
        self._call("open")
        return self.found

    def write(self, batch: Batch) -> None:
        self.is_writing.set()
        assert self.may_write.wait(PATIENCE_S)
        self._call("write")
        self.batches.append(batch)

    def trust(self) -> None:
        self._call("trust")

    def close(self) -> None:
        self.calls.append("close")


class Desk:
    """A writer, what it answered, and a clock that stands still."""

    def __init__(self, store: Store, doubt_s: float = 300.0) -> None:
        self.now = 1_000.0
        self.answers: queue.Queue[tuple[tuple[int, ...], str]] = queue.Queue()
        self.changes: list[str | None] = []
        self.store = store
        self.writer = LedgerWriter(
            store,
            lambda tickets, problem: self.answers.put((tickets, problem)),
            lambda problem: self.changes.append(None if problem is None else str(problem)),
            doubt_s,
            lambda: self.now,
        )
        self.found = self.writer.open()

    def keep(self, ticket: int, cluster: ClusterName = WEB, node_id: int = 1) -> None:
        self.writer.keep(ticket, cluster, record_with(node_id))

    def answer(self) -> tuple[tuple[int, ...], str]:
        return self.answers.get(timeout=PATIENCE_S)

    def kept(self, ticket: int, cluster: ClusterName = WEB, node_id: int = 1) -> str:
        """The problem of keeping this, if there was one."""
        self.keep(ticket, cluster, node_id)
        tickets, problem = self.answer()
        assert tickets == (ticket,)
        return problem


def test_an_answer_comes_when_it_is_written() -> None:
    desk = Desk(Store())
    assert desk.kept(1) == ""
    assert desk.store.batches == [{WEB: record_with(1)}]
    state = desk.writer.state
    assert (state.place, state.problem, state.doubt, state.records, state.commits) == ("somewhere", None, "", 1, 1)
    assert state.last_commit_ms is not None
    desk.writer.close()
    assert desk.store.calls == ["open", "write", "close"]
    assert desk.changes == []


def test_what_comes_during_a_write_shares_the_next() -> None:
    desk = Desk(Store())
    desk.store.may_write.clear()
    desk.keep(1)
    assert desk.store.is_writing.wait(PATIENCE_S)
    desk.keep(2, WEB, 2)
    desk.keep(3, DB, 3)
    desk.keep(4, WEB, 4)
    desk.store.may_write.set()
    assert [desk.answer(), desk.answer()] == [((1,), ""), ((2, 3, 4), "")]
    assert desk.store.batches[1] == {WEB: record_with(4), DB: record_with(3)}
    desk.writer.close()


def test_at_the_end_all_is_written() -> None:
    desk = Desk(Store())
    desk.store.may_write.clear()
    desk.keep(1)
    assert desk.store.is_writing.wait(PATIENCE_S)
    desk.keep(2, DB)
    threading.Timer(0.05, desk.store.may_write.set).start()
    desk.writer.close()
    assert [desk.answer(), desk.answer()] == [((1,), ""), ((2,), "")]
    assert desk.store.calls == ["open", "write", "write", "close"]


def test_a_disk_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.05)
    desk = Desk(Store())
    desk.store.may_write.clear()
    desk.keep(1)
    desk.writer.close()
    assert desk.answers.empty()
    desk.store.may_write.set()
    assert desk.answer() == ((1,), "")


def test_no_room_is_answered_and_the_next_attempt_is_made_at_once() -> None:
    desk = Desk(Store())
    desk.store.problems = [FULL, FULL]
    assert desk.kept(1) == "it is full"
    assert desk.writer.state.problem is FULL
    assert desk.kept(2) == "it is full"
    assert desk.kept(3) == ""
    assert desk.writer.state.problem is None
    assert desk.changes == ["it is full", None]
    desk.writer.close()
    assert desk.store.calls == ["open", "write", "write", "write", "close"]


def test_a_lasting_problem_is_mended_by_opening_anew() -> None:
    desk = Desk(Store())
    assert desk.kept(1) == ""
    desk.store.problems = [DAMAGED]
    assert desk.kept(2, DB) == ""
    assert desk.changes == ["it is damaged", None]
    desk.writer.close()
    assert desk.store.calls == ["open", "write", "write", "close", "open", "write", "write", "close"]


def test_what_another_one_lacks_is_given_to_it_before_it_is_trusted() -> None:
    desk = Desk(Store(Found({DB: record_with(4)})))
    assert desk.kept(1) == ""
    desk.store.found = Found({DB: record_with(5), ClusterName(b"old"): record_with(6)}, "the ledger is a copy")
    desk.store.problems = [DAMAGED]
    assert desk.kept(2, ClusterName(b"new"), 7) == ""
    desk.writer.close()
    assert desk.store.calls == ["open", "write", "write", "close", "open", "write", "trust", "write", "close"]
    assert desk.store.batches[1:] == [{WEB: record_with(1), DB: record_with(4)}, {ClusterName(b"new"): record_with(7)}]


def test_what_is_given_up_is_not_given_to_another_one() -> None:
    desk = Desk(Store())
    assert desk.kept(1) == ""
    desk.writer.keep(2, WEB, None)
    assert desk.answer() == ((2,), "")
    desk.store.problems = [DAMAGED]
    assert desk.kept(3, DB) == ""
    desk.writer.close()
    assert desk.store.batches == [{WEB: record_with(1)}, {WEB: None}, {DB: record_with(1)}]


def test_one_that_can_not_be_opened_is_tried_again_after_a_while() -> None:
    store = Store()
    store.problems = [DAMAGED, DAMAGED]
    desk = Desk(store)
    assert desk.found == Found({}, "the ledger can not be used")
    assert desk.kept(1) == "it is damaged"
    desk.now += REOPEN_S - 1
    assert desk.kept(2) == "it is damaged"
    assert store.calls == ["open"]
    desk.now += 1
    assert desk.kept(3) == "it is damaged"
    assert store.calls == ["open", "open"]
    desk.now += REOPEN_S
    assert desk.kept(4) == ""
    assert desk.changes == [None]
    assert desk.writer.state.doubt == "the ledger can not be used"
    desk.writer.close()
    assert store.calls == ["open", "open", "open", "write", "close"]


def test_one_that_can_only_be_read_is_used_as_far_as_it_goes() -> None:
    store = Store()
    problem = LedgerProblem("it is locked", "", lasting=False)
    problem.found = Found({DB: record_with(4)})
    store.problems = [problem]
    desk = Desk(store)
    assert desk.found is problem.found
    assert desk.writer.state.doubt == ""
    desk.now += REOPEN_S
    store.found = problem.found
    assert desk.kept(1) == ""
    desk.writer.close()
    assert store.batches == [{WEB: record_with(1)}]


def test_one_that_is_opened_but_not_filled_is_not_used() -> None:
    desk = Desk(Store())
    assert desk.kept(1) == ""
    desk.store.problems = [DAMAGED, None, FULL]
    assert desk.kept(2, DB) == "it is full"
    assert desk.store.calls == ["open", "write", "write", "close", "open", "write", "close"]
    desk.now += REOPEN_S
    assert desk.kept(3, DB) == ""
    desk.writer.close()
    assert desk.store.batches == [{WEB: record_with(1)}, {WEB: record_with(1)}, {DB: record_with(1)}]


def test_a_fault_of_ours_is_answered_too() -> None:
    desk = Desk(Store())
    desk.store.problems = [ZeroDivisionError("by zero")]
    assert desk.kept(1) == "a fault of the program, please report it: ZeroDivisionError: by zero"
    assert desk.kept(2) == ""
    desk.writer.close()


def test_a_doubt_is_over_in_time_and_not_before() -> None:
    desk = Desk(Store(Found({}, "it was removed")))
    desk.now += 299
    assert desk.kept(1) == ""
    desk.now += 1
    assert desk.kept(2) == ""
    assert desk.kept(3) == ""
    desk.writer.close()
    assert desk.store.calls == ["open", "write", "write", "trust", "write", "close"]


def test_a_doubt_is_over_by_itself(tmp_path: Path) -> None:
    trusted = threading.Event()

    class Told(SqliteLedger):
        def trust(self) -> None:
            super().trust()
            trusted.set()

    writer = LedgerWriter(Told(tmp_path / "ledger.db"), lambda tickets, problem: None, lambda problem: None, 0.01)
    assert writer.open().doubt
    assert trusted.wait(PATIENCE_S)
    writer.close()
    again = SqliteLedger(tmp_path / "ledger.db")
    assert again.open().doubt == ""
    again.close()


def test_a_doubt_is_not_over_while_the_ledger_can_not_be_used() -> None:
    store = Store()
    store.problems = [DAMAGED, DAMAGED]
    desk = Desk(store)
    desk.now += 300
    assert desk.kept(1) == "it is damaged"
    desk.now += REOPEN_S
    assert desk.kept(2) == ""
    assert desk.kept(3) == ""
    desk.writer.close()
    assert store.calls == ["open", "open", "open", "write", "trust", "write", "close"]


def test_removed_and_replaced_while_it_runs(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    answers: queue.Queue[tuple[tuple[int, ...], str]] = queue.Queue()
    changes: list[LedgerProblem | None] = []
    writer = LedgerWriter(SqliteLedger(path), lambda tickets, problem: answers.put((tickets, problem)), changes.append, 0.0)
    writer.open()
    writer.keep(1, WEB, record_with(1))
    assert answers.get(timeout=PATIENCE_S) == ((1,), "")
    path.unlink()
    writer.keep(2, DB, record_with(2))
    assert answers.get(timeout=PATIENCE_S) == ((2,), "")
    writer.close()
    assert [change and str(change) for change in changes] == [f"the ledger {path} was removed or replaced while the arbitrator ran", None]
    again = SqliteLedger(path)
    assert again.open() == Found({WEB: record_with(1), DB: record_with(2)})
    again.close()
