"""What only several hosts together show: nodes that differ, and what an arbitrator and its nodes know of each other -> findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from thirdvote.config import ClusterPolicy
from thirdvote.doctor import judge_conf
from thirdvote.doctor.facts import Arbitrator, Node
from thirdvote.doctor.findings import Finding, Kind

CLOCKS_S_MAX = 30.0
"""Certificates are valid from a day before; logs that differ by more are hard to compare."""


def judge(arbitrators: Sequence[Arbitrator], nodes: Sequence[Node], where: str) -> Iterator[Finding]:
    for number, node in enumerate(nodes):
        yield from _clock(node, where)
        if all(node.conf_text != other.conf_text for other in nodes[:number]):
            yield from _told(node, arbitrators)
        for arbitrator in arbitrators:
            yield from _authority(node, arbitrator)
    if len(nodes) > 1:
        yield from _differences(nodes)
    yield from _on_a_fellow(nodes)
    if nodes and arbitrators:
        yield from _elsewhere(arbitrators, nodes)


def _clock(node: Node, where: str) -> Iterator[Finding]:
    ahead = node.clock_ahead_s
    if ahead is not None and abs(ahead) > CLOCKS_S_MAX:
        what = f"the clock of {node.where} is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} that of {where}"
        yield Finding(Kind.CLOCKS_DIFFER, node.where, what, "date", ("timedatectl set-ntp true",))


def _told(node: Node, arbitrators: Sequence[Arbitrator]) -> Iterator[Finding]:
    """What the nodes do not tell by themselves, and the arbitrator has to know to be right about when a vote can move."""
    document = judge_conf.read(node)
    special = judge_conf.special_settings(document) if document is not None and document.section("quorum.device") is not None else {}
    name = document.value("totem.cluster_name") or "" if document is not None else ""
    ours = [arbitrator for arbitrator in arbitrators if not arbitrator.stock]
    known = next((arbitrator.told[name] for arbitrator in ours if name in arbitrator.told), None)
    for setting, value in special.items():
        if known is not None and _knows(known, setting, value):
            continue
        written = "on" if value is True else str(value)
        remedy = (f'# in the settings file of the arbitrator: [clusters."{name}"] {setting} = {written if value is not True else "true"}',)
        kind = Kind.ARBITRATOR_NOT_TOLD if ours else Kind.ARBITRATOR_TO_BE_TOLD
        what = f"this cluster has a {setting} of its own, {written}, which the arbitrator has to be told"
        yield Finding(kind, node.where, what, f"{node.conf}", remedy)


def _knows(policy: ClusterPolicy, setting: str, value: int | bool) -> bool:
    told = {
        "timeout": policy.timeout_ms,
        "sync-timeout": policy.sync_timeout_ms,
        "token": policy.token_ms,
        "wait-for-all": policy.wait_for_all,
    }
    return told[setting] == value


def _authority(node: Node, arbitrator: Arbitrator) -> Iterator[Finding]:
    """Only where the node is of this arbitrator."""
    database = node.database
    if database is None or not _points_to(node, arbitrator):
        return
    if (
        database.authorities
        and arbitrator.authorities
        and not {each.fingerprint for each in database.authorities} & set(arbitrator.authorities)
    ):
        what = "this node trusts another authority than that of the arbitrator at its address"
        evidence = f"trusted: {database.authorities[0].fingerprint[:16]}…, the arbitrator's: {arbitrator.authorities[0][:16]}…"
        yield Finding(Kind.ANOTHER_ARBITRATOR, node.where, what, evidence, ("thirdvote join URL --replace",))
    if database.cluster is not None and database.cluster.serial_number in arbitrator.revoked:
        what = "the certificate of this node is revoked: its cluster was enrolled anew, or somebody revoked it"
        evidence = f"serial number {database.cluster.serial_number}"
        yield Finding(Kind.NODE_CERTIFICATE_REVOKED, node.where, what, evidence, ("thirdvote ca list", "thirdvote join URL --replace"))


def _points_to(node: Node, arbitrator: Arbitrator) -> bool:
    return any(address in arbitrator.addresses for address in node.resolved)


def _differences(nodes: Sequence[Node]) -> Iterator[Finding]:
    first, *others = nodes
    for node in others:
        if node.conf_text is not None and first.conf_text is not None and node.conf_text != first.conf_text:
            what = f"corosync.conf of {node.where} is not that of {first.where}"
            remedy = (f"# copy the right one, with the higher config_version, to {node.conf} on both, then:", judge_conf.RELOAD)
            yield Finding(Kind.CONF_DIFFERS, node.where, what, _versions(first, node), remedy)
        if set(node.resolved) != set(first.resolved) and node.resolved and first.resolved:
            what = f"{node.where} and {first.where} find the arbitrator at different addresses"
            evidence = f"{', '.join(node.resolved)} and {', '.join(first.resolved)}"
            yield Finding(Kind.NAMES_DIFFER, node.where, what, evidence, ("# an address in quorum.device.net.host",))
        own, theirs = node.database, first.database
        if (
            own is not None
            and theirs is not None
            and own.cluster is not None
            and theirs.cluster is not None
            and own.cluster != theirs.cluster
        ):
            what = f"{node.where} shows another certificate than {first.where}: one of them missed the last enrolment"
            evidence = f"serial numbers {own.cluster.serial_number} and {theirs.cluster.serial_number}"
            yield Finding(Kind.NODE_CERTIFICATES_DIFFER, node.where, what, evidence, ("thirdvote join URL --replace",))


def _versions(first: Node, node: Node) -> str:
    documents = [judge_conf.read(each) for each in (first, node)]
    versions = ["unreadable" if each is None else each.value("totem.config_version") or "none" for each in documents]
    return f"config_version {versions[1]} and {versions[0]}"


def _on_a_fellow(nodes: Sequence[Node]) -> Iterator[Finding]:
    """Each node sees itself; here it is the others, by their addresses in corosync.conf."""
    for node in nodes:
        document = judge_conf.read(node)
        section = document.section("nodelist") if document is not None else None
        for each in section.named("node") if section is not None else ():
            address = each.value("ring0_addr") or ""
            if address in node.resolved and address not in node.addresses:
                what = "the arbitrator runs on a node of the cluster that it arbitrates: when it dies, two of three votes die"
                evidence = f"quorum.device.net.host and ring0_addr of {each.value('name') or address} are both {address}"
                remedy = ("# run the arbitrator on a host that is no node of this cluster",)
                yield Finding(Kind.ARBITRATOR_ON_ITS_NODE, node.where, what, evidence, remedy)


def _elsewhere(arbitrators: Sequence[Arbitrator], nodes: Sequence[Node]) -> Iterator[Finding]:
    """Only where nodes were looked at from the arbitrator's host, and none of its addresses is theirs: behind a NAT that may be right."""
    for node in nodes:
        if node.resolved and not any(_points_to(node, arbitrator) for arbitrator in arbitrators):
            what = "this node's arbitrator is not the one of this host"
            evidence = f"it goes to {', '.join(node.resolved)}; this host has {', '.join(arbitrators[0].addresses)}"
            yield Finding(
                Kind.ARBITRATOR_ELSEWHERE, node.where, what, evidence, ("# right, if there is a NAT or a container between them",)
            )
