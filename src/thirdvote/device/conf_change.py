"""A new corosync.conf on all nodes of a running cluster, and the old one back when that is to be undone.

Once a Corosync has read the new file, the old text comes back with a version above it: a node on which that did not arrive would
otherwise be let in with the newer one, and Proxmox VE's cluster file system takes only what is newer.
"""

from __future__ import annotations

from collections.abc import Callable

from thirdvote.device import cluster, edit
from thirdvote.device.host import Host, must, read, shell
from thirdvote.device.site import CONF, Site
from thirdvote.device.steps import Interruption, Step
from thirdvote.errors import UserError

BACKUP = ".before-thirdvote"
"""Behind the file's name."""

RELOAD = ("corosync-cfgtool", "-R")
DISTRIBUTED_S = 20.0
"""Proxmox VE's cluster file system takes a second."""
IN_FORCE_S = 20.0

_KEEP = 'set -e; cp -p "$1" "$2"; '
_KEEP_ON_PROXMOX = 'set -e; cat "$1" > "$2"; '
_WRITE = 'set -e; cp -p "$1" "$1.new"; cat > "$1.new"; mv -f "$1.new" "$1"'
_WRITE_ON_PROXMOX = 'set -e; cat > "$1.new"; mv -f "$1.new" "$1"'
"""Its file system has no owners and modes of one's own."""


class ConfChange:
    """`in_force` tells whether a node's Corosync works with the new file."""

    def __init__(self, site: Site, after: str, in_force: Callable[[Host], bool], interruption: Interruption) -> None:
        self._site = site
        self._after = after
        self._in_force = in_force
        self._interruption = interruption
        self._was_read = False
        self._written: list[Host] = []

    def steps(self) -> list[Step]:
        writing = [
            Step(
                f"{host.name}: writes {self._site.conf}; the old one is {self._backup}",
                lambda host=host: self._write_new(host),  # type: ignore[misc]
                lambda host=host: self._write_old(host),  # type: ignore[misc]
                f"{host.name}: the old {self._site.conf}",
            )
            for host in self._targets
        ]
        # On the way back the files come first, then they are read.
        reading_again = Step("", lambda: None, self._read_old, "corosync reads it on all nodes")
        return [reading_again, *writing, Step("corosync reads it on all nodes", self._read_new)]

    @property
    def _targets(self) -> list[Host]:
        return self._site.hosts[:1] if self._site.is_proxmox else self._site.hosts

    @property
    def _backup(self) -> str:
        return f"{self._site.conf}{BACKUP}"

    def _write_new(self, host: Host) -> None:
        if read(host, self._site.conf) != encoded(self._site.text):
            raise UserError(f"somebody else has changed {self._site.conf} on {host.name} meanwhile", "look at it, then try again")
        keep = _KEEP_ON_PROXMOX if self._site.is_proxmox else _KEEP
        shell(host, keep, self._site.conf, self._backup, what=f"keeping {self._site.conf}")
        self._written.append(host)
        self._write(host, self._after)
        self._was_read = self._was_read or self._site.is_proxmox

    def _write_old(self, host: Host) -> None:
        if host not in self._written:
            return
        latest = cluster.read(self._after).version
        self._write(host, edit.with_version_after(self._site.text, latest) if self._was_read else self._site.text)
        host.run("rm", "-f", self._backup)

    def _write(self, host: Host, text: str) -> None:
        script = _WRITE_ON_PROXMOX if self._site.is_proxmox else _WRITE
        shell(host, script, self._site.conf, data=encoded(text), what=f"writing {self._site.conf}")

    def _read_new(self) -> None:
        if self._site.is_proxmox:
            self._await_distribution()
        self._was_read = True
        must(self._site.hosts[0], *RELOAD, hint="its log says why: journalctl -u corosync")
        behind: list[Host] = []

        def everywhere() -> bool:
            behind[:] = [host for host in self._site.hosts if not (self._has_version(host) and self._in_force(host))]
            return not behind

        if not self._interruption.wait(everywhere, IN_FORCE_S):
            raise UserError(f"corosync on {behind[0].name} does not take the new file", f"on {behind[0].name}: journalctl -u corosync")

    def _has_version(self, host: Host) -> bool:
        """Corosync on the other nodes reads it a moment later."""
        version = cluster.read(self._after).version
        return version is None or value_in_force(host, edit.VERSION) == str(version)

    def _read_old(self) -> None:
        if self._was_read:
            must(self._site.hosts[0], *RELOAD, hint="its log says why: journalctl -u corosync")

    def _await_distribution(self) -> None:
        wanted = encoded(self._after)
        behind: list[Host] = []

        def everywhere() -> bool:
            behind[:] = [host for host in self._site.hosts if read(host, CONF) != wanted]
            return not behind

        if not self._interruption.wait(everywhere, DISTRIBUTED_S):
            hint = f"on {behind[0].name}: systemctl status pve-cluster"
            raise UserError(f"the cluster file system has not brought the new file to {behind[0].name}", hint)


def value_in_force(host: Host, path: str) -> str | None:
    """With which its Corosync works now: `quorum.device.votes (u32) = 1`. None when it has none."""
    ended = host.run("corosync-cmapctl", "-g", path)
    return None if ended.status else ended.text.partition(" = ")[2].strip()


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
