"""How late an echo may be answered while a cluster does not need the vote."""

from __future__ import annotations

from thirdvote.arbiter.node import Node

LATE_SLACK_SHARE = 0.1
LATE_SLACK_S_MIN = 0.2
"""A late answer leaves that much before the node's next echo is due: a share of its heartbeat, or so many seconds. With more of it, more
leave after the node was lost and before its ring changes, and it may have heard them.
"""

ROUND_TRIP_SHARE = 0.25
"""Of that slack, that a round trip may take at most where echoes are answered late."""


def late_slack(heartbeat: float) -> float:
    """Seconds between a late answer and the next echo."""
    return max(LATE_SLACK_SHARE * heartbeat, LATE_SLACK_S_MIN)


def can_be_answered_late(node: Node) -> bool:
    """The way to it is known to be short."""
    return node.round_trip is not None and node.round_trip <= ROUND_TRIP_SHARE * late_slack(node.session.heartbeat_ms / 1000)
