"""The arbiter's state in the shape that the control socket gives it to other programs: docs/control-socket.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from thirdvote.arbiter.snapshot import Bounds, ClusterSnapshot, HolderSnapshot, NodeSnapshot
from thirdvote.domain import Algorithm, Heuristics, NodeInfo, TieBreaker, TieBreakerMode, TlsSupport, Vote, printable

ALGORITHMS: Mapping[Algorithm, str] = {
    Algorithm.TEST: "test",
    Algorithm.FFSPLIT: "ffsplit",
    Algorithm.TWO_NODE_LMS: "2nodelms",
    Algorithm.LMS: "lms",
}
"""As in corosync.conf, like the tie-breaker."""

TLS: Mapping[TlsSupport, str] = {TlsSupport.UNSUPPORTED: "off", TlsSupport.SUPPORTED: "on", TlsSupport.REQUIRED: "required"}


@dataclass(frozen=True, slots=True)
class Moment:
    """The same moment by the arbiter's clock and by that of the host (UTC)."""

    arbiter: float
    host: datetime

    @classmethod
    def of(cls, arbiter: float) -> Moment:
        """`arbiter` is its time now."""
        return cls(arbiter, datetime.now(UTC))

    def tell(self, time: float | None) -> tuple[str | None, float | None]:
        """A time of the arbiter's clock as ISO 8601 in UTC, and as seconds from this moment; None where there is none."""
        if time is None or not math.isfinite(time):
            return None, None
        left = time - self.arbiter
        return (self.host + timedelta(seconds=left)).isoformat(timespec="milliseconds"), round(left, 3)


def cluster_view(cluster: ClusterSnapshot, moment: Moment) -> dict[str, Any]:
    waiting_until, waiting_s = moment.tell(cluster.waiting_until)
    return {
        "name": printable(cluster.name),
        "algorithm": ALGORITHMS[cluster.algorithm],
        "tie_breaker": _tie_breaker(cluster.tie_breaker),
        "keep_active_partition": cluster.keep_active_partition,
        "handover": cluster.handover.value,
        "summary": cluster.summary,
        "waiting": cluster.waiting,
        "waiting_until": waiting_until,
        "waiting_s": waiting_s,
        "bounds": _bounds(cluster.bounds),
        "missing": list(cluster.missing),
        "holders": [holder_view(holder, moment) for holder in cluster.holders],
        "nodes": [node_view(node) for node in cluster.nodes],
    }


def holder_view(holder: HolderSnapshot, moment: Moment) -> dict[str, Any]:
    until, until_s = moment.tell(holder.until)
    return {"node": holder.node_id, "connected": holder.connected, "because": holder.because, "until": until, "until_s": until_s}


def node_view(node: NodeSnapshot) -> dict[str, Any]:
    return {
        "node": node.node_id,
        "connection": node.connection,
        "address": node.address,
        "has_vote": node.has_vote,
        "because": node.because,
        "last_vote": _vote(node.last_vote),
        "last_ack_or_nack": _vote(node.last_ack_or_nack),
        "ring_id": str(node.ring_id),
        "config_version": node.config_version,
        "config_list": [_node_info(info) for info in node.config_list],
        "membership_list": [_node_info(info) for info in node.membership_list],
        "heartbeat_ms": node.heartbeat_ms,
        "heuristics": _heuristics(node.heuristics),
        "heuristics_membership": _heuristics(node.heuristics_membership),
        "heuristics_regular": _heuristics(node.heuristics_regular),
        "keep_active_partition": node.keep_active_partition,
        "tls": node.tls_active,
        "certificate_verified": node.certificate_verified,
        "connected_for_s": round(node.connected_for_s, 3),
        "last_heard_s": round(node.last_heard_s, 3),
        "round_trip_s": None if node.round_trip_s is None else round(node.round_trip_s, 6),
        "answers_late": node.answers_late,
    }


def _bounds(bounds: Bounds) -> dict[str, Any]:
    return {"handover_s": _seconds(bounds.handover_s), "overlap_s": _seconds(bounds.overlap_s), "advice": bounds.advice}


def _seconds(seconds: float) -> float | None:
    """JSON has no infinity: None is without end."""
    return round(seconds, 3) if math.isfinite(seconds) else None


def _tie_breaker(tie_breaker: TieBreaker) -> str:
    if tie_breaker.mode is TieBreakerMode.NODE_ID:
        return str(tie_breaker.node_id)
    return tie_breaker.mode.name.lower()


def _vote(vote: Vote | None) -> str | None:
    return None if vote is None else vote.name.lower().replace("_", "-")


def _heuristics(value: Heuristics) -> str:
    return value.name.lower()


def _node_info(info: NodeInfo) -> dict[str, Any]:
    view: dict[str, Any] = {"node": info.node_id}
    if info.data_center_id:
        view["data_center"] = info.data_center_id
    if info.state is not None:
        view["state"] = info.state.name.lower()
    return view
