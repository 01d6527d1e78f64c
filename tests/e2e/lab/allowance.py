"""A bound on how much of a processor one program may take.

Corosync turns its token as fast as it can while it waits for a quorum device: with a ring of one node, a third of a processor and more
for nothing. Many clusters side by side would slow each other down; a tenth is plenty for all that they have to do once they run.

Needs a kernel with the group controller `cpu` of version 1 or 2, and the right to use it; without, there is no bound.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from pathlib import Path

PERIOD_US = 10_000
QUOTA_US = 1_000
"""In each period: a program that has used it up waits for 9 ms at most."""

PREFIX = "thirdvote-test"

EMPTY_SECONDS_MAX = 2.0
"""The kernel takes ended programs out of their group a moment later."""

_numbers = itertools.count()


class Allowance:
    """For one program, from now on until `end`, which is called when it has ended."""

    def __init__(self, pid: int) -> None:
        self._folder = _new_group()
        if self._folder is not None:
            (self._folder / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def end(self) -> None:
        folder, self._folder = self._folder, None
        if folder is None:
            return
        give_up_at = time.monotonic() + EMPTY_SECONDS_MAX
        while not _removed(folder) and time.monotonic() < give_up_at:
            time.sleep(0.02)


def _new_group() -> Path | None:
    name = f"{PREFIX}-{os.getpid()}-{next(_numbers)}"
    for root, settings in (
        (Path("/sys/fs/cgroup/cpu"), {"cpu.cfs_period_us": PERIOD_US, "cpu.cfs_quota_us": QUOTA_US}),
        (Path("/sys/fs/cgroup"), {"cpu.max": f"{QUOTA_US} {PERIOD_US}"}),
    ):
        if not (root / "cgroup.procs").exists():
            continue
        folder = root / name
        try:
            _remove_left_behind(root)
            folder.mkdir()
            for setting, value in settings.items():
                (folder / setting).write_text(str(value), encoding="ascii")
        except OSError:
            _removed(folder)
        else:
            return folder
    return None


def _remove_left_behind(root: Path) -> None:
    """By a run of the tests that was killed."""
    for folder in root.glob(f"{PREFIX}-*"):
        if not Path("/proc", folder.name.split("-")[2]).exists():
            _removed(folder)


def _removed(folder: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        try:
            folder.rmdir()
        except OSError:
            return False
    return True
