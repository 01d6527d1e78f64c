"""The lock file of the stock daemon: a POSIX write lock, with the process id in it; it is never removed."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from thirdvote.errors import UserError


class LockFile:
    """Held from `take` until the process ends. Locks of this kind do not pass to a child."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._descriptor: int | None = None

    def take(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o770, parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, f"{os.getpid()}\n".encode())
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> UserError:
        if self._descriptor is not None and error.errno in (errno.EAGAIN, errno.EACCES):
            return UserError(f"Another instance is running: it holds the lock on {self._path}", f"its process id is in {self._path}")
        reason = (error.strerror or str(error)).lower()
        return UserError(f"Can't acquire lock on {self._path} ({reason})", "choose another file with -S lock_file=FILE")
