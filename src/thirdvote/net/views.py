"""The arbiter's state in the shape that the control socket gives it to other programs: docs/control-socket.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thirdvote.arbiter.snapshot import ClusterSnapshot, NodeSnapshot
from thirdvote.domain import Algorithm, Heuristics, NodeInfo, TieBreaker, TieBreakerMode, TlsSupport, Vote, printable

ALGORITHMS: Mapping[Algorithm, str] = {
    Algorithm.TEST: "test",
    Algorithm.FFSPLIT: "ffsplit",
    Algorithm.TWO_NODE_LMS: "2nodelms",
    Algorithm.LMS: "lms",
}
"""As in corosync.conf, like the tie-breaker."""

TLS: Mapping[TlsSupport, str] = {TlsSupport.UNSUPPORTED: "off", TlsSupport.SUPPORTED: "on", TlsSupport.REQUIRED: "required"}


def cluster_view(cluster: ClusterSnapshot) -> dict[str, Any]:
    return {
        "name": printable(cluster.name),
        "algorithm": ALGORITHMS[cluster.algorithm],
        "tie_breaker": _tie_breaker(cluster.tie_breaker),
        "keep_active_partition": cluster.keep_active_partition,
        "handover": cluster.handover.value,
        "summary": cluster.summary,
        "missing": list(cluster.missing),
        "nodes": [node_view(node) for node in cluster.nodes],
    }


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
    }


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
