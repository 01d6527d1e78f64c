"""A running cluster: its nodes, how to reach each, its corosync.conf, and what is checked before anything is changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thirdvote.device import cluster as conf_cluster
from thirdvote.device import quorum_text
from thirdvote.device.cluster import Cluster, ConfiguredNode
from thirdvote.device.corosync_conf import ConfError
from thirdvote.device.host import NOT_FOUND, Ended, Host, SharedConnections, SshHost, exists, read
from thirdvote.device.quorum_text import Quorum
from thirdvote.errors import UserError

CONF = "/etc/corosync/corosync.conf"
PROXMOX_CONF = "/etc/pve/corosync.conf"
"""Of Proxmox VE's cluster file system, which puts it onto every node as CONF and has it reloaded."""

PROGRAMS = ("corosync-cfgtool", "corosync-quorumtool", "corosync-qdevice", "corosync-qdevice-net-certutil", "certutil", "pk12util")

QUORATE, NOT_QUORATE = 0, 2
"""Statuses of `corosync-quorumtool -s`."""


@dataclass(frozen=True, slots=True)
class Place:
    node: ConfiguredNode
    host: Host


@dataclass(frozen=True, slots=True)
class Site:
    """`places` begins with the node on which keys are made."""

    cluster: Cluster
    text: str
    """Of corosync.conf, which is the same everywhere."""
    is_proxmox: bool
    places: tuple[Place, ...]
    by_hand: tuple[ConfiguredNode, ...] = ()
    """Nodes that ssh does not reach."""

    @property
    def hosts(self) -> list[Host]:
        return [place.host for place in self.places]

    @property
    def conf(self) -> str:
        return PROXMOX_CONF if self.is_proxmox else CONF


@dataclass(frozen=True, slots=True)
class Seen:
    """A cluster as one of its nodes sees it."""

    node: ConfiguredNode
    cluster: Cluster
    text: str
    is_proxmox: bool
    quorum: Quorum


Connect = Callable[[ConfiguredNode], Host | None]
"""None for a node that is done by hand. UserError."""


def look(host: Host) -> Seen:
    """UserError when it is no running node of a cluster."""
    quorum = quorum_of(host)
    is_proxmox = exists(host, PROXMOX_CONF)
    path = PROXMOX_CONF if is_proxmox else CONF
    content = read(host, path)
    if content is None:
        raise UserError(f"{host.name} has no {path}", "run this on a node of a cluster; on Proxmox VE make one first: pvecm create NAME")
    text = content.decode("utf-8", "surrogateescape")
    found = conf_cluster.read(text)
    return Seen(found.node(quorum.node), found, text, is_proxmox, quorum)


def from_inside(own: Host, seen: Seen, connect: Connect) -> Site:
    """Of the node on which this runs; `connect` gives the others. UserError."""
    others = [(node, connect(node)) for node in seen.cluster.nodes if node != seen.node]
    places = [Place(node, host) for node, host in others if host is not None]
    by_hand = tuple(node for node, host in others if host is None)
    return _checked(Site(seen.cluster, seen.text, seen.is_proxmox, (Place(seen.node, own), *places), by_hand))


def from_outside(hosts: Sequence[Host], seen: Seen) -> Site:
    """`hosts` are all nodes of one cluster, in any order; `seen` is by the first. UserError."""
    found = seen.cluster
    by_number = {quorum_of(host).node: host for host in hosts}
    if missing := [node.label for node in found.nodes if node.number not in by_number]:
        hint = "name all nodes: each gets the certificate and the new corosync.conf"
        raise UserError(f"the cluster {found.name!r} has more nodes than were named: {', '.join(missing)}", hint)
    if len(by_number) > len(found.nodes) or len(by_number) < len(hosts):
        raise UserError(
            f"not all that were named are nodes of {found.name!r}, or one was named twice", "name each node of one cluster once"
        )
    ordered = sorted(found.nodes, key=lambda node: node != seen.node)
    return _checked(Site(found, seen.text, seen.is_proxmox, tuple(Place(node, by_number[node.number]) for node in ordered)))


