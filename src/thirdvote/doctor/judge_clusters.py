"""What an arbitrator says of its clusters -> findings."""

from __future__ import annotations

from collections.abc import Iterator

from thirdvote.doctor.facts import Answer, Arbitrator, ClusterSeen
from thirdvote.doctor.findings import Finding, Kind

ROUND_TRIP_S_MAX = 0.5
"""Far beyond any path on which heartbeats of a second are possible."""

LOOPBACK = ("127.", "::1", "::ffff:127.")


def judge(found: Arbitrator) -> Iterator[Finding]:
    if found.answer is Answer.ANSWERS and not found.clusters:
        addresses = ", ".join(found.addresses) or "none"
        what = f"no cluster is connected; nodes find this host on port {found.listen_port} of its addresses"
        yield Finding(
            Kind.NO_CLUSTER_CONNECTED, found.where, what, f"addresses: {addresses}", ("thirdvote doctor NODE", "thirdvote enroll open")
        )
    for cluster in found.clusters:
        yield from _cluster(cluster)
        yield from _nodes_on_this_host(found, cluster)


def _cluster(cluster: ClusterSeen) -> Iterator[Finding]:
    where = f"cluster {cluster.name or repr('')}"
    for number in cluster.missing:
        yield Finding(
            Kind.NODE_NOT_CONNECTED,
            where,
            f"node {number} is not connected to the arbitrator",
            remedy=("thirdvote doctor   # on that node",),
        )
    if cluster.waiting:
        name = cluster.name
        yield Finding(Kind.VOTE_WAITS, where, f"the vote waits {cluster.waiting}", remedy=(f"thirdvote clusters {name}",))
    for node in cluster.nodes:
        if not node.has_vote and not (cluster.waiting and cluster.waiting in node.because):
            what = f"node {node.number} has no vote: {node.because}"
            yield Finding(Kind.NODE_WITHOUT_VOTE, where, what, remedy=("thirdvote doctor   # on that node",))
        if node.round_trip_s is not None and node.round_trip_s > ROUND_TRIP_S_MAX:
            what = f"the way between node {node.number} and the arbitrator is slow"
            evidence = f"round trip {1000 * node.round_trip_s:.0f} ms"
            yield Finding(Kind.PATH_SLOW, where, what, evidence, (f"ping {node.address}",))
    if cluster.overlap_s is None or cluster.overlap_s > 0:
        length = "without end" if cluster.overlap_s is None else f"for {cluster.overlap_s:.1f} s"
        what = f"when a node is cut off, both sides may have quorum {length}"
        yield Finding(Kind.OVERLAP_POSSIBLE, where, what, remedy=(f"# {cluster.advice}",) if cluster.advice else ())


def _nodes_on_this_host(found: Arbitrator, cluster: ClusterSeen) -> Iterator[Finding]:
    """The death of that node would take the third vote with it."""
    for node in cluster.nodes:
        if node.address.startswith(LOOPBACK) or node.address.removeprefix("::ffff:") in found.addresses:
            what = f"this host is node {node.number} of the cluster {cluster.name!r}: when it dies, two of three votes die"
            yield Finding(
                Kind.ARBITRATOR_ON_ITS_NODE, found.where, what, f"node {node.number} connects from {node.address}",
                ("# run the arbitrator on a host that is no node of this cluster",),
            )  # fmt: skip
