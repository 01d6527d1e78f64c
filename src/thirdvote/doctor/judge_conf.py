"""corosync.conf of a node -> findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from thirdvote.device import cluster as conf_cluster
from thirdvote.device.cluster import Cluster
from thirdvote.device.corosync_conf import ConfError, Document
from thirdvote.device.rules import FFSPLIT, LMS, TIMEOUT_MS_MIN
from thirdvote.doctor.facts import Node
from thirdvote.doctor.findings import Finding, Kind
from thirdvote.errors import UserError

ALGORITHMS = ("test", FFSPLIT, "2nodelms", LMS)
TLS_WORDS = ("on", "yes", "1", "off", "no", "0", "required")
TLS_OFF = ("off", "no", "0")
SWITCH = ("on", "yes", "1", "off", "no", "0")

TIMEOUT_MS = 10_000
"""quorum.device.timeout unless it is set."""
SYNC_TIMEOUT_MS = 30_000
TOKEN_MS = 3_000
TIMEOUT_ADVISED_MS = TIMEOUT_MS_MIN * 10 // 8
TIMEOUT_MS_LONG = 150_000
"""From here on a heartbeat does not tell it."""

RELOAD = "corosync-cfgtool -R"
RESTART = "systemctl restart corosync-qdevice   # one node after the other"


def judge(node: Node, is_told_already: bool = False) -> Iterator[Finding]:
    """`is_told_already`: another node has the same file, and what is wrong with it was said there."""
    if node.conf_text is None:
        remedy = ("# copy it from another node",)
        yield Finding(Kind.CONF_UNREADABLE, node.where, "there is no corosync.conf", node.conf, remedy)
        return
    try:
        document = Document(node.conf_text)
        found = conf_cluster.read(node.conf_text)
    except UserError as error:
        if not is_told_already:
            yield Finding(Kind.CONF_UNREADABLE, node.where, str(error), node.conf, (f"# {error.hint}",))
        return
    yield from _in_force(node, document)
    if not is_told_already:
        yield from _of_file(replace(node, where=f"cluster {found.name}"), document, found)
    if found.device is not None:
        yield from _expected_votes(node, document, found)


def _of_file(node: Node, document: Document, found: Cluster) -> Iterator[Finding]:
    if found.device is None:
        yield from _without_device(node, found)
        return
    yield from _excluded(node, found)
    yield from _section(node, document)
    yield from _votes(node, document, found)
    yield from _hand_over(node, document)


def _in_force(node: Node, document: Document) -> Iterator[Finding]:
    """What Corosync works with, beside the file."""
    written, used = document.value("totem.config_version"), node.in_force.get("totem.config_version")
    host, used_host = document.value("quorum.device.net.host"), node.in_force.get("quorum.device.net.host")
    if not node.in_force or (written == used and host == used_host):
        return
    evidence = f"{node.conf} has version {written or 'none'}, corosync works with {used or 'none'}"
    yield Finding(Kind.CONF_NOT_IN_FORCE, node.where, "corosync has not read its file since it was changed", evidence, (RELOAD,))


def _without_device(node: Node, found: Cluster) -> Iterator[Finding]:
    if len(found.nodes) % 2 == 0:
        what = f"the cluster {found.name!r} has {len(found.nodes)} nodes and no device: it does not stand the loss of half of them"
        yield Finding(Kind.NO_DEVICE, node.where, what, f"{node.conf} has no quorum.device", ("thirdvote join URL",))


def _excluded(node: Node, found: Cluster) -> Iterator[Finding]:
    keys = (*(("two_node",) if found.two_node else ()), *found.in_the_way)
    for key in keys:
        what = f"corosync takes no device together with {key}: it would not start again"
        remedy = (f"# take {key} out of the section quorum of {node.conf}, raise config_version, then:", RELOAD)
        yield Finding(Kind.DEVICE_EXCLUDED, node.where, what, f"quorum.{key} in {node.conf}", remedy)


def _section(node: Node, document: Document) -> Iterator[Finding]:
    """Each key that corosync-qdevice would end with when it starts."""
    for key, problem in _wrong_keys(document):
        value = document.value(f"quorum.device.{key}")
        evidence = f"quorum.device.{key}: {value}" if value is not None else f"no quorum.device.{key}"
        remedy = (f"# mend it in {node.conf} on all nodes, raise config_version, then:", RELOAD, RESTART)
        yield Finding(Kind.DEVICE_SECTION_INVALID, node.where, f"corosync-qdevice does not start: {problem}", evidence, remedy)
    if (document.value("quorum.device.net.tls") or "on").lower() in TLS_OFF:
        what = "this node does not check to whom it talks, and shows no certificate"
        yield Finding(Kind.DEVICE_TLS_OFF, node.where, what, "quorum.device.net.tls: off", ("# tls: on, then:", RELOAD, RESTART))


def _wrong_keys(document: Document) -> Iterator[tuple[str, str]]:
    def value(key: str) -> str | None:
        return document.value(f"quorum.device.{key}")

    if value("model") != "net":
        yield "model", "the model has to be net"
    if not value("net.host"):
        yield "net.host", "the arbitrator's address is missing"
    algorithm = value("net.algorithm") or FFSPLIT
    if algorithm not in ALGORITHMS:
        yield "net.algorithm", f"the algorithm has to be one of {', '.join(ALGORITHMS)}"
    if algorithm == FFSPLIT and value("votes") != "1":
        yield "votes", "with ffsplit the device has to have one vote"
    if (value("net.tls") or "on").lower() not in TLS_WORDS:
        yield "net.tls", "tls has to be on, off or required"
    if (value("net.keep_active_partition_tie_breaker") or "on").lower() not in SWITCH:
        yield "net.keep_active_partition_tie_breaker", "it has to be on or off"
    if not _is_number(value("net.port") or "5403", 1, 65_535):
        yield "net.port", "the port has to be from 1 to 65535"
    tie_breaker = value("net.tie_breaker") or "lowest"
    if tie_breaker not in ("lowest", "highest") and not _is_number(tie_breaker, 1, 0xFFFFFFFF):
        yield "net.tie_breaker", "it has to be lowest, highest or the id of a node"
    if not _is_number(value("net.connect_timeout") or "8000", 1_000, 120_000):
        yield "net.connect_timeout", "it has to be from 1000 to 120000"
    for key in ("timeout", "sync_timeout"):
        if not _is_number(value(key) or "10000", 1, 0xFFFFFFFF):
            yield key, "it has to be a number of milliseconds"


def _votes(node: Node, document: Document, found: Cluster) -> Iterator[Finding]:
    algorithm = document.value("quorum.device.net.algorithm") or FFSPLIT
    unequal = [each.label for each in found.nodes if each.votes != 1]
    if algorithm == FFSPLIT and unequal:
        what = f"with ffsplit each node has to have one vote, and {', '.join(unequal)} has another number"
        yield Finding(Kind.VOTES_UNEQUAL, node.where, what, f"quorum_votes in {node.conf}", ("# quorum_votes: 1, then:", RELOAD))
    count = len(found.nodes)
    if count % 2 and count > 1:
        lms = " with lms, while the arbitrator is away, the cluster can not miss a single node;" if algorithm == LMS else ""
        what = f"the cluster has {count} nodes, an odd number:{lms} it stands the loss of a minority without any device"
        yield Finding(Kind.ODD_NODES, node.where, what, f"nodelist in {node.conf}", ("thirdvote remove",))


def _expected_votes(node: Node, document: Document, found: Cluster) -> Iterator[Finding]:
    device = _device_votes(document, found)
    wanted = found.node_votes + device
    if found.expected_votes is not None and found.expected_votes != wanted:
        what = f"expected_votes has to be {wanted}: {found.node_votes} of the nodes and {device} of the device"
        remedy = (f"# expected_votes: {wanted} in {node.conf}, raise config_version, then:", RELOAD)
        yield Finding(Kind.EXPECTED_VOTES_WRONG, node.where, what, f"quorum.expected_votes: {found.expected_votes}", remedy)
    elif found.expected_votes is None and node.quorum is not None and node.quorum.expected_votes < wanted:
        what = f"corosync expects {node.quorum.expected_votes} votes, and its file gives {wanted}"
        yield Finding(Kind.EXPECTED_VOTES_WRONG, node.where, what, "corosync-quorumtool -s", (RELOAD,))


def _device_votes(document: Document, found: Cluster) -> int:
    """Where they are not written, corosync counts one less than the nodes have."""
    written = document.value("quorum.device.votes")
    return int(written) if written is not None and written.isdigit() else max(found.node_votes - 1, 1)


def _hand_over(node: Node, document: Document) -> Iterator[Finding]:
    timeout = _milliseconds(document, "quorum.device.timeout", TIMEOUT_MS)
    sync_timeout = _milliseconds(document, "quorum.device.sync_timeout", SYNC_TIMEOUT_MS)
    if timeout <= TIMEOUT_ADVISED_MS:
        return
    what = (
        f"when a node loses its power, the other one may wait {1.8 * timeout / 1000:.0f} s for the vote, and {sync_timeout / 1000:g} s "
        f"where its device was killed before; quorum.device.timeout: {TIMEOUT_ADVISED_MS} makes the first 3 s, sync_timeout is the second"
    )
    evidence = f"quorum.device.timeout: {timeout}, sync_timeout: {sync_timeout}"
    remedy = (f"# timeout: {TIMEOUT_ADVISED_MS} in quorum.device of {node.conf}, raise config_version, then:", RELOAD, RESTART)
    yield Finding(Kind.HAND_OVER_SLOW, node.where, what, evidence, remedy)


def special_settings(document: Document) -> dict[str, int | bool]:
    """What a node does not tell its arbitrator, and which is not as usual: by the names of the arbitrator's settings."""
    found: dict[str, int | bool] = {}
    timeout = _milliseconds(document, "quorum.device.timeout", TIMEOUT_MS)
    if timeout < TIMEOUT_ADVISED_MS or timeout > TIMEOUT_MS_LONG:
        found["timeout"] = timeout
    sync_timeout = _milliseconds(document, "quorum.device.sync_timeout", SYNC_TIMEOUT_MS)
    if sync_timeout != SYNC_TIMEOUT_MS:
        found["sync-timeout"] = sync_timeout
    token = _milliseconds(document, "totem.token", TOKEN_MS)
    if token > TOKEN_MS:
        found["token"] = token
    if (document.value("quorum.wait_for_all") or "0") == "1" and document.value("quorum.device.net.algorithm") == LMS:
        found["wait-for-all"] = True
    return found


def read(node: Node) -> Document | None:
    """None where it can not be read."""
    try:
        return Document(node.conf_text) if node.conf_text is not None else None
    except ConfError:
        return None


def _milliseconds(document: Document, path: str, default: int) -> int:
    text = document.value(path)
    return int(text) if text is not None and text.isdigit() else default


def _is_number(text: str, smallest: int, largest: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and smallest <= int(text) <= largest