def reach(
    node: ConfiguredNode,
    ssh: Sequence[str],
    is_proxmox: bool,
    exists_here: Callable[[str], bool],
    connections: SharedConnections | None = None,
) -> SshHost:
    """By the first of its addresses, or its name, at which ssh as root works without a question. UserError with the first's reason."""
    refused: UserError | None = None
    for address in dict.fromkeys([*node.addresses, *([node.name] if node.name else [])]):
        host = SshHost(node.label, address, ssh, _proxmox_options(node, exists_here) if is_proxmox else (), connections)
        try:
            host.run("true")
        except UserError as error:
            refused = refused or error
            continue
        return host
    assert refused is not None
    raise refused


def _proxmox_options(node: ConfiguredNode, exists_here: Callable[[str], bool]) -> list[str]:
    """As its own programs reach a node: host keys are known by the node's name, from 8.2 on in a file for each."""
    known = f"/etc/pve/nodes/{node.label}/ssh_known_hosts"
    more = ["-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=none"] if exists_here(known) else []
    return ["-o", f"HostKeyAlias={node.label}", *more]


def quorum_of(host: Host) -> Quorum:
    """UserError when Corosync does not run there."""
    said = host.run("corosync-quorumtool", "-s")
    if said.status == NOT_FOUND:
        raise UserError(f"{host.name} is no cluster node: corosync-quorumtool is not installed", "run this on a node of the cluster")
    if said.status not in (QUORATE, NOT_QUORATE):
        raise UserError(
            f"corosync does not run on {host.name}: {said.last_words}", f"start it first, on {host.name}: systemctl start corosync"
        )
    return quorum_text.read(said.text)


def _checked(site: Site) -> Site:
    if site.is_proxmox and site.cluster.version is None:
        raise ConfError("corosync.conf has no totem.config_version, and Proxmox VE needs it", "add config_version: 1 in its section totem")
    for place in site.places:
        own = read(place.host, CONF)
        if own is None or own.decode("utf-8", "surrogateescape") != site.text:
            hint = f"make them equal first: copy {site.conf} to {place.host.name}:{CONF}, then corosync-cfgtool -R"
            raise UserError(f"corosync.conf of {place.host.name} is not that of {site.places[0].host.name}", hint)
    return site


def check_everybody(cluster: Cluster, quorum: Quorum, name: str) -> None:
    """As `name` sees it, all nodes are there, with quorum. UserError."""
    if missing := [node.label for node in cluster.nodes if node.number not in quorum.members]:
        hint = "start what is off: every node gets its part, and one that misses it could not come back"
        raise UserError(f"{name} does not see all nodes of the cluster: {', '.join(missing)} is missing", hint)
    if not quorum.quorate:
        raise UserError(f"the cluster has no quorum on {name}", "see why: corosync-quorumtool -s")


def check_ready(site: Site) -> None:
    """Everybody is there, with all programs and a file that can be written, and the cluster has quorum. UserError."""
    for place in site.places:
        check_everybody(site.cluster, quorum_of(place.host), place.host.name)
    for host in site.hosts:
        _check_programs(host)
        folder = site.conf.rpartition("/")[0]
        if host.run("sh", "-c", 'test -w "$1" && test -w "$2"', "sh", site.conf, folder).status:
            raise UserError(
                f"{site.conf} on {host.name} can not be written", f"is this root, and is the file system writable? ls -ld {folder}"
            )


def _check_programs(host: Host) -> None:
    script = 'for each in "$@"; do command -v "$each" > /dev/null || echo "$each"; done'
    said: Ended = host.run("sh", "-c", script, "sh", *PROGRAMS)
    if missing := said.text.split():
        hint = f"on {host.name}: apt-get install corosync-qdevice (Debian, Proxmox VE), dnf or zypper install corosync-qdevice (others)"
        raise UserError(f"{host.name} has no {missing[0]}", hint)


def check_vote_port(hosts: Sequence[Host], address: str, port: int) -> None:
    """UserError unless each node reaches the arbitrator where it is to vote."""
    for host in hosts:
        script = 'exec 3<>"/dev/tcp/$1/$2"'
        ended = host.run("timeout", "10", "bash", "-c", script, "bash", address, str(port))
        if ended.status:
            hint = f"is the arbitrator running, and is port {port} open from there? --host gives nodes another address of it"
            raise UserError(f"{host.name} can not reach {address} on port {port}, where nodes vote", hint)
