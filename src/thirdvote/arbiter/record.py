"""What is kept of a cluster across a restart: who may still report quorum by a vote that was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from thirdvote.domain import Algorithm, ClusterName, NodeId


@dataclass(frozen=True, slots=True)
class HolderRecord:
    """`heartbeat_ms` is what the node told, from which its time limits follow. `unattended`: its daemon was killed, or hangs. `presumed`:
    it was given no vote of which we know, but may report quorum all the same.
    """

    node_id: NodeId
    heartbeat_ms: int
    unattended: bool = False
    presumed: bool = False


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """`partition` is what was given the vote last, as a membership list; `holders` in ascending order of node id, never empty."""

    algorithm: Algorithm
    partition: frozenset[NodeId]
    holders: tuple[HolderRecord, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """The time before `started`, in the arbiter's clock. Not `complete`: votes may have been given of which there is no record."""

    started: float
    records: Mapping[ClusterName, ClusterRecord] = field(default_factory=dict)
    complete: bool = True
