from __future__ import annotations

from pathlib import Path

import pytest

from tests.corosync_confs import PROXMOX
from tests.nodes_here import FolderHost, NodesHere, nodes_here
from thirdvote.device import conf_change
from thirdvote.device.conf_change import BACKUP, ConfChange
from thirdvote.device.corosync_conf import set_value
from thirdvote.device.host import Ended
from thirdvote.device.site import CONF, PROXMOX_CONF, Site, from_inside, look
from thirdvote.device.steps import Interruption, Step, perform
from thirdvote.errors import UserError

AFTER = set_value(set_value(PROXMOX, "totem.config_version", "8"), "totem.token", "1000")
UNDONE = PROXMOX.replace("config_version: 7", "config_version: 9")


class ProxmoxHost(FolderHost):
    """Whose cluster file system is one folder for all, and puts a file that is newer onto every node."""

    fellows: tuple[FolderHost, ...] = ()
    is_slow = False

    def run(self, *command: str, data: bytes = b"") -> Ended:
        ended = super().run(*command, data=data)
        if PROXMOX_CONF in command and command[:2] == ("sh", "-c") and "mv" in command[2]:
            text = self.path(PROXMOX_CONF).read_text()
            for fellow in self.fellows:
                fellow.path(PROXMOX_CONF).write_text(text)
                if not self.is_slow and version(text) > version(fellow.conf):
                    fellow.path(CONF).write_text(text)
        return ended


def version(text: str) -> int:
    return int(text.partition("config_version: ")[2].partition("\n")[0])


@pytest.fixture
def here(tmp_path: Path) -> NodesHere:
    return nodes_here(tmp_path, PROXMOX)


@pytest.fixture
def proxmox(here: NodesHere) -> NodesHere:
    for host in here.hosts:
        host.__class__ = ProxmoxHost
        host.path(PROXMOX_CONF).parent.mkdir()
        host.path(PROXMOX_CONF).write_text(PROXMOX)
    for host in here.hosts:
        assert isinstance(host, ProxmoxHost)
        host.fellows = tuple(here.hosts)
    return here


def site_of(here: NodesHere) -> Site:
    first, *others = here.hosts
    return from_inside(first, look(first), lambda node: others[0])


def changed(here: NodesHere, fails_at_the_end: bool = False, takes: bool = True) -> list[str]:
    said: list[str] = []

    def fail() -> None:
        raise UserError("it broke")

    steps = ConfChange(site_of(here), AFTER, lambda host: takes, Interruption()).steps()
    perform([*steps, *([Step("fails", fail)] if fails_at_the_end else [])], said.append, Interruption())
    return said


def test_on_all_nodes_with_the_old_one_beside_it(here: NodesHere) -> None:
    here.hosts[0].path(CONF).chmod(0o640)
    changed(here)
    assert [host.conf for host in here.hosts] == [AFTER, AFTER]
    assert here.in_force == AFTER
    assert here.hosts[1].path(CONF + BACKUP).read_text() == PROXMOX
    assert here.hosts[0].path(CONF).stat().st_mode & 0o777 == 0o640
    assert (here.folder / "reloads").read_text() == "reload\n"


def test_undone_as_a_newer_one(here: NodesHere) -> None:
    with pytest.raises(UserError, match="it broke"):
        changed(here, fails_at_the_end=True)
    assert [host.conf for host in here.hosts] == [UNDONE, UNDONE]
    assert here.in_force == UNDONE
    assert not here.hosts[0].path(CONF + BACKUP).exists()


def test_a_corosync_that_does_not_take_it(here: NodesHere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conf_change, "IN_FORCE_S", 0.0)
    with pytest.raises(UserError, match="corosync on n1 does not take the new file"):
        changed(here, takes=False)
    assert here.in_force == UNDONE


def test_proxmox_distributes_it(proxmox: NodesHere) -> None:
    said = changed(proxmox)
    assert [host.conf for host in proxmox.hosts] == [AFTER, AFTER]
    assert proxmox.hosts[0].path(PROXMOX_CONF + BACKUP).read_text() == PROXMOX
    assert said == [f"n1: writes {PROXMOX_CONF}; the old one is {PROXMOX_CONF}{BACKUP}", "corosync reads it on all nodes"]


def test_proxmox_takes_the_old_one_only_as_a_newer_one(proxmox: NodesHere) -> None:
    with pytest.raises(UserError, match="it broke"):
        changed(proxmox, fails_at_the_end=True)
    assert [host.conf for host in proxmox.hosts] == [UNDONE, UNDONE]


def test_a_cluster_file_system_that_does_not_distribute(proxmox: NodesHere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conf_change, "DISTRIBUTED_S", 0.0)
    first = proxmox.hosts[0]
    assert isinstance(first, ProxmoxHost)
    first.is_slow = True
    with pytest.raises(UserError, match="has not brought the new file to n1") as failed:
        changed(proxmox)
    assert "pve-cluster" in (failed.value.hint or "")
    assert first.path(PROXMOX_CONF).read_text() == UNDONE
