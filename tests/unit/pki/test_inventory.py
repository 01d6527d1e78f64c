from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.certificates import NOW
from thirdvote.errors import UserError
from thirdvote.pki import inventory
from thirdvote.pki.inventory import Signed, Use


def signed(number: str = "67", cluster: str = "web", until: datetime = NOW + timedelta(days=3_653)) -> Signed:
    return Signed(
        serial_number=number,
        authority="QNet CA",
        cluster=cluster,
        subject=f"CN={cluster}",
        fingerprint_sha256="AA:BB",
        way="cli",
        asked_by="192.0.2.1",
        signed_at=NOW,
        valid_from=NOW - timedelta(days=1),
        valid_until=until,
    )


def test_nothing_was_signed_yet(tmp_path: Path) -> None:
    assert inventory.every(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_what_is_added_is_there(tmp_path: Path) -> None:
    inventory.add(tmp_path, [signed("2", "web"), signed("1", "db")], NOW)
    assert inventory.every(tmp_path) == [signed("1", "db"), signed("2", "web")]


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    inventory.add(tmp_path, [signed()], NOW)
    assert stat.S_IMODE(inventory.path_in(tmp_path).stat().st_mode) == 0o600


def test_one_that_is_known_stays_as_it_is(tmp_path: Path) -> None:
    inventory.add(tmp_path, [signed()], NOW)
    inventory.add(tmp_path, [replace(signed(), way="seen")], NOW)
    assert inventory.every(tmp_path) == [signed()]


def test_revoked_once(tmp_path: Path) -> None:
    inventory.add(tmp_path, [signed("1"), signed("2")], NOW)
    inventory.revoke(tmp_path, ["1", "unknown"], NOW, "stolen")
    inventory.revoke(tmp_path, ["1"], NOW + timedelta(days=1), "again")
    assert inventory.every(tmp_path) == [replace(signed("1"), revoked_at=NOW, revoked_because="stolen"), signed("2")]


def test_last_use(tmp_path: Path) -> None:
    inventory.add(tmp_path, [signed()], NOW)
    inventory.used(tmp_path, [Use("67", NOW + timedelta(hours=1), "1, 2"), Use("unknown", NOW, "3")])
    assert inventory.every(tmp_path) == [replace(signed(), last_used=NOW + timedelta(hours=1), last_used_by="1, 2")]


def test_when_it_is_full_what_has_expired_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "CERTIFICATES_MAX", 2)
    inventory.add(tmp_path, [signed("1", until=NOW - timedelta(days=1)), signed("2")], NOW)
    inventory.add(tmp_path, [signed("3")], NOW)
    assert [each.serial_number for each in inventory.every(tmp_path)] == ["2", "3"]
    with pytest.raises(UserError, match="full"):
        inventory.add(tmp_path, [signed("4")], NOW)
    assert [each.serial_number for each in inventory.every(tmp_path)] == ["2", "3"]


def _add_many(folder: Path, prefix: str) -> None:
    for number in range(25):
        inventory.add(folder, [signed(f"{prefix}{number:x}")], NOW)


def test_several_processes_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add_many, args=(tmp_path, prefix)) for prefix in "abcd"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert len(inventory.every(tmp_path)) == 100


def test_a_damaged_file_is_said_and_left_alone(tmp_path: Path) -> None:
    path = inventory.path_in(tmp_path)
    path.write_bytes(b"no database at all, but long enough to be looked at as if it were one" * 20)
    before = path.read_bytes()
    with pytest.raises(UserError, match=str(path)) as caught:
        inventory.add(tmp_path, [signed()], NOW)
    assert f"mv {path}" in str(caught.value.hint)
    assert path.read_bytes() == before


def test_one_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(inventory.path_in(tmp_path)) as database:
        database.execute(f"PRAGMA user_version = {inventory.VERSION + 1}")
    with pytest.raises(UserError, match="later version"):
        inventory.every(tmp_path)


def test_one_that_somebody_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory.add(tmp_path, [signed()], NOW)
    monkeypatch.setattr(inventory, "BUSY_S", 0.05)
    holder = sqlite3.connect(inventory.path_in(tmp_path), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(UserError, match="in use by another process"):
        inventory.add(tmp_path, [signed("2")], NOW)
    holder.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder away")
def test_root_leaves_it_to_whom_the_folder_belongs(tmp_path: Path) -> None:
    os.chown(tmp_path, 12_345, 12_346)
    inventory.add(tmp_path, [signed()], NOW)
    found = inventory.path_in(tmp_path).stat()
    assert (found.st_uid, found.st_gid) == (12_345, 12_346)
