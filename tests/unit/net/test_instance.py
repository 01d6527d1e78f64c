from __future__ import annotations

import os
from pathlib import Path

import pytest

from thirdvote.errors import UserError
from thirdvote.net.instance import DataLock


def test_the_second_is_told_who_the_first_is(tmp_path: Path) -> None:
    data = tmp_path / "a" / "data"
    first, second = DataLock(data), DataLock(data)
    first.take()
    with pytest.raises(UserError, match=rf"another thirdvote serve is running on .*data \(pid {os.getpid()}\)"):
        second.take()
    first.release()
    second.take()
    second.release()


def test_the_data_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    lock = DataLock(tmp_path / "data")
    lock.take()
    lock.release()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_directory_that_can_not_be_used(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(UserError, match=r"can not use the data directory .*data") as caught:
        DataLock(tmp_path / "data").take()
    assert "--data" in (caught.value.hint or "")
