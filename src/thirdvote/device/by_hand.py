"""Nodes that ssh does not reach: what they need is put into a folder on this node, and a person is told what to type there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from thirdvote.device.certificates import DATABASE, FOLDER, TOOL
from thirdvote.device.cluster import ConfiguredNode
from thirdvote.device.conf_change import BACKUP, RELOAD, encoded
from thirdvote.device.host import Host, shell, write
from thirdvote.device.services import UNIT
from thirdvote.device.site import CONF, Site
from thirdvote.device.steps import Say, Step

OUTBOX = f"{FOLDER}/for-other-nodes"
"""On this node, for root alone: a key is among it. It is removed afterwards."""

INBOX = "/etc/corosync/thirdvote-join"
"""Where a person puts it on the others."""

Confirm = Callable[[str], None]
"""Waits until a person has done it. Interrupted, UserError."""


def nobody(question: str) -> None:
    """Where all nodes are reached, nobody is asked."""
    raise AssertionError(question)


@dataclass(frozen=True, slots=True)
class ByHand:
    """For the nodes of the site that are none of its places."""

    site: Site
    say: Say
    confirm: Confirm

    def steps(self, content: Callable[[], Mapping[str, bytes]], commands: list[str]) -> list[Step]:
        """None where ssh reaches everybody. `content` is by the names that `commands` know."""
        if not self.site.by_hand:
            return []
        host = self.site.hosts[0]
        names = ", ".join(node.label for node in self.site.by_hand)
        telling = Step(f"waits for what has to be done by hand on {names}", lambda: self._tell(names, commands))
        taking_back = Step("", lambda: None, lambda: self._tell_undo(names), f"what was done by hand on {names}")
        return [taking_back, self._filled(host, content), telling]

    def cleared(self) -> list[Step]:
        if not self.site.by_hand:
            return []
        host = self.site.hosts[0]
        return [Step(f"{host.name}: removes {OUTBOX}", lambda: _remove(host))]

    def _filled(self, host: Host, content: Callable[[], Mapping[str, bytes]]) -> Step:
        def do() -> None:
            for name, data in content().items():
                write(host, f"{OUTBOX}/{name}", data, 0o600)

        return Step(f"{host.name}: puts what the others need into {OUTBOX}", do, lambda: _remove(host), f"{host.name}: {OUTBOX}")

    def _tell(self, names: str, commands: list[str]) -> None:
        self.say(f"copy the folder {OUTBOX} from {self.site.hosts[0].name} to {INBOX} on {names}, then type there, as root:")
        for command in commands:
            self.say(f"  {command}")
        self.confirm(f"press Enter when this is done on {names} (Ctrl-C undoes everything): ")

    def _tell_undo(self, names: str) -> None:
        host = self.site.hosts[0]
        self.say(f"if something was typed there already: copy {CONF} from {host.name} to {names}, then type there, as root:")
        for command in (f"systemctl disable --now {UNIT}", f"rm -rf {DATABASE} {INBOX}", " ".join(RELOAD)):
            self.say(f"  {command}")


def joining(site: Site) -> list[str]:
    """What to type on a node that is to get the device."""
    return [
        f"{TOOL} -i -c {INBOX}/ca.crt",
        f"{TOOL} -m -c {INBOX}/qdevice-net-node.p12",
        *_new_conf(site),
        f"rm -r {INBOX}",
    ]


def leaving(site: Site) -> list[str]:
    """And on one that is to lose it."""
    return [*_new_conf(site), f"systemctl disable --now {UNIT}", f"rm -r {INBOX}"]


def conf_for_others(site: Site, text: str) -> dict[str, bytes]:
    """For the folder that is copied by hand."""
    return {} if site.is_proxmox else {"corosync.conf": encoded(text)}


def starting(nodes: tuple[ConfiguredNode, ...], say: Say) -> None:
    for node in nodes:
        say(f"{node.label}: type there now, as root: systemctl enable --now {UNIT}")


def _new_conf(site: Site) -> list[str]:
    """Proxmox VE brings it to every node by itself."""
    if site.is_proxmox:
        return []
    return [f"cp -p {CONF} {CONF}{BACKUP}", f"cat {INBOX}/corosync.conf > {CONF}"]


def _remove(host: Host) -> None:
    shell(host, 'rm -rf "$1"', OUTBOX, what=f"removing {OUTBOX}")
