"""The ledger's file, whole and in every state in which it can be found; real files and real file systems."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.ledger_here import DB, WEB, ended_ledger, record_with, remount, small_file_system
from thirdvote.ledger import sqlite as module
from thirdvote.ledger.generation import Generation, read_generation, write_generation
from thirdvote.ledger.interface import Found, LedgerProblem
from thirdvote.ledger.sqlite import MIGRATIONS, SqliteLedger

needs_mount = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="needs root, to mount a small file system")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@contextmanager
def opened(path: Path) -> Iterator[tuple[SqliteLedger, Found]]:
    ledger = SqliteLedger(path)
    found = ledger.open()
    try:
        yield ledger, found
    finally:
        ledger.close()


def problem_of(path: Path) -> LedgerProblem:
    """Of opening it; the file is as it was."""
    before = path.read_bytes()
    with pytest.raises(LedgerProblem) as caught:
        SqliteLedger(path).open()
    assert path.read_bytes() == before
    assert caught.value.found is None
    return caught.value


def killed_with(path: Path, statements: str) -> None:
    """Another process opens the ledger as `ledger`, does this, and is gone without a word."""
    program = "import os, sys; from pathlib import Path; from tests.ledger_here import *; ledger = SqliteLedger(Path(sys.argv[1]))\n"
    subprocess.run([sys.executable, "-c", f"{program}ledger.open(); {statements}; os._exit(0)", str(path)], check=True)


# ---- as it should be


def test_what_was_written_is_there_at_the_next_start(path: Path) -> None:
    with opened(path) as (ledger, found):
        assert found == Found({}, "there is no ledger yet", is_first=True)
        ledger.write({WEB: record_with(1, 2), DB: record_with(3)})
        ledger.write({WEB: record_with(2), DB: None})
        assert ledger.records == 1
        ledger.trust()
    with opened(path) as (ledger, found):
        assert found == Found({WEB: record_with(2)})
        assert ledger.records == 1


def test_it_is_for_its_owner_alone(path: Path) -> None:
    with opened(path) as (ledger, _):
        ledger.write({WEB: record_with(1)})
        assert {stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()} == {0o600}


def test_after_a_kill_nothing_is_in_doubt(path: Path) -> None:
    ended_ledger(path)
    killed_with(path, "ledger.write({DB: record_with(4)})")
    with opened(path) as (_, found):
        assert found == Found({WEB: record_with(1, 2), DB: record_with(4)})


def test_a_kill_between_the_two_counters_is_no_doubt(path: Path) -> None:
    ended_ledger(path)
    before = read_generation(path.with_suffix(".generation"))
    assert before is not None
    killed_with(path, "pass")
    write_generation(path.with_suffix(".generation"), before)
    with opened(path) as (_, found):
        assert found.doubt == ""


def test_a_doubt_lasts_until_it_is_over(path: Path) -> None:
    with opened(path):
        pass
    with opened(path) as (ledger, found):
        assert found.doubt == "the start before had doubts about the ledger, and ended before they were over"
        assert not found.is_first
        ledger.trust()
    with opened(path) as (_, found):
        assert found.doubt == ""


def test_any_name_is_kept(path: Path) -> None:
    names = [b"", b"\x00", b"\xff" * 32_000, "é'\";--".encode()]
    batch = {type(WEB)(name): record_with(number) for number, name in enumerate(names, start=1)}
    with opened(path) as (ledger, _):
        ledger.write(batch)
    with opened(path) as (_, found):
        assert found.records == batch


# ---- lost, copied, restored


def test_a_removed_one_is_noticed(path: Path) -> None:
    ended_ledger(path)
    path.unlink()
    with opened(path) as (_, found):
        assert found == Found({}, "the ledger was removed or emptied")


def test_a_copy_is_noticed_and_used(path: Path) -> None:
    ended_ledger(path)
    path.rename(path.with_suffix(".old"))
    shutil.copy(path.with_suffix(".old"), path)
    with opened(path) as (_, found):
        assert found == Found({WEB: record_with(1, 2)}, "the ledger is a copy, or was restored: later records may be missing in it")


def test_an_older_one_in_its_place_is_noticed(path: Path) -> None:
    ended_ledger(path)
    older = path.read_bytes()
    with opened(path) as (ledger, _):
        ledger.write({WEB: record_with(7)})
    path.write_bytes(older)
    with opened(path) as (_, found):
        assert found.records == {WEB: record_with(1, 2)}
        assert found.doubt == "the ledger is not the one of the last start, but an older one: later records may be missing in it"


def test_a_copy_of_the_same_run_is_older_when_that_has_ended(path: Path) -> None:
    ended_ledger(path)
    with opened(path) as (ledger, _):
        copy = path.with_suffix(".copy")
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        ledger.write({WEB: record_with(7)})
    path.write_bytes(copy.read_bytes())
    with opened(path) as (_, found):
        assert "an older one" in found.doubt


def test_the_file_beside_it_is_missing(path: Path) -> None:
    ended_ledger(path)
    path.with_suffix(".generation").unlink()
    with opened(path) as (_, found):
        assert "an older one" in found.doubt
        assert found.records == {WEB: record_with(1, 2)}


def test_after_a_kill_a_missing_log_is_noticed(path: Path) -> None:
    ended_ledger(path)
    killed_with(path, "ledger.write({DB: record_with(4)})")
    path.with_name("ledger.db-wal").unlink()
    with opened(path) as (_, found):
        assert found.doubt  # by its counter, or by the missing log where the counter was moved into the file already
    killed_with(path, "ledger.trust(); ledger._database.execute('PRAGMA wal_checkpoint(TRUNCATE)')")
    path.with_name("ledger.db-wal").unlink()
    with opened(path) as (_, found):
        assert found.doubt == "the ledger's log (-wal) was removed, and with it the latest records"


def test_the_log_of_one_that_was_moved_away_is_not_taken_for_the_new_ones(path: Path) -> None:
    ended_ledger(path)
    killed_with(path, "ledger.write({DB: record_with(4)})")
    path.rename(path.with_suffix(".broken"))
    assert path.with_name("ledger.db-wal").exists()
    with opened(path) as (ledger, found):
        assert found == Found({}, "the ledger was removed or emptied")
        ledger.write({WEB: record_with(5)})
    with opened(path) as (_, found):
        assert found.records == {WEB: record_with(5)}


def test_one_that_is_replaced_while_it_is_used_takes_nothing_more(path: Path) -> None:
    ended_ledger(path)
    with opened(path) as (ledger, _):
        path.rename(path.with_suffix(".old"))
        with pytest.raises(LedgerProblem, match="was removed or replaced while the arbitrator ran") as caught:
            ledger.write({WEB: record_with(7)})
        assert caught.value.lasting
        ledger.close()
        assert ledger.open().doubt == "the ledger was removed or emptied"
        ledger.write({WEB: record_with(7)})


def test_an_empty_file_is_as_none(path: Path) -> None:
    path.touch()
    with opened(path) as (_, found):
        assert found.is_first


# ---- unusable


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"long enough to see that it is none" * 200, "file is not a database"),
        (bytes(8_192), "file is not a database"),
        (b"x", "too short"),
    ],
)
def test_another_kind_of_file(path: Path, content: bytes, reason: str) -> None:
    path.write_bytes(content)
    problem = problem_of(path)
    assert str(problem).startswith(f"the ledger {path} is damaged ({reason}")
    assert f"`mv {path} {path}.broken`" in problem.hint
    assert "each cluster then waits once" in problem.hint


@pytest.mark.parametrize("at", [0, 1])
def test_a_damaged_page(path: Path, at: int) -> None:
    ended_ledger(path)
    content = bytearray(path.read_bytes())
    start = (len(content) // 4_096 - 1) * 4_096 if at else 100
    content[start : start + 64] = b"\xa5" * 64
    path.write_bytes(content)
    assert str(problem_of(path)).startswith(f"the ledger {path} is damaged (")


def test_a_record_that_was_written_by_hand(path: Path) -> None:
    ended_ledger(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE cluster SET holders = 'node 1'")
        database.commit()
    with pytest.raises(LedgerProblem, match=r"is damaged \(a record that can not be read: "):
        SqliteLedger(path).open()


def test_a_newer_one(path: Path) -> None:
    ended_ledger(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 7")
    problem = problem_of(path)
    assert str(problem) == f"the ledger {path} is of a newer version of the program (schema 7, known up to 2)"
    assert problem.hint.startswith("run that version again; or, to begin a new one, `mv ")


def test_the_database_of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE cluster (name TEXT)")
    assert str(problem_of(path)) == f"{path} is no ledger, but a database of another program"


def test_locked_at_the_start_and_while_it_is_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_S", 0.01)
    ended_ledger(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerProblem, match=f"{path} is locked by another program") as at_start:
            SqliteLedger(path).open()
        assert at_start.value.found == Found({WEB: record_with(1, 2)})
        other.execute("ROLLBACK")
        with opened(path) as (ledger, _):
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerProblem, match="is locked by another program") as caught:
                ledger.write({WEB: None})
            assert not caught.value.lasting
            assert caught.value.hint == f"find it with `fuser {path}` and end it"
            other.execute("ROLLBACK")
            ledger.write({DB: record_with(4)})
    with opened(path) as (_, found):
        assert found.records == {WEB: record_with(1, 2), DB: record_with(4)}


def test_who_only_looks_is_not_in_the_way(path: Path) -> None:
    with opened(path) as (ledger, _), closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        assert other.execute("SELECT count(*) FROM cluster").fetchone() == (0,)
        ledger.write({WEB: record_with(1)})
        assert other.execute("SELECT count(*) FROM cluster").fetchone() == (0,)


def test_a_folder_in_its_place(path: Path) -> None:
    path.mkdir()
    with pytest.raises(LedgerProblem, match=r"can not be used \(is a directory\)"):
        SqliteLedger(path).open()


def test_a_folder_that_is_not_there(path: Path) -> None:
    with pytest.raises(LedgerProblem, match=r"can not be used \(no such file or directory\)") as caught:
        SqliteLedger(path.parent / "none" / "ledger.db").open()
    assert "choose another directory with --data" in caught.value.hint


def write_until_it_fails(ledger: SqliteLedger) -> tuple[int, LedgerProblem]:
    """How many were written before."""
    for number in range(10_000):
        try:
            ledger.write({type(WEB)(b"%d" % number): record_with(1)})
        except LedgerProblem as problem:
            return number, problem
    raise AssertionError("there is always room")


@needs_mount
def test_a_file_system_that_is_full(tmp_path: Path) -> None:
    folder = tmp_path / "full"
    with small_file_system(folder), opened(folder / "ledger.db") as (ledger, _):
        (folder / "other").write_bytes(b"x" * 90_000)
        written, problem = write_until_it_fails(ledger)
        assert 0 < written < 10_000
        assert str(problem) == f"the ledger {folder}/ledger.db can not be written: no room is left on its file system"
        assert problem.hint == f"make room: `df {folder}`"
        (folder / "other").unlink()
        ledger.close()
        records = ledger.open().records
        assert set(records) >= {type(WEB)(b"%d" % number) for number in range(written)}
        ledger.write({WEB: record_with(1)})


@needs_mount
@pytest.mark.parametrize("killed", [False, True])
def test_one_that_has_no_room_to_grow_at_the_start_can_be_read(tmp_path: Path, killed: bool) -> None:
    folder = tmp_path / "full"
    path = folder / "ledger.db"
    with small_file_system(folder):
        ended_ledger(path)
        if killed:
            killed_with(path, "ledger.write({WEB: record_with(3)})")
        fill(folder / "other")
        with pytest.raises(LedgerProblem, match="no room is left on its file system") as caught:
            SqliteLedger(path).open()
        assert caught.value.found == Found({WEB: record_with(3) if killed else record_with(1, 2)})
        (folder / "other").unlink()
        with opened(path) as (_, found):
            assert found.records == caught.value.found.records


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4_096))


@needs_mount
def test_a_file_system_without_any_room_at_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "full"
    with small_file_system(folder, "4k"):
        (folder / "other").write_bytes(b"x" * 4_096)
        with pytest.raises(LedgerProblem, match="no room is left on its file system"):
            SqliteLedger(folder / "ledger.db").open()
        (folder / "ledger.db").unlink()


@needs_mount
def test_a_file_system_that_is_read_only(tmp_path: Path) -> None:
    folder = tmp_path / "ro"
    with small_file_system(folder):
        ended_ledger(folder / "ledger.db")
        remount(folder, "ro")
        with pytest.raises(LedgerProblem, match=r"can not be used \(read-only file system\)") as caught:
            SqliteLedger(folder / "ledger.db").open()
        assert caught.value.found == Found({WEB: record_with(1, 2)})
        remount(folder, "rw")
        with opened(folder / "ledger.db") as (_, found):
            assert found == Found({WEB: record_with(1, 2)})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    with pytest.raises(LedgerProblem, match=r"can not be used \(permission denied\)"):
        SqliteLedger(folder / "ledger.db").open()


def test_an_end_that_fails_is_found_as_after_a_kill(path: Path) -> None:
    ended_ledger(path)
    ledger = SqliteLedger(path)
    ledger.open()
    ledger.write({DB: record_with(4)})
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM cluster").fetchall()  # a reader: the log can not be removed
        ledger.close()
    assert read_generation(path.with_suffix(".generation")) == Generation(4, closed=False)
    with opened(path) as (_, found):
        assert found.records == {WEB: record_with(1, 2), DB: record_with(4)}


# ---- schemas


OLDER = (
    "CREATE TABLE vote (cluster BLOB, node INTEGER)",
    "CREATE TABLE about (inode TEXT NOT NULL, generation INTEGER NOT NULL, doubtful INTEGER NOT NULL)",
    "INSERT INTO about VALUES ('', 0, 0)",
    "INSERT INTO vote VALUES (x'776562', 1)",
)
FROM_OLDER = (
    "CREATE TABLE cluster (name BLOB PRIMARY KEY, algorithm INTEGER, partition TEXT, holders TEXT) WITHOUT ROWID",
    "INSERT INTO cluster SELECT cluster, 1, '[' || node || ']', '[[' || node || ', 8000, false]]' FROM vote",
    "DROP TABLE vote",
)


def made_by_an_older_version(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in (*OLDER, f"PRAGMA application_id = {module.APPLICATION_ID}", "PRAGMA user_version = 1"):
            database.execute(statement)


def test_a_ledger_of_an_older_version_is_brought_up(path: Path) -> None:
    made_by_an_older_version(path)
    ledger = SqliteLedger(path, (OLDER, FROM_OLDER))
    assert ledger.open().records == {WEB: record_with(1)}
    ledger.write({DB: record_with(2)})
    ledger.trust()
    ledger.close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (2,)
    again = SqliteLedger(path, (OLDER, FROM_OLDER))
    assert again.open() == Found({WEB: record_with(1), DB: record_with(2)})
    again.close()


def test_a_migration_that_fails_half_way_changes_nothing(path: Path) -> None:
    made_by_an_older_version(path)
    with pytest.raises(LedgerProblem, match=r"can not be used \(no such table: nowhere\)"):
        SqliteLedger(path, (OLDER, (*FROM_OLDER, "DROP TABLE nowhere"))).open()
    ledger = SqliteLedger(path, (OLDER, FROM_OLDER))
    assert ledger.open().records == {WEB: record_with(1)}
    ledger.close()


def test_a_new_file_has_the_newest_schema(path: Path) -> None:
    ended_ledger(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
