"""Which algorithm and how many votes a device gets, by what the documentation of Corosync and Proxmox VE says.

ffsplit is for an even number of nodes that have one vote each, and the device has one vote: the cluster then stands
the loss of half of its nodes (corosync-qdevice(8)). lms gives the device one vote less than all nodes have together: one node
with the device goes on alone, and without the device nobody can miss a single node. Proxmox VE and Red Hat advise against
it for that reason, so it is for those who say so.
"""

from __future__ import annotations

from dataclasses import dataclass

from thirdvote.device.cluster import Cluster
from thirdvote.device.corosync_conf import ConfError

FFSPLIT, LMS = "ffsplit", "lms"

TIMEOUT_MS_MIN = 1_000
"""The heartbeat is eight tenths of it, and the arbitrator takes none under a second; a little above it is the least."""
TIMEOUT_MS_MAX = 120_000


@dataclass(frozen=True, slots=True)
class Choice:
    algorithm: str
    votes: int
    writes_votes: bool
    """lms wants quorum.device.votes left out, so that Corosync counts it; where it can not, it has to be there."""
    warning: str | None


def choose(cluster: Cluster, forced: bool) -> Choice:
    """ConfError, with the reason, where a device does more harm than good and nobody insists."""
    count = len(cluster.nodes)
    if cluster.in_the_way:
        hint = "take it out of the quorum section and restart corosync on all nodes, one after the other; then try again"
        raise ConfError(f"corosync takes no device together with {cluster.in_the_way[0]}", hint)
    if count == 1:
        raise ConfError("this cluster has one node: there is nothing to decide", "join when the second node is there")
    even, equal = count % 2 == 0, all(node.votes == 1 for node in cluster.nodes)
    if even and equal:
        return Choice(FFSPLIT, 1, writes_votes=True, warning=None)
    why = f"the number of nodes, {count}, is odd" if not even else "the nodes do not have one vote each"
    if not forced:
        raise ConfError(
            f"{why}: a device would need the algorithm lms and {_votes(cluster)} votes of its own",
            "when the arbitrator is away, the cluster then can not miss a single node, which it can now; --force does it nevertheless",
        )
    warning = f"{why}: algorithm lms, {_votes(cluster)} votes; while the arbitrator is away the cluster can not miss a single node"
    return Choice(LMS, _votes(cluster), writes_votes=not equal or cluster.expected_votes is not None, warning=warning)


def _votes(cluster: Cluster) -> int:
    return max(cluster.node_votes - 1, 1)


def check_timeout(timeout_ms: int) -> None:
    """ConfError."""
    least = TIMEOUT_MS_MIN * 10 // 8
    if not least <= timeout_ms <= TIMEOUT_MS_MAX:
        raise ConfError(
            f"a device's timeout of {timeout_ms} ms is not possible", f"choose {least} to {TIMEOUT_MS_MAX} ms; the usual is 10000"
        )


def votes_needed_without(cluster: Cluster) -> int:
    """Quorum when the device is gone."""
    return cluster.node_votes // 2 + 1
