from __future__ import annotations

import errno
import os
from pathlib import Path
from unittest.mock import patch

import pytest

from thirdvote.errors import UserError
from thirdvote.net.instance import DataLock, holder


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
    assert caught.value.hint == "choose another with --data"


def refused(data: Path, number: int) -> str:
    """The hint."""
    with patch("os.open", side_effect=OSError(number, os.strerror(number))), pytest.raises(UserError) as caught:
        DataLock(data).take()
    assert os.strerror(number).lower() in str(caught.value)
    return caught.value.hint or ""


def test_the_remedy_fits_what_is_wrong(tmp_path: Path) -> None:
    assert refused(tmp_path, errno.EACCES) == f"run: chmod u+rwx {tmp_path}; or choose another with --data"
    assert refused(tmp_path, errno.EROFS) == "choose another with --data"
    assert refused(tmp_path, errno.ENOSPC).startswith("make room on its file system: df ")


def test_another_users_directory_is_not_given_away_blindly(tmp_path: Path) -> None:
    with patch("os.geteuid", return_value=os.geteuid() + 1):
        hint = refused(tmp_path, errno.EACCES)
    assert f"it belongs to user {os.getuid()}" in hint
    assert "if it is the arbitrator's alone, as root run: chown -R" in hint


def test_in_a_container_the_remedy_is_for_its_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("container", "oci")
    monkeypatch.setattr("thirdvote.net.instance.mounted_from", lambda folder: "/srv/thirdvote")
    user, group = os.geteuid(), os.getegid()
    tmp_path.chmod(0o700)
    assert "mount it with `:Z`" in refused(tmp_path, errno.EACCES)
    assert refused(tmp_path, errno.EROFS).startswith("mount it writable, without `:ro` (/srv/thirdvote on the host)")
    with patch("os.geteuid", return_value=user + 1):
        hint = refused(tmp_path, errno.EACCES)
    assert f"as root on the host run: chown -R {user + 1}:{group} /srv/thirdvote; or run the container as its owner, --user {user}" in hint
    monkeypatch.setattr("thirdvote.net.instance.mounted_from", lambda folder: None)
    with patch("os.geteuid", return_value=user + 1):
        assert f"chown -R {user + 1}:{group} THE-FOLDER" in refused(tmp_path, errno.EACCES)


def test_a_directory_that_can_not_be_made(tmp_path: Path) -> None:
    with patch("pathlib.Path.mkdir", side_effect=PermissionError(errno.EACCES, "Permission denied")), pytest.raises(UserError) as caught:
        DataLock(tmp_path / "a" / "data").take()
    assert (caught.value.hint or "").startswith(f"as root run: install -d -o {os.geteuid()} ")


@pytest.mark.parametrize("call", ["ftruncate", "write"])
def test_a_full_disk_is_said_in_words_and_leaves_no_lock(tmp_path: Path, call: str) -> None:
    with patch(f"os.{call}", side_effect=OSError(errno.ENOSPC, "No space left on device")), pytest.raises(UserError, match="no space left"):
        DataLock(tmp_path).take()
    lock = DataLock(tmp_path)
    lock.take()
    lock.release()


def test_who_holds_it_is_seen_without_taking_it(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    lock = DataLock(tmp_path)
    lock.take()
    assert holder(tmp_path) == os.getpid()
    lock.release()
    assert holder(tmp_path) is None
    assert holder(tmp_path / "none") is None
