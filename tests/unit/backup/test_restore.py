from __future__ import annotations

import errno
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.backup.test_archive import PARTS, made
from thirdvote.backup.restore import restore
from thirdvote.errors import UserError
from thirdvote.ledger.sqlite import SqliteLedger

NOW = datetime(2026, 11, 25, 16, 0, tzinfo=UTC)


def restored(data: Path, forced: bool = False, backup: bytes | None = None) -> Path | None:
    return restore(io.BytesIO(made() if backup is None else backup), data, str, forced, NOW)[1]


def content(data: Path) -> dict[str, bytes]:
    return {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file()}


def test_into_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    assert restored(tmp_path) is None
    assert content(tmp_path) == {**PARTS, "lock": b""}


def test_one_that_is_not_empty_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_text("mine")
    with pytest.raises(UserError, match=r"is not empty: there is history\.db") as refused:
        restored(tmp_path)
    assert "--force" in (refused.value.hint or "")
    assert content(tmp_path) == {"history.db": b"mine"}


def test_by_force_what_was_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_text("mine")
    assert restored(tmp_path, forced=True) == tmp_path / "before-restore-20261125-160000"
    assert content(tmp_path) == {**PARTS, "before-restore-20261125-160000/history.db": b"mine"}


def test_a_damaged_backup_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_text("mine")
    with pytest.raises(UserError):
        restored(tmp_path, forced=True, backup=made()[:-100])
    assert content(tmp_path) == {"history.db": b"mine"}


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_disk_that_fails_in_between_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
    (tmp_path / "history.db").write_text("mine")
    rename, calls = Path.rename, list[Path]()

    def failing(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) == fails_at:
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(UserError, match="input/output error"):
        restored(tmp_path, forced=True)
    assert content(tmp_path) == {"history.db": b"mine"}


def test_the_start_after_it_knows_that_votes_of_before_may_count(tmp_path: Path) -> None:
    """It is told from the very first start, and waits as after a loss."""
    files = {**PARTS, "ledger.generation": b"0 closed\n"}
    restored(tmp_path, backup=made(files=files))
    ledger = SqliteLedger(tmp_path / "ledger.db")
    found = ledger.open()
    ledger.close()
    assert found.doubt
    assert not found.is_first
