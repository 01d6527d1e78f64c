from __future__ import annotations

import errno
import multiprocessing
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from thirdvote.errors import UserError
from thirdvote.pki import files


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_written_whole_with_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        files.write(tmp_path / "a", b"content", 0o640, "file")
    finally:
        os.umask(before)
    assert (tmp_path / "a").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    assert _names(tmp_path) == ["a"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="no space left") as caught:
        files.write(tmp_path / "a", b"new", 0o600, "key")
    assert caught.value.hint is not None
    assert "df " in caught.value.hint
    assert (tmp_path / "a").read_bytes() == b"old"
    assert _names(tmp_path) == ["a"]


def test_read_says_which_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"the key, {tmp_path}/a, is missing"):
        files.read(tmp_path / "a", "key")


def test_read_takes_no_endless_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * (files.FILE_BYTES_MAX + 1))
    with pytest.raises(UserError, match="longer than"):
        files.read(tmp_path / "a", "key")


def test_read_of_a_folder_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a directory"):
        files.read(tmp_path, "key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_key_that_others_may_use_is_refused_with_the_command_that_mends_it(tmp_path: Path, mode: int) -> None:
    key = tmp_path / "a.key"
    key.touch()
    key.chmod(mode)
    with pytest.raises(UserError, match="open to other users") as caught:
        files.check_private(key, "key")
    assert caught.value.hint is not None
    assert f"chmod {mode & 0o700:o} {key}" in caught.value.hint


def test_a_private_key_passes(tmp_path: Path) -> None:
    key = tmp_path / "a.key"
    key.touch(0o600)
    files.check_private(key, "key")


def test_a_folder_into_which_others_write_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(UserError, match="other users may write") as caught:
        files.make_folder(folder)
    assert caught.value.hint == f"run: chmod go-w {folder}"


def test_a_new_folder_is_closed(tmp_path: Path) -> None:
    files.make_folder(tmp_path / "data" / "pki")
    assert stat.S_IMODE((tmp_path / "data" / "pki").stat().st_mode) == 0o700


def test_a_file_in_place_of_the_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "pki").touch()
    with pytest.raises(UserError, match="folder of the certificates"):
        files.make_folder(tmp_path / "pki")


def test_what_a_crash_left_unfinished_goes_away(tmp_path: Path) -> None:
    (tmp_path / ".new-abc").write_bytes(b"half a key")
    (tmp_path / ".new-folder").mkdir()
    (tmp_path / ".new-folder" / "key4.db").touch()
    (tmp_path / "kept").touch()
    with files.locked(tmp_path):
        assert _names(tmp_path) == ["kept"]


def _hold(folder: Path, entered: multiprocessing.synchronize.Event) -> None:
    with files.locked(folder):
        entered.set()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    entered = context.Event()
    with files.locked(tmp_path):
        other = context.Process(target=_hold, args=(tmp_path, entered))
        other.start()
        assert not entered.wait(0.5)
    assert entered.wait(30)
    other.join(30)
    assert other.exitcode == 0


def test_hidden_is_not_missing(tmp_path: Path) -> None:
    assert not files.is_there(tmp_path / "none" / "a")
    (tmp_path / "a").touch()
    assert files.is_there(tmp_path / "a")
    assert not files.is_there(tmp_path / "a" / "b")


@pytest.fixture
def open_path() -> Iterator[Path]:
    """As tmp_path, and everybody may enter it."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def _as_nobody(path: Path, queue: multiprocessing.Queue[tuple[str, str | None]]) -> None:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    try:
        files.make_folder(path.parent)
        files.is_there(path)
        files.read(path, "key")
    except UserError as error:
        queue.put((str(error), error.hint))


def _told_to_nobody(path: Path) -> tuple[str, str | None]:
    """What a user without rights is told when he wants to use the file."""
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[tuple[str, str | None]] = context.Queue()
    other = context.Process(target=_as_nobody, args=(path, queue))
    other.start()
    told = queue.get(timeout=30)
    other.join(30)
    return told


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@needs_root
def test_a_folder_of_somebody_else(open_path: Path) -> None:
    folder = open_path / "pki"
    folder.mkdir(mode=0o700)
    message, hint = _told_to_nobody(folder / "ca.key")
    assert "permission denied" in message
    assert hint == f"{folder} belongs to root; as root run: chown -R nobody {folder}"


@needs_root
def test_a_data_directory_of_somebody_else(open_path: Path) -> None:
    """A volume that belongs to root: the usual case."""
    data = open_path / "data"
    for mode in (0o755, 0o700):
        data.mkdir(exist_ok=True)
        data.chmod(mode)
        message, hint = _told_to_nobody(data / "pki" / "ca.key")
        assert f"{data}/pki, can not be used: permission denied" in message
        assert hint == f"{data} belongs to root; as root run: chown -R nobody {data}"


@needs_root
def test_a_file_of_somebody_else(open_path: Path) -> None:
    folder = open_path / "pki"
    folder.mkdir(mode=0o755)
    (folder / "ca.key").touch(mode=0o600)
    message, hint = _told_to_nobody(folder / "ca.key")
    assert message == f"the key, {folder}/ca.key, can not be used: permission denied"
    assert hint == f"{folder}/ca.key belongs to root; as root run: chown -R nobody {folder}/ca.key"


@needs_root
def test_nobody_is_told_to_give_away_what_is_not_ours(open_path: Path) -> None:
    _, hint = _told_to_nobody(open_path / "none" / "data" / "pki" / "ca.key")
    assert hint == f"as root run: install -d -o nobody {open_path}/none; or choose another directory"
    (open_path / "closed" / "data").mkdir(parents=True)
    (open_path / "closed").chmod(0o700)
    _, hint = _told_to_nobody(open_path / "closed" / "data" / "pki" / "ca.key")
    assert hint == f"{open_path}/closed is closed to nobody: choose another directory"


@needs_root
def test_folders_that_root_makes_belong_to_whom_the_one_above_does(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, 12_345, 12_346)
    files.make_folder(data / "pki" / "deep")
    assert {(path.stat().st_uid, path.stat().st_gid) for path in (data / "pki", data / "pki" / "deep")} == {(12_345, 12_346)}
