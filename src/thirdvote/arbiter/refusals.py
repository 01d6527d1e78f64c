"""When a node that has answered a NACK for its ring has no quorum any more, whatever became of it since."""

from __future__ import annotations

from thirdvote.arbiter.holders import Holder
from thirdvote.arbiter.releases import MARGIN_S, Timing


def settles_at(holder: Holder, timing: Timing) -> float | None:
    """When its Corosync has found that it has no quorum; None: it has not answered a NACK for its ring.

    As long as Corosync has told nothing about that ring, it may not be done with it, or wait for the device of another node in it. And
    without a "no" the NACK may have come in a pause of the daemon, for its heuristics after one more change; or after a mate was lost,
    when Corosync goes by it in the next ring only.
    """
    if holder.refused_at is None:
        return None
    if holder.unpublished_since is not None:
        return holder.refused_at + timing.sync_timeout
    if holder.said_no:
        return holder.refused_at + timing.steps_at_most
    notice = timing.notice + MARGIN_S if _has_mates(holder) else 0.0
    return holder.refused_at + max(timing.steps_at_most, timing.heuristics + notice)


def is_final(holder: Holder, settled: float, heard: float | None) -> bool:
    """Of the time at which it settles, for a node that was `heard` last then. A ring of several may have lost its token before the NACK,
    and change after it; then its nodes wait for a new vote. Had it changed, the node would have said so before anything else.
    """
    return holder.said_no or not _has_mates(holder) or (heard is not None and heard >= settled)


def _has_mates(holder: Holder) -> bool:
    return holder.members is None or len(holder.members) > 1
