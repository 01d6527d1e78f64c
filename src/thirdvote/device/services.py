"""How corosync-qdevice is started on a node, and at each boot: by systemd; without it a person is told to."""

from __future__ import annotations

from typing import Protocol

from thirdvote.device.host import Host, must
from thirdvote.device.steps import Say

UNIT = "corosync-qdevice"
SYSTEMD = "/run/systemd/system"
"""Is there where systemd runs: sd_booted(3)."""


class Services(Protocol):
    """Each may be repeated. UserError."""

    def is_running(self, host: Host) -> bool: ...

    def start(self, host: Host) -> None:
        """Now and at each boot; afresh when it runs."""

    def stop(self, host: Host) -> None:
        """Now, and not at the next boot."""


class Systemd:
    """`say` is for nodes that have none."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def is_running(self, host: Host) -> bool:
        if not _has_systemd(host):
            return host.run("corosync-qdevice-tool", "-s").status == 0
        return host.run("systemctl", "is-active", "--quiet", UNIT).status == 0

    def start(self, host: Host) -> None:
        if not _has_systemd(host):
            self._say(f"{host.name}: there is no systemd: start {UNIT} now, and have it started at each boot")
            return
        must(host, "systemctl", "enable", "--quiet", UNIT, hint=f"see whether the package {UNIT} is whole on {host.name}")
        # a unit that has failed too often in a row is not started again before this
        host.run("systemctl", "reset-failed", UNIT)
        must(host, "systemctl", "restart", UNIT, hint=f"on {host.name}: journalctl -u {UNIT} says why")

    def stop(self, host: Host) -> None:
        if not _has_systemd(host):
            self._say(f"{host.name}: there is no systemd: end {UNIT} now, and have it started at boot no more")
            return
        must(host, "systemctl", "stop", UNIT, hint=f"on {host.name}: systemctl status {UNIT}")
        must(host, "systemctl", "disable", "--quiet", UNIT, hint=f"on {host.name}: systemctl status {UNIT}")


def _has_systemd(host: Host) -> bool:
    return host.run("test", "-d", SYSTEMD).status == 0
