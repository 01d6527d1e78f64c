from __future__ import annotations

from pathlib import Path

import pytest

from tests.corosync_confs import PROXMOX, RED_HAT, with_nodes
from tests.nodes_here import NodesHere, nodes_here
from thirdvote.device import certificates, cluster, edit, remove, rules
from thirdvote.device.edit import Wanted
from thirdvote.device.remove import Remove
from thirdvote.device.services import Systemd
from thirdvote.device.site import from_inside, look
from thirdvote.device.steps import Interruption
from thirdvote.errors import UserError


def joined(folder: Path, text: str = PROXMOX, count: int = 2) -> NodesHere:
    """As `join` leaves it."""
    choice = rules.choose(cluster.read(text), True)
    here = nodes_here(folder, edit.with_device(text, Wanted("10.0.0.9", choice)), count)
    for host in here.hosts:
        certificates.trust(host, "authority\n")
        (host.root / "running").touch()
        (host.root / "enabled").touch()
    return here


def job(here: NodesHere, said: list[str] | None = None, forgets: bool = False) -> Remove:
    first, *others = here.hosts
    by_number = {host.number: host for host in others}
    site = from_inside(first, look(first), lambda node: by_number[node.number])
    say = (said if said is not None else []).append
    return Remove(site, Systemd(say), forgets, say, Interruption())


def removed(here: NodesHere, forgets: bool = False) -> list[str]:
    said: list[str] = []
    work = job(here, said, forgets)
    work.prepare()
    work.run()
    return said


def test_file_daemon_and_vote_are_gone_and_certificates_stay(tmp_path: Path) -> None:
    here = joined(tmp_path)
    said = removed(here)
    assert said[0].startswith("without the device two nodes need each other")
    assert here.in_force == PROXMOX.replace("config_version: 7", "config_version: 9")
    for host in here.hosts:
        assert (host.runs, host.is_enabled) == (False, False)
        assert certificates.has_database(host)


def test_certificates_are_removed_on_request(tmp_path: Path) -> None:
    here = joined(tmp_path)
    assert removed(here, forgets=True)[-1] == "n2: removes key and certificates"
    for host in here.hosts:
        assert not certificates.has_database(host)
        assert not host.path(certificates.FOLDER).exists()


def test_two_node_mode_comes_back_where_it_was(tmp_path: Path) -> None:
    here = joined(tmp_path, RED_HAT)
    said = removed(here)
    assert here.in_force == RED_HAT
    assert not any("need each other" in line for line in said)


@pytest.mark.parametrize(("count", "members"), [(2, [1]), (4, [1, 2])])
def test_a_cluster_that_needs_its_vote_keeps_it(tmp_path: Path, count: int, members: list[int]) -> None:
    here = joined(tmp_path, with_nodes(PROXMOX, count), count)
    here.members(members)
    before = here.in_force
    with pytest.raises(UserError, match=f"without the device's vote n1 would have no quorum: its nodes have {len(members)} of the"):
        job(here).prepare()
    assert here.in_force == before


def test_votes_that_suffice_afterwards_and_not_in_between(tmp_path: Path) -> None:
    """Three nodes with lms have five votes: while the device is being taken out, all three are needed."""
    here = joined(tmp_path, with_nodes(PROXMOX, 3), 3)
    here.members([1, 2])
    with pytest.raises(UserError, match="have 2 of the 3 votes"):
        job(here).prepare()


def test_no_device(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no device"):
        job(nodes_here(tmp_path, PROXMOX)).prepare()


@pytest.mark.parametrize("fails", ["systemctl stop", "systemctl disable", "sh -c set -e; cp -p"])
@pytest.mark.parametrize("node", [0, 1])
def test_what_fails_is_undone(tmp_path: Path, fails: str, node: int) -> None:
    here = joined(tmp_path)
    before = here.in_force
    work = job(here)
    work.prepare()
    here.hosts[node].fails = {fails}
    with pytest.raises(UserError):
        work.run()
    assert [host.runs for host in here.hosts] == [True, True]
    assert {host.conf for host in here.hosts} <= {before, edit.with_version_after(before, cluster.read(before).version)}
    assert "model: net" in here.in_force


def test_quorum_that_does_not_come_brings_the_device_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remove, "GONE_S", 0.0)
    here = joined(tmp_path)
    said: list[str] = []
    work = job(here, said)
    work.prepare()
    here.members([1])
    with pytest.raises(UserError, match="no quorum without the device"):
        work.run()
    assert "model: net" in here.in_force
    assert [(host.runs, host.is_enabled) for host in here.hosts] == [(True, True), (True, True)]
    assert said[-1] == "undo: starts corosync-qdevice again"
