"""One connection as the arbiter knows it: what it may become, until when, and what its end says about the node."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from thirdvote.arbiter.cluster import Cluster
from thirdvote.arbiter.interface import Ending
from thirdvote.arbiter.node import Node
from thirdvote.arbiter.presence import INSPECTED_S, overdue_at, patience, silence
from thirdvote.arbiter.releases import Absence, Manner
from thirdvote.session.server import ServerSession
from thirdvote.wire.messages import Init

TICK_S = 0.05
"""A goodbye that comes this much before the next echo is due, or later, may be that of a daemon that gives up."""


@dataclass(slots=True)
class Peer:
    """One connection; `node` and `cluster` are set while it has joined one."""

    connection: int
    address: str
    session: ServerSession
    node: Node | None = None
    cluster: Cluster | None = None
    claim: Claim | None = None


@dataclass(slots=True)
class Claim:
    """Another connection says that it is the node `node`: `init` is answered when it is known whether that one is still there."""

    init: Init
    node: Node


def given_up_at(peer: Peer) -> float | None:
    """When its connection is ended. A node that has been asked is given the time to answer, and a look is taken at its kernel."""
    deadline, node = peer.session.deadline(), peer.node
    if deadline is None or node is None or node.asked_at is None or node.sent_at is None:
        return deadline
    return max(deadline, node.sent_at + patience(node) + INSPECTED_S)


def next_deadline(peer: Peer) -> float | None:
    """When something of it is due: its session, a late answer, a question, a claim."""
    times = [given_up_at(peer)]
    if peer.node is not None and peer.cluster is not None and peer.cluster.granting is not None:
        times += [peer.node.echo_due, overdue_at(peer.node)]
    times.append(None if peer.claim is None else claim_due(peer.claim))
    return min((time for time in times if time is not None), default=None)


def claim_due(claim: Claim) -> float:
    """Until then the node that is claimed may answer."""
    asked_at = claim.node.asked_at
    assert asked_at is not None, "the node is asked when a claim begins, and the claim ends when it answers"
    return asked_at + patience(claim.node)


def absence_of(node: Node, ending: Ending, delivered: bool, now: float) -> Absence:
    """How it was lost. A goodbye is that of a daemon that ends, unless it may have given up: for want of an answer, or on an error."""
    heartbeat = node.session.heartbeat_ms / 1000
    match ending:
        case Ending.GOODBYE if delivered and _has_no_reason(node) and now < node.ticked_at + heartbeat - TICK_S - (node.round_trip or 0.0):
            return Absence(Manner.ENDED, now, node.answered_at, node.echoed_at, now)
        case Ending.GOODBYE:
            return Absence(Manner.GAVE_UP, now, node.answered_at, node.echoed_at, now)
        case Ending.CLOSED:
            return Absence(Manner.CLOSED, now, node.answered_at, node.echoed_at, now)
        case Ending.LOST:
            silent = silence(node)
            return silent if silent.manner is Manner.HANGS else replace(silent, manner=Manner.DROPPED, at=now)
        case _:
            assert_never(ending)


def _has_no_reason(node: Node) -> bool:
    """To give up at once. One that has reported nothing may have lost its patience for the answer to its INIT."""
    return node.membership_list is not None and not node.errors_sent
