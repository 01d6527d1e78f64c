"""What a vote waits for, in words for a person."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from math import inf

from thirdvote.arbiter.releases import Absence, Manner
from thirdvote.decide.wording import name_nodes
from thirdvote.domain import NodeId


@dataclass(frozen=True, slots=True)
class Wait:
    """For one holder: `because` is a clause, `until` None when an event ends it and no time is known."""

    node_id: NodeId
    because: str
    until: float | None

    @property
    def end(self) -> float:
        return inf if self.until is None else self.until


def end_of(waits: Collection[Wait]) -> float:
    """inf: an event ends it."""
    return max(wait.end for wait in waits)


def sentence(waits: Collection[Wait], say_time: Callable[[float], str]) -> str:
    """ "until 12:03:07 for node 1, which may still report quorum: silent since 12:02:51"."""
    longest = max(waits, key=lambda wait: wait.end)
    others = [wait.node_id for wait in waits if wait is not longest]
    also = f"; also for {name_nodes(others)}" if others else ""
    until = "" if longest.until is None else f"until {say_time(longest.until)} "
    return f"{until}for node {longest.node_id}, which may still report quorum: {longest.because}{also}"


def how_lost(absence: Absence, presumed: bool, say_time: Callable[[float], str]) -> str:
    """`presumed`: it never came to us."""
    at = say_time(absence.at)
    match absence.manner:
        case Manner.SILENT:
            return f"silent since {at}"
        case Manner.HANGS if absence.alive is None:
            return f"forgotten at {at}, when there were too many clusters to remember"
        case Manner.HANGS:
            return f"its daemon hangs since {at}"
        case Manner.CLOSED:
            return f"its daemon was gone without a goodbye at {at}"
        case Manner.GAVE_UP if presumed:
            return f"it is not connected here, but was in the ring of a node that is, at {at}"
        case Manner.GAVE_UP:
            return f"its daemon gave up its connection at {at}"
        case Manner.ENDED:
            return f"its daemon was ended at {at}"
        case Manner.DROPPED if absence.alive is None:
            return f"not heard since the arbitrator began at {at}"
        case Manner.DROPPED:
            return f"silent since {say_time(absence.alive)}, its connection ended at {at}"
