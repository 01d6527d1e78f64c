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
    round_trip_s: float | None
    answers_late: bool


@dataclass(frozen=True, slots=True)
class HolderSnapshot:
    """A node that may still report quorum by a vote that it was given. `connected`: and answers. `because` is a clause: "it has the vote",
    "silent since 12:02:51"; `until` the time in the arbiter's clock from which it can not, None while nothing says so.
    """

    node_id: NodeId
    connected: bool
    because: str
    until: float | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the policy and the heartbeat of a cluster allow, in seconds after Corosync itself has seen the loss of a node.
    `handover_s`: the longest wait of the survivor when a node loses its power or its network; `overlap_s`: the longest time in which
    both sides may report quorum; `advice` names the setting that shortens one of them, or is empty.
    """

    handover_s: float
    overlap_s: float
    advice: str


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """`summary` is one sentence on the whole cluster; `missing` are configured nodes that are not connected. `waiting` is one sentence
    on what a decided vote waits for ("until 12:03:07 for node 1, which may still report quorum: silent since 12:02:51"), empty
    when none does; `waiting_until` its time in the arbiter's clock, None when no time is set. `holders` is empty under `stock`.
    """

    name: ClusterName
    algorithm: Algorithm
    tie_breaker: TieBreaker
    handover: Handover
    summary: str
    nodes: tuple[NodeSnapshot, ...]
    missing: tuple[NodeId, ...]
    holders: tuple[HolderSnapshot, ...]
    waiting: str
    waiting_until: float | None
    bounds: Bounds

    @property
    def keep_active_partition(self) -> bool:
        """All nodes have the keep-active-partition tie-breaker on; only ffsplit looks at it."""
        return self.algorithm is Algorithm.FFSPLIT and all(node.keep_active_partition for node in self.nodes)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`connections` counts also those that have not joined a cluster; `clusters` are in the order of their creation."""

    connections: int
    clusters: tuple[ClusterSnapshot, ...]
