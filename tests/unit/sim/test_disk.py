from __future__ import annotations

from random import Random

from thirdvote.arbiter.interface import Persist, Persisted
from thirdvote.arbiter.record import ClusterRecord, HolderRecord
from thirdvote.domain import Algorithm, ClusterName, NodeId
from thirdvote.sim.disk import Disk
from thirdvote.sim.engine import Engine

NAME = ClusterName(b"pair")


def record(*holders: int) -> ClusterRecord:
    return ClusterRecord(Algorithm.FFSPLIT, frozenset(), tuple(HolderRecord(NodeId(node), 8_000) for node in holders))


class Written:
    def __init__(self) -> None:
        self.engine = Engine()
        self.disk = Disk(self.engine, Random(1), 0.02)
        self.answers: list[Persisted] = []

    def keep(self, ticket: int, wanted: ClusterRecord | None) -> None:
        self.disk.keep(Persist(ticket, NAME, wanted), self.answers.append)


def test_a_record_is_there_when_it_is_answered_and_not_before() -> None:
    written = Written()
    written.keep(1, record(1))
    assert written.disk.records == {}
    written.engine.run(1.0)
    assert written.disk.records == {NAME: record(1)}
    assert written.answers == [Persisted((1,))]


def test_what_waits_is_written_together_and_the_last_one_counts() -> None:
    written = Written()
    for ticket in (1, 2, 3):
        written.keep(ticket, record(ticket))
    written.engine.run(1.0)
    assert written.answers == [Persisted((1,)), Persisted((2, 3))]
    assert written.disk.writes == 2
    assert written.disk.records == {NAME: record(3)}
    written.keep(4, None)
    written.engine.run(2.0)
    assert written.disk.records == {}


def test_a_disk_that_fails_says_so_and_keeps_what_it_had() -> None:
    written = Written()
    written.keep(1, record(1))
    written.engine.run(1.0)
    written.disk.fails = True
    written.keep(2, record(2))
    written.engine.run(2.0)
    assert written.answers[-1].problem
    assert written.disk.records == {NAME: record(1)}


def test_a_crash_loses_what_waited_and_perhaps_what_was_being_written() -> None:
    found = []
    for seed in range(20):
        engine = Engine()
        disk = Disk(engine, Random(seed), 0.02)
        answers: list[Persisted] = []
        disk.keep(Persist(1, NAME, record(1)), answers.append)
        disk.keep(Persist(2, NAME, record(2)), answers.append)
        disk.crash()
        engine.run(1.0)
        assert answers == []
        found.append(disk.records.get(NAME))
    assert set(found) == {None, record(1)}


def test_a_lost_disk_is_not_complete() -> None:
    written = Written()
    written.disk.lose()
    assert not written.disk.complete
