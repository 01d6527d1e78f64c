"""The arbiter's state as plain values, for every view of it. Building one costs time in the number of nodes shown."""

from __future__ import annotations

from dataclasses import dataclass

from thirdvote.domain import Algorithm, ClusterName, Handover, Heuristics, NodeId, NodeInfo, RingId, TieBreaker, Vote


@dataclass(frozen=True, slots=True)
class NodeSnapshot:
    """Ages are in seconds before the snapshot. `because` says why the node has the vote that it has, or none."""

    node_id: NodeId
    connection: int
    address: str
    heartbeat_ms: int
    config_version: int | None
    config_list: tuple[NodeInfo, ...]
    membership_list: tuple[NodeInfo, ...]
    ring_id: RingId
    heuristics: Heuristics
    heuristics_membership: Heuristics
    heuristics_regular: Heuristics
    keep_active_partition: bool
    tls_active: bool
    certificate_verified: bool
    last_vote: Vote | None
    last_ack_or_nack: Vote | None
    has_vote: bool
    because: str
    connected_for_s: float
    last_heard_s: float


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """`summary` is one sentence on the whole cluster; `missing` are configured nodes that are not connected."""

    name: ClusterName
    algorithm: Algorithm
    tie_breaker: TieBreaker
    handover: Handover
    summary: str
    nodes: tuple[NodeSnapshot, ...]
    missing: tuple[NodeId, ...]

    @property
    def keep_active_partition(self) -> bool:
        """All nodes have the keep-active-partition tie-breaker on; only ffsplit looks at it."""
        return self.algorithm is Algorithm.FFSPLIT and all(node.keep_active_partition for node in self.nodes)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`connections` counts also those that have not joined a cluster; `clusters` are in the order of their creation."""

    connections: int
    clusters: tuple[ClusterSnapshot, ...]
