"""An arbiter, a disk or a node with a fault of its own is found: the invariants bite."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thirdvote.arbiter import granting
from thirdvote.arbiter.interface import Persist, Persisted
from thirdvote.arbiter.releases import Absence, Ring, Timing, released_at
from thirdvote.domain import Handover
from thirdvote.sim.disk import Disk
from thirdvote.sim.draw import Wanted, draw
from thirdvote.sim.faults import run
from thirdvote.sim.invariants import Invariant
from thirdvote.sim.schedule import DiskFails, KillArbitrator, Schedule, Setup, Split
from thirdvote.sim.shrink import shrink

ISOLATED = Schedule(3, Setup(), (Split(at=9.0, sides=((2,), (0, 1))),), 40.0)


def test_releases_at_once_are_found_as_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_once(absence: Absence, ring: Ring, timing: Timing) -> float:
        return absence.at

    assert run(ISOLATED).failure is None
    monkeypatch.setattr(granting, "released_at", at_once)
    failure = run(ISOLATED).failure
    assert failure is not None
    assert failure.invariant is Invariant.OVERLAP


def test_releases_that_come_half_a_second_early_are_found_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    def early(absence: Absence, ring: Ring, timing: Timing) -> float | None:
        found = released_at(absence, ring, timing)
        return None if found is None else found - 0.5

    monkeypatch.setattr(granting, "released_at", early)
    failures = [outcome.failure for seed in range(150) if (outcome := run(draw(seed, Wanted()))).failure]
    assert Invariant.OVERLAP in {failure.invariant for failure in failures if failure}


def test_a_disk_that_answers_before_it_has_written_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Disk.keep

    def lies(disk: Disk, wanted: Persist, answer: object) -> None:
        assert callable(answer)
        keep(disk, wanted, lambda written: None)
        answer(Persisted((wanted.ticket,)))

    monkeypatch.setattr(Disk, "keep", lies)
    failure = run(ISOLATED).failure
    assert failure is not None
    assert failure.invariant is Invariant.LEDGER


def test_an_arbiter_that_does_not_wait_for_its_ledger_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were told `stock` and the watch not: a vote leaves, and no record names its holder."""
    from thirdvote.sim import arbitrator

    settings_of = arbitrator.settings_of
    monkeypatch.setattr(arbitrator, "settings_of", lambda setup: settings_of(replace(setup, handover=Handover.STOCK)))
    failure = run(ISOLATED).failure
    assert failure is not None
    assert failure.invariant is Invariant.LEDGER


def test_a_vote_that_never_comes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Holders that are never released: the survivor waits without end."""
    monkeypatch.setattr(granting, "released_at", lambda absence, ring, timing: None)
    failure = run(replace(ISOLATED, until=90.0)).failure
    assert failure is not None
    assert failure.invariant is Invariant.WAIT


def test_a_disk_that_never_answers_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Disk, "keep", lambda disk, wanted, answer: None)
    failure = run(Schedule(1, Setup(), (), 5.0)).failure
    assert failure is not None
    assert failure.invariant is Invariant.LIVENESS


def test_a_healthy_cluster_that_loses_quorum_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if corosync needed the device's vote even while all nodes are there."""
    monkeypatch.setattr("thirdvote.sim.corosync.quorum_of", lambda setup: setup.nodes + setup.device_votes)
    failure = run(Schedule(1, Setup(), (KillArbitrator(at=9.0, restart_s=1.0),), 20.0)).failure
    assert failure is not None
    assert failure.invariant is Invariant.HEALTHY


def test_a_fault_of_the_program_is_one_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(absence: Absence, ring: Ring, timing: Timing) -> float:
        raise ZeroDivisionError

    monkeypatch.setattr(granting, "released_at", breaks)
    failure = run(ISOLATED).failure
    assert failure is not None
    assert failure.invariant is Invariant.PROGRAM
    assert "ZeroDivisionError" in failure.text


def test_a_failing_schedule_is_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granting, "released_at", lambda absence, ring, timing: absence.at)
    big = replace(
        ISOLATED,
        setup=Setup(latency_s=0.03, tie_breaker=Setup().tie_breaker, heuristics_s=0.0, persist_s=0.2),
        faults=(DiskFails(at=3.0, seconds=0.5), *ISOLATED.faults, KillArbitrator(at=35.0, restart_s=1.0)),
    )
    small = shrink(run(big))
    assert small.failure is not None
    assert small.failure.invariant is Invariant.OVERLAP
    assert small.schedule.faults == ISOLATED.faults
    assert small.schedule.setup == Setup()
