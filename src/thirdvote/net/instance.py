"""One voter for one data directory: the lock that a running one holds."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from thirdvote.errors import UserError


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
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _unusable(self, error: OSError) -> UserError:
        reason = (error.strerror or str(error)).lower()
        owner = f"{os.geteuid()}:{os.getegid()}"
        hint = f"it must belong to the user that runs the arbitrator: chown -R {owner} {self._data}; or choose another with --data"
        return UserError(f"can not use the data directory {self._data} ({reason})", hint)
