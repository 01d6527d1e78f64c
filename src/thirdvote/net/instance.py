"""One voter for one data directory: the lock that a running one holds."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from thirdvote.errors import UserError


def holder(data: Path) -> int | None:
    """The process that holds DATA/lock, without a try to take it, which could keep a voter from starting; None when nobody does."""
    path = data / "lock"
    try:
        inode = path.stat().st_ino
        held = Path("/proc/locks").read_text(encoding="ascii", errors="replace").splitlines()
        if not any(" FLOCK " in line and f":{inode} " in line for line in held):
            return None
        return int(path.read_text(encoding="ascii", errors="replace").strip() or 0)
    except (OSError, ValueError):
        return None


class DataLock:
    """Holds DATA/lock from `take` until the process ends or `release`; the file stays, with the holder's process id in it."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._path = data / "lock"
        self._descriptor: int | None = None

    def take(self) -> None:
        try:
            self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unusable(error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            hint = f"stop it first (kill {holder}), or use another directory with --data"
            raise UserError(f"another thirdvote serve is running on {self._data} (pid {holder})", hint) from None
        try:
            written = os.write(descriptor, f"{os.getpid()}\n".encode())  # over the old one, for which a full disk has room
            os.ftruncate(descriptor, written)
        except OSError as error:
            os.close(descriptor)
            raise self._unusable(error) from None
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _unusable(self, error: OSError) -> UserError:
        reason = (error.strerror or str(error)).lower()
        return UserError(f"can not use the data directory {self._data} ({reason})", f"{self._remedy(error)}choose another with --data")

    def _remedy(self, error: OSError) -> str:
        """Ends with "or"; empty where nothing but another directory helps."""
        match error.errno:
            case errno.ENOSPC | errno.EDQUOT:
                return f"make room on its file system: df {self._data}; or "
            case errno.EACCES | errno.EPERM:
                return self._permission_remedy()
            case _:
                return ""

    def _permission_remedy(self) -> str:
        """Says whose it is: nobody is told without that to give away a directory that others need."""
        user, group = os.geteuid(), os.getegid()
        try:
            owner = self._data.lstat().st_uid
        except OSError:
            return f"as root run: install -d -o {user} -g {group} -m 700 {self._data}; or "
        if owner == user:
            return f"run: chmod u+rwx {self._data}; or "
        ours = f"it belongs to user {owner}, this is user {user}; if it is the arbitrator's alone, as root run"
        return f"{ours}: chown -R {user}:{group} {self._data}; or "
