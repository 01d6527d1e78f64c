"""Which hosts are looked at, and all of it together: this host, and the other nodes of its cluster over ssh where they can be reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from thirdvote.config import ClusterPolicy, Settings
from thirdvote.device import cluster as conf_cluster
from thirdvote.device import site
from thirdvote.device.cluster import ConfiguredNode
from thirdvote.device.host import Host, LocalHost, SharedConnections, SshHost
from thirdvote.doctor import judge_conf, look_arbitrator, look_node, look_stock
from thirdvote.doctor.facts import Arbitrator, Facts, Node, NotReached
from thirdvote.doctor.relay import Reachable
from thirdvote.domain import ClusterName
from thirdvote.errors import UserError

AT_ONCE = 8
"""Nodes; each is a few commands, most of the time of which is waiting."""

THIS_HOST = "this host"


@dataclass(frozen=True)
class Wanted:
    """`role` None: whatever this host is. `named` are nodes to be looked at over ssh; with none, the fellows of the node that this is."""

    settings: Settings
    role: str | None
    named: Sequence[str]
    fellows: bool
    ssh: Sequence[str]
    exists_here: Callable[[str], bool]
    is_root: bool = True


@dataclass
class Examined:
    facts: Facts
    hosts: dict[str, Host] = field(default_factory=dict)
    """By the names that findings have."""


def examine(wanted: Wanted, connections: SharedConnections) -> Examined:
    """UserError when there is nothing to look at."""
    here = LocalHost(THIS_HOST)
    arbitrators = _arbitrators(here, wanted) if wanted.role != "node" else []
    hosts: dict[str, Host] = {here.name: here}
    nodes: list[Node] = []
    not_reached: list[NotReached] = []
    targets: list[tuple[str, Callable[[], Reachable]]] = [(name, _by_name(name, wanted, connections)) for name in wanted.named]
    if wanted.role != "arbitrator" and not wanted.named and look_node.is_node(here):
        if not wanted.is_root:
            raise UserError("only root can ask Corosync of this node", "run it with sudo; or --as arbitrator, where this host is one too")
        own = look_node.look(here, is_this_host=True)
        own = replace(own, where=_label(own))
        hosts[own.where] = here
        nodes.append(own)
        targets += _fellows(own, wanted, connections) if wanted.fellows else []
    if not arbitrators and not nodes and not targets:
        raise UserError(
            "this host is neither an arbitrator nor a node of a cluster",
            "run it on one of them, or name nodes that ssh reaches as root: `thirdvote doctor NODE...`; --data DIR for an arbitrator",
        )
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for host, found in pool.map(_look_at, targets):
            if isinstance(found, Node):
                nodes.append(found)
            else:
                not_reached.append(found)
            if host is not None:
                hosts[host.name] = host
    told = [replace(each, told=_told(wanted.settings, nodes)) for each in arbitrators]
    facts = Facts(datetime.now(UTC), tuple(told), tuple(nodes), tuple(not_reached), look_node.clock_synchronized(here), THIS_HOST)
    return Examined(facts, hosts)


def _arbitrators(here: Host, wanted: Wanted) -> list[Arbitrator]:
    found = [look_arbitrator.look(here, wanted.settings)] if look_arbitrator.is_arbitrator(wanted.settings) else []
    if found and wanted.settings.control == look_stock.OURS:
        found = [look_stock.with_certificates(found[0])]
    if look_stock.is_arbitrator():
        found.append(look_stock.look(here))
    if not found and wanted.role == "arbitrator":
        found = [look_arbitrator.look(here, wanted.settings)]
    return found


def _label(own: Node) -> str:
    """What its cluster calls it."""
    try:
        found = conf_cluster.read(own.conf_text or "")
        mine = [each for each in found.nodes if set(each.addresses) & set(own.addresses)]
        node = found.node(own.quorum.node) if own.quorum is not None else mine[0]
    except (UserError, IndexError):
        return THIS_HOST
    return f"{node.label} ({THIS_HOST})"


def _told(settings: Settings, nodes: Sequence[Node]) -> dict[str, ClusterPolicy]:
    documents = [document for node in nodes if (document := judge_conf.read(node)) is not None]
    names = {document.value("totem.cluster_name") or "" for document in documents}
    return {name: settings.policy_of(ClusterName(name.encode("utf-8", "surrogateescape"))) for name in names}


def _by_name(name: str, wanted: Wanted, connections: SharedConnections) -> Callable[[], Reachable]:
    return lambda: SshHost(name, name, wanted.ssh, connections=connections)


def _fellows(own: Node, wanted: Wanted, connections: SharedConnections) -> list[tuple[str, Callable[[], Reachable]]]:
    try:
        found = conf_cluster.read(own.conf_text or "")
    except UserError:
        return []
    others = [each for each in found.nodes if own.quorum is None or each.number != own.quorum.node]
    others = [each for each in others if not set(each.addresses) & set(own.addresses)]
    is_proxmox = own.conf == site.PROXMOX_CONF

    def by(node: ConfiguredNode) -> Callable[[], Reachable]:
        return lambda: site.reach(node, wanted.ssh, is_proxmox, wanted.exists_here, connections)

    return [(node.label, by(node)) for node in others]


def _look_at(target: tuple[str, Callable[[], Reachable]]) -> tuple[Reachable | None, Node | NotReached]:
    name, connect = target
    try:
        host = connect()
        return host, look_node.look(host, is_this_host=False)
    except UserError as error:
        return None, NotReached(name, str(error), error.hint or "")
