"""Whether this program runs in a container, and what its host calls the folders that it was given."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "container"
KINDS = frozenset({"oci", "docker", "podman"})
"""Ours, and those of the engines. One of LXC or systemd is a host of its own, with addresses that others see."""

MOUNTS = Path("/proc/self/mountinfo")


def is_container() -> bool:
    return os.environ.get(VARIABLE) in KINDS


def mounted_from(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """What is mounted there, as a path in the file system that it comes from: for most, and seen from the host, where it is."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    found = [fields[3] for fields in (line.split(" ") for line in lines) if len(fields) > 4 and _plain(fields[4]) == str(folder)]
    return _plain(found[-1]) if found else None


def _plain(field: str) -> str:
    """The kernel writes blanks and the like as three octal digits."""
    head, *rest = field.split("\\")
    return head + "".join(chr(int(each[:3], 8)) + each[3:] for each in rest)
