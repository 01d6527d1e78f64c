"""All facts -> all findings, the worst first. Nothing here looks at anything: the same facts give the same findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from thirdvote.doctor import judge_arbitrator, judge_between, judge_clusters, judge_conf, judge_link, judge_node
from thirdvote.doctor.facts import Facts, Node
from thirdvote.doctor.findings import Finding, Kind, ordered


def judge(facts: Facts) -> list[Finding]:
    found = [_with_reload(finding, facts) for finding in _all(facts)]
    return ordered(_without_hearsay(found, facts))


def _all(facts: Facts) -> Iterator[Finding]:
    for arbitrator in facts.arbitrators:
        yield from judge_arbitrator.judge(arbitrator, facts.now)
        yield from judge_clusters.judge(arbitrator)
    if facts.clock_synchronized is False and facts.arbitrators:
        what = "the clock is not synchronized: certificates have dates, and logs of several hosts are compared by it"
        yield Finding(Kind.CLOCK_NOT_SYNCHRONIZED, facts.where, what, "timedatectl", ("timedatectl set-ntp true",))
    for each in facts.not_reached:
        yield Finding(Kind.NODE_NOT_REACHED, each.where, "this node was not looked at", each.problem, (f"# {each.hint}",))
    told: set[str | None] = set()
    for node in facts.nodes:
        yield from judge_conf.judge(node, is_told_already=node.conf_text in told)
        told.add(node.conf_text)
        yield from judge_node.judge(node)
        yield from judge_link.judge(node, facts.now)
    yield from judge_between.judge(facts.arbitrators, facts.nodes, facts.where)


def _without_hearsay(found: list[Finding], facts: Facts) -> list[Finding]:
    """What one node says of another is left out where that one was looked at itself."""
    looked_at = {node.quorum.node for node in facts.nodes if node.quorum is not None}
    hearsay = tuple(f"node {number}, as " for number in looked_at)
    return [finding for finding in found if not finding.where.startswith(hearsay)] if hearsay else found


def _with_reload(finding: Finding, facts: Facts) -> Finding:
    """Corosync may be told to read its file only when that changes neither nodes nor votes, and is the same everywhere."""
    if finding.kind is Kind.CONF_NOT_IN_FORCE and not facts.not_reached and _is_safe_to_read(facts.nodes):
        return replace(finding, fix=("corosync-cfgtool", "-R"))
    return finding


def _is_safe_to_read(nodes: tuple[Node, ...]) -> bool:
    texts = {node.conf_text for node in nodes}
    document = judge_conf.read(nodes[0])
    quorum = nodes[0].quorum
    if len(texts) != 1 or document is None or quorum is None or not quorum.quorate or len(nodes) != len(quorum.members):
        return False
    section = document.section("nodelist")
    listed = {each.value("nodeid") for each in section.named("node")} if section is not None else set()
    used = nodes[0].in_force
    same_votes = all(
        (document.value(key) or "") == used.get(key, "") for key in ("quorum.device.votes", "quorum.expected_votes", "quorum.two_node")
    )
    return listed == {str(number) for number in quorum.members} and same_votes
