"""One voter for one data directory: the lock that a running one holds."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

from thirdvote.container import is_container, mounted_from
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
            case errno.EROFS if is_container():
                return f"mount it writable, without `:ro`{self._host_folder()}; or "
            case _:
                return ""

    def _permission_remedy(self) -> str:
        """Says whose it is: nobody is told without that to give away a directory that others need."""
        user, group = os.geteuid(), os.getegid()
        try:
            found = self._data.lstat()
        except OSError:
            return f"as root run: install -d -o {user} -g {group} -m 700 {self._data}; or "
        if found.st_uid == user:
            allowed = found.st_mode & stat.S_IRWXU == stat.S_IRWXU
            return _SELINUX if allowed and is_container() else f"run: chmod u+rwx {self._data}; or "
        theirs = f"it belongs to user {found.st_uid}, this is user {user}; if it is the arbitrator's alone"
        if is_container():
            there = mounted_from(self._data) or "THE-FOLDER"
            given = f"chown -R {user}:{group} {there}; or run the container as its owner, --user {found.st_uid}"
            return f"{theirs}, as root on the host run: {given}; or "
        return f"{theirs}, as root run: chown -R {user}:{group} {self._data}; or "

    def _host_folder(self) -> str:
        there = mounted_from(self._data)
        return f" ({there} on the host)" if there else ""


_SELINUX = "its owner is right, so the host's SELinux keeps the container out: mount it with `:Z`; or "
