"""One at a time: two who change the device of the same nodes at once would undo each other's work."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from thirdvote.device.host import Host, exists
from thirdvote.device.steps import Step
from thirdvote.errors import UserError

LOCK = "/run/lock/thirdvote-device"
"""A folder that is there while somebody is at it; not after a reboot."""

_MAKE = 'mkdir -p "${1%/*}" && mkdir "$1"'
"""Makes it, or sees that it is there, in one step."""


def check_free(hosts: Sequence[Host]) -> None:
    """UserError."""
    for host in hosts:
        if exists(host, LOCK):
            raise _taken(host)


def taken(hosts: Sequence[Host]) -> tuple[list[Step], list[Step]]:
    """Steps for the begin and for the end of the work between them."""
    return [_taking(host) for host in hosts], [Step("", lambda host=host: _give_back(host)) for host in hosts]  # type: ignore[misc]


def _taking(host: Host) -> Step:
    mine = False

    def do() -> None:
        nonlocal mine
        if host.run("sh", "-c", _MAKE, "sh", LOCK).status:
            raise _taken(host)
        mine = True

    return Step("", do, lambda: _give_back(host) if mine else None)


def _give_back(host: Host) -> None:
    """Nothing of the work depends on it."""
    with suppress(UserError):
        host.run("rmdir", LOCK)


def _taken(host: Host) -> UserError:
    hint = f"wait for it; if it is certain that nobody is: rmdir {LOCK} on {host.name}"
    return UserError(f"somebody else is changing the device of {host.name} now", hint)
