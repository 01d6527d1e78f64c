"""Whether a cluster needs the arbitrator's vote now, so that nodes lose quorum when their certificates are refused. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Node = Mapping[str, Any]
Cluster = Mapping[str, Any]
"""As in the control socket's snapshot."""


def who_needs_it(cluster: Cluster, nodes: Iterable[int] | None = None) -> list[int]:
    """Of `nodes` (None: of all) those that have the vote, and whose partition has no quorum without it; every node counts as one vote."""
    wanted = None if nodes is None else frozenset(nodes)
    every = {entry["node"] for node in cluster["nodes"] for entry in node["config_list"]}
    quorum = _quorum(len(every), str(cluster["algorithm"]))
    return [
        int(node["node"])
        for node in cluster["nodes"]
        if node["has_vote"] and (wanted is None or node["node"] in wanted) and len(node["membership_list"]) < quorum
    ]


def _quorum(nodes: int, algorithm: str) -> int:
    device_votes = nodes - 1 if algorithm == "lms" else 1
    return (nodes + device_votes) // 2 + 1
