"""What corosync.conf says of a cluster, as far as it matters for a device, and whether a device can be put there at all."""

from __future__ import annotations

from dataclasses import dataclass

from thirdvote.device.corosync_conf import ConfError, Document, Section
from thirdvote.errors import UserError

NODES_MAX = 128
"""As many as the arbitrator takes."""

NUMBER_MAX = 0xFFFFFFFF
VERSION_MAX = 2**64 - 2

VOTE_PORT = 5403
"""What nodes connect to unless quorum.device.net.port says otherwise."""


@dataclass(frozen=True, slots=True)
class ConfiguredNode:
    number: int
    """nodeid."""
    name: str | None
    addresses: tuple[str, ...]
    """ring0_addr and so on; never empty."""
    votes: int

    @property
    def label(self) -> str:
        return self.name or self.addresses[0]


@dataclass(frozen=True, slots=True)
class Device:
    model: str
    host: str | None
    port: int
    votes: int | None

    @property
    def where(self) -> str:
        return self.host or f"a device of the model {self.model!r}"


@dataclass(frozen=True, slots=True)
class Cluster:
    name: str
    nodes: tuple[ConfiguredNode, ...]
    version: int | None
    """totem.config_version; None: not written, which counts as 0 and switches Corosync's check of versions off."""
    device: Device | None
    two_node: bool
    expected_votes: int | None
    """Only what is written in the quorum section."""
    in_the_way: tuple[str, ...]
    """Keys of the quorum section with which Corosync takes no device."""

    @property
    def node_votes(self) -> int:
        return sum(node.votes for node in self.nodes)

    def node(self, number: int) -> ConfiguredNode:
        """UserError."""
        for node in self.nodes:
            if node.number == number:
                return node
        raise UserError(f"node {number} runs, and corosync.conf has no such node", "reload it first: corosync-cfgtool -R")


EXCLUDES_A_DEVICE = ("last_man_standing", "auto_tie_breaker", "allow_downscale")
"""Corosync refuses to start with one of them and a device, and none can be changed while it runs: votequorum(5)."""


def read(text: str) -> Cluster:
    """ConfError when a device can not work with what is there."""
    document = Document(text)
    name = document.value("totem.cluster_name")
    if not name:
        hint = "set totem.cluster_name, reload (corosync-cfgtool -R), then try again"
        raise ConfError("corosync.conf gives the cluster no name, and a device needs it", hint)
    quorum = document.section("quorum")
    if quorum is None or quorum.value("provider") != "corosync_votequorum":
        hint = "set quorum.provider: corosync_votequorum, which takes a restart of corosync on all nodes"
        raise ConfError("corosync.conf does not have votes counted: quorum.provider is not corosync_votequorum", hint)
    return Cluster(
        name=name,
        nodes=_nodes(document),
        version=_number(document, "totem.config_version", VERSION_MAX),
        device=_device(document),
        two_node=_is_on(quorum.value("two_node")),
        expected_votes=_number(document, "quorum.expected_votes", NUMBER_MAX) or None,
        in_the_way=tuple(key for key in EXCLUDES_A_DEVICE if _is_on(quorum.value(key))),
    )


def _nodes(document: Document) -> tuple[ConfiguredNode, ...]:
    section = document.section("nodelist")
    nodes = tuple(_node(node) for node in section.named("node")) if section is not None else ()
    if not nodes:
        hint = "a device needs nodelist { node { ring0_addr, nodeid } … } in corosync.conf"
        raise ConfError("corosync.conf has no list of nodes", hint)
    if len(nodes) > NODES_MAX:
        raise ConfError(
            f"corosync.conf lists {len(nodes)} nodes, and an arbitrator takes at most {NODES_MAX}", "see whether the file is right"
        )
    numbers = [node.number for node in nodes]
    for number in numbers:
        if numbers.count(number) > 1:
            raise ConfError(f"corosync.conf has more than one node with nodeid {number}", "give each node its own, and restart corosync")
    return nodes


def _node(section: Section) -> ConfiguredNode:
    line = section.opens + 1
    addresses = tuple(address for link in range(8) if (address := section.value(f"ring{link}_addr")))
    if not addresses:
        raise ConfError(f"the node in line {line} of corosync.conf has no ring0_addr", "add its address")
    number = section.value("nodeid")
    if number is None or not _is_number(number, 1, NUMBER_MAX):
        hint = "give each node a number of its own: nodeid: 1, nodeid: 2 and so on"
        raise ConfError(f"the node in line {line} of corosync.conf has no nodeid", hint)
    votes = section.value("quorum_votes") or "1"
    if not _is_number(votes, 0, 1_000):
        raise ConfError(f"quorum_votes of the node in line {line} of corosync.conf is no number of votes: {votes!r}", "usual is 1")
    return ConfiguredNode(int(number), section.value("name"), addresses, int(votes))


def _device(document: Document) -> Device | None:
    section = document.section("quorum.device")
    if section is None:
        return None
    port = _number(document, "quorum.device.net.port", 65_535) or VOTE_PORT
    votes = _number(document, "quorum.device.votes", NUMBER_MAX)
    return Device(section.value("model") or "", document.value("quorum.device.net.host"), port, votes)


def _number(document: Document, path: str, largest: int) -> int | None:
    text = document.value(path)
    if text is None:
        return None
    if not _is_number(text, 0, largest):
        raise ConfError(f"{path} in corosync.conf is no number: {text!r}", "mend it")
    return int(text)


def _is_number(text: str, smallest: int, largest: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 20 and smallest <= int(text) <= largest


def _is_on(text: str | None) -> bool:
    """Corosync reads these as numbers."""
    return text is not None and text.strip() not in ("", "0", "no")
