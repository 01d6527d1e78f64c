from __future__ import annotations

from pathlib import Path

import pytest

from tests.corosync_confs import PROXMOX, with_nodes
from tests.nodes_here import NodesHere, nodes_here
from thirdvote.device import site
from thirdvote.device.cluster import ConfiguredNode
from thirdvote.device.host import LocalHost, SshHost
from thirdvote.device.site import CONF, PROXMOX_CONF, Site, check_ready, check_vote_port, from_inside, from_outside, look
from thirdvote.errors import UserError


@pytest.fixture
def here(tmp_path: Path) -> NodesHere:
    return nodes_here(tmp_path, PROXMOX)


def inside(here: NodesHere, own: int = 1) -> Site:
    by_number = {host.number: host for host in here.hosts}
    return from_inside(by_number[own], look(by_number[own]), lambda node: by_number[node.number])


def test_from_inside_this_node_is_the_first(here: NodesHere) -> None:
    assert [place.host.name for place in inside(here, 2).places] == ["n2", "n1"]
    assert [place.node.name for place in inside(here, 2).places] == ["pve2", "pve1"]


def test_from_outside_in_any_order(here: NodesHere) -> None:
    hosts = here.hosts[::-1]
    assert [place.node.number for place in from_outside(hosts, look(hosts[0])).places] == [2, 1]


def test_from_outside_all_nodes_and_each_once(here: NodesHere) -> None:
    seen = look(here.hosts[0])
    with pytest.raises(UserError, match="more nodes than were named: pve2"):
        from_outside(here.hosts[:1], seen)
    with pytest.raises(UserError, match="one was named twice"):
        from_outside([*here.hosts, here.hosts[0]], seen)


def test_proxmox_is_known_by_its_cluster_file_system(here: NodesHere) -> None:
    assert inside(here).conf == CONF
    for host in here.hosts:
        host.path(PROXMOX_CONF).parent.mkdir(parents=True)
        host.path(PROXMOX_CONF).write_text(PROXMOX)
    assert inside(here).conf == PROXMOX_CONF
    without = PROXMOX.replace("  config_version: 7\n", "")
    for host in here.hosts:
        host.path(PROXMOX_CONF).write_text(without)
        host.path(CONF).write_text(without)
    with pytest.raises(UserError, match=r"no totem\.config_version"):
        inside(here)


def test_files_that_differ(here: NodesHere) -> None:
    here.hosts[1].path(CONF).write_text(f"{PROXMOX}\n")
    with pytest.raises(UserError, match=r"corosync\.conf of n2 is not that of n1") as refused:
        inside(here)
    assert CONF in (refused.value.hint or "")


def test_no_cluster_here(here: NodesHere) -> None:
    here.hosts[0].path(CONF).unlink()
    with pytest.raises(UserError, match=f"n1 has no {CONF}"):
        look(here.hosts[0])
    here.hosts[0].fails = {"corosync-quorumtool"}
    with pytest.raises(UserError, match="corosync does not run on n1"):
        look(here.hosts[0])


def test_no_cluster_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nothing")
    with pytest.raises(UserError, match="n1 is no cluster node"):
        look(LocalHost("n1"))


def test_a_node_that_is_not_in_the_file(here: NodesHere) -> None:
    here.hosts[0].path(CONF).write_text(PROXMOX.replace("nodeid: 1", "nodeid: 5"))
    with pytest.raises(UserError, match="has no such node"):
        look(here.hosts[0])


def test_everybody_has_to_be_there(here: NodesHere) -> None:
    here.members([1])
    with pytest.raises(UserError, match="n1 does not see all nodes of the cluster: pve2 is missing"):
        check_ready(inside(here))


def test_quorum_has_to_be_there(tmp_path: Path) -> None:
    here = nodes_here(tmp_path, with_nodes(PROXMOX, 4), 4)
    found = inside(here)
    check_ready(found)
    here.members([1, 2])
    quorum = site.quorum_of(here.hosts[0])
    assert not quorum.quorate


@pytest.mark.parametrize("program", ["corosync-qdevice", "corosync-qdevice-net-certutil"])
def test_a_program_that_is_not_installed(here: NodesHere, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "PROGRAMS", (*site.PROGRAMS, f"{program}-of-nobody"))
    with pytest.raises(UserError, match=f"n1 has no {program}-of-nobody") as refused:
        check_ready(inside(here))
    assert "apt-get install corosync-qdevice" in (refused.value.hint or "")


def test_a_file_that_can_not_be_written(here: NodesHere) -> None:
    here.hosts[1].fails = {'sh -c test -w "$1"'}
    with pytest.raises(UserError, match=f"{CONF} on n2 can not be written"):
        check_ready(inside(here))


def test_the_port_where_nodes_vote(here: NodesHere) -> None:
    hosts = list(inside(here).hosts)
    check_vote_port(hosts, "10.0.0.9", 5403)
    with pytest.raises(UserError, match="n1 can not reach unreachable on port 5404"):
        check_vote_port(hosts, "unreachable", 5404)


NODE = ConfiguredNode(2, "n2", ("10.0.0.2", "fd00::2"), 1)


def ssh_that_reaches(folder: Path, place: str) -> tuple[str, ...]:
    path = folder / "ssh"
    path.write_text(f'#!/bin/sh\necho "$*" >> "$0.log"\ncase $* in *" {place} -- "*) exit 0 ;; esac\necho no route >&2; exit 255\n')
    path.chmod(0o755)
    return (str(path),)


@pytest.mark.parametrize("place", ["10.0.0.2", "fd00::2", "n2"])
def test_a_node_is_reached_by_what_works(tmp_path: Path, place: str) -> None:
    host = site.reach(NODE, ssh_that_reaches(tmp_path, place), False, lambda path: False)
    assert isinstance(host, SshHost)
    assert (host.name, host.address) == ("n2", place)


def test_a_node_that_nothing_reaches(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="n2 can not be reached over ssh: no route") as refused:
        site.reach(NODE, ssh_that_reaches(tmp_path, "nowhere"), False, lambda path: False)
    assert "ssh root@10.0.0.2 true" in (refused.value.hint or "")


@pytest.mark.parametrize("has_file", [False, True])
def test_proxmox_knows_host_keys_by_the_nodes_name(tmp_path: Path, has_file: bool) -> None:
    site.reach(NODE, ssh_that_reaches(tmp_path, "10.0.0.2"), True, lambda path: has_file)
    log = (tmp_path / "ssh.log").read_text()
    assert "HostKeyAlias=n2" in log
    assert ("UserKnownHostsFile=/etc/pve/nodes/n2/ssh_known_hosts" in log) == has_file
