from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from thirdvote.cli.lock_file import LockFile
from thirdvote.errors import UserError


def test_it_has_the_process_id_and_the_stock_mode(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lock"
    path.parent.mkdir()
    path.write_text("a longer text than any number\n")
    path.unlink()
    lock = LockFile(str(path))
    lock.take()
    assert path.read_text() == f"{os.getpid()}\n"
    assert stat.S_IMODE(path.stat().st_mode) & 0o027 == 0


def test_its_directory_is_made(tmp_path: Path) -> None:
    LockFile(str(tmp_path / "a" / "b" / "lock")).take()
    assert (tmp_path / "a" / "b" / "lock").is_file()


def test_another_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); "
        "f.write('77\\n'); f.flush(); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="Another instance is running"):
            LockFile(str(path)).take()
        assert path.read_text() == "77\n"
        assert holder.stdin is not None
        holder.stdin.close()
    LockFile(str(path)).take()
    assert path.read_text() == f"{os.getpid()}\n"


def test_a_place_where_there_can_be_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="Can't acquire lock"):
        LockFile(str(tmp_path / "file" / "lock")).take()
    with pytest.raises(UserError, match="Can't acquire lock"):
        LockFile(str(tmp_path)).take()
