"""The longest hand-over and the longest overlap that a cluster's policy and heartbeat allow, and what shortens them."""

from __future__ import annotations

from thirdvote.arbiter.presence import PROBE_S_MAX
from thirdvote.arbiter.releases import HEARTBEAT_MS_MIN, HEURISTICS_S, MARGIN_S, Timing
from thirdvote.arbiter.snapshot import Bounds
from thirdvote.config import ClusterPolicy, Limits
from thirdvote.domain import Handover

ADVISED_TIMEOUT_MS = 1_250
"""quorum.device.timeout that gives the shortest heartbeat which corosync-qdevice takes."""


def bounds(timing: Timing, nodes: int, policy: ClusterPolicy, limits: Limits) -> Bounds:
    """All counted from when the survivor's Corosync has noticed the loss of a node. Under `test` there is nothing to hand over."""
    safe = _longest_wait(timing, nodes)
    match policy.handover:
        case Handover.SAFE:
            return Bounds(safe, 0.0, _advice(timing, "shortens the hand-over"))
        case Handover.FAST:
            return Bounds(PROBE_S_MAX, safe, _advice(timing, 'shortens the overlap; `handover = "safe"` ends it'))
        case Handover.STOCK:
            overlap = max(timing.sync_timeout, safe)
            return Bounds(limits.dead_peer_coefficient * timing.heartbeat, overlap, 'set `handover = "safe"`, which has no overlap')


def _longest_wait(timing: Timing, nodes: int) -> float:
    """Until a lost node's daemon has given up, Corosync has dropped one that hangs, or a timer has polled for a ring that changed after
    that; which, with more than two nodes, may be a ring that nobody saw change. Late answers make most waits shorter, not the longest.
    """
    if timing.keeps_casting:
        return timing.skew + (2 if nodes > 2 else 1) * timing.sync_timeout + MARGIN_S
    gives_up = 2 * timing.heartbeat
    timer = timing.skew + timing.sleep + max(HEURISTICS_S, timing.heuristics, timing.steps_at_most) + timing.poll
    unseen = max(gives_up, timer) + timing.notice + timer if nodes > 2 else 0.0
    return max(gives_up, timing.heartbeat + timing.timeout, timer, unseen) + MARGIN_S


def _advice(timing: Timing, effect: str) -> str:
    if timing.heartbeat * 1000 <= HEARTBEAT_MS_MIN:
        return ""
    return f"`timeout: {ADVISED_TIMEOUT_MS}` in the section quorum.device of corosync.conf {effect}"
