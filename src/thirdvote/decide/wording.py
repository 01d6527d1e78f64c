"""How a clause names nodes and says who is behind; the length of every clause is bounded, whatever nodes send."""

from __future__ import annotations

from collections.abc import Collection

from thirdvote.decide.view import Member
from thirdvote.domain import NodeId

NAMED_NODES = 8
"""Of a longer list as many are named as still read well; a message can hold a list of some 2,700."""


def name_nodes(node_ids: Collection[NodeId]) -> str:
    """ "node 1", "nodes 1, 2", "nodes 1, 2, 3, 4, 5, 6, 7, 8 and 12 more"."""
    if not node_ids:
        return "no node"
    named = sorted(node_ids)
    more = f" and {len(named) - NAMED_NODES} more" if len(named) > NAMED_NODES else ""
    return f"{'node' if len(named) == 1 else 'nodes'} {', '.join(map(str, named[:NAMED_NODES]))}{more}"


def which_is_behind(one: Member, other: Member) -> str:
    """For two nodes of which one counts the other in, in different rings.

    Corosync never gives a ring a lower sequence number than any of its nodes has seen, so the lower one is the old one.
    """
    if one.ring_id.sequence == other.ring_id.sequence:
        return f"{name_nodes((one.node_id, other.node_id))} report different rings"
    behind = min(one, other, key=lambda member: member.ring_id.sequence)
    return f"node {behind.node_id} has not reported the new ring yet"
