"""What an algorithm does with each message of a cluster: the entry rules, and who is told what, in which order.

The decision itself is `decide`'s. A referee keeps what has to be remembered between messages, answers the sender, and
tells the others. It is called when the node's new data are already in the cluster, so the view it decides on is the
proposed one; `check` is called before, and what it raises leaves everything as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from thirdvote.arbiter.node import Node
from thirdvote.arbiter.releases import Absence
from thirdvote.decide.view import ClusterView, Verdict
from thirdvote.domain import NodeId, TieBreaker, Vote
from thirdvote.errors import UnsupportedForAlgorithm
from thirdvote.wire.messages import NodeList

Tell = Callable[[Node, Verdict], int]
"""Sends a VOTE_INFO and returns its sequence number."""

NOT_ASKED = Verdict(Vote.NO_CHANGE, "")
"""The answer that leaves the node's vote as it is."""

LISTS_MISSING = Verdict(Vote.ASK_LATER, "it has not sent both its configuration and its membership yet")


@dataclass(slots=True)
class Board:
    """What a referee has at hand: the nodes of its cluster in order of their ids, the way to tell one its vote, and the time."""

    nodes: Mapping[NodeId, Node]
    tie_breaker: TieBreaker
    tell: Tell
    now: float = 0.0

    def view(self) -> ClusterView:
        return ClusterView({node_id: node.member for node_id, node in self.nodes.items()}, self.tie_breaker)


class Referee(Protocol):
    def check(self, node: Node, message: NodeList) -> None:
        """Raises a ProtocolError when the list is one that the algorithm does not take."""

    def config_changed(self, node: Node, *, initial: bool) -> Verdict: ...

    def membership_changed(self, node: Node) -> Verdict: ...

    def quorum_changed(self, node: Node) -> Verdict: ...

    def heuristics_changed(self, node: Node) -> Verdict: ...

    def asked(self, node: Node) -> Verdict:
        """Raises UnsupportedForAlgorithm where nobody may ask."""

    def left(self, node: Node, absence: Absence) -> None:
        """The node is out of the cluster already, and the cluster is not empty."""

    def vote_info_answered(self, node: Node, number: int) -> None: ...

    def waiting_for(self, node: Node) -> str:
        """What has to happen before the node gets a vote that is already decided; empty when nothing is held back."""


class TestReferee:
    """Every membership has the vote. For trying out nodes; never for a cluster that matters."""

    __test__ = False  # not a test case, whatever its name begins with

    def check(self, node: Node, message: NodeList) -> None:
        """Takes every list."""

    def config_changed(self, node: Node, *, initial: bool) -> Verdict:
        return NOT_ASKED

    def membership_changed(self, node: Node) -> Verdict:
        return Verdict(Vote.ACK, "the test algorithm gives it to everybody")

    def quorum_changed(self, node: Node) -> Verdict:
        return NOT_ASKED

    def heuristics_changed(self, node: Node) -> Verdict:
        return NOT_ASKED

    def asked(self, node: Node) -> Verdict:
        return self.membership_changed(node)

    def left(self, node: Node, absence: Absence) -> None:
        """Changes nothing for the others."""

    def vote_info_answered(self, node: Node, number: int) -> None:
        """Sends none, so waits for none."""

    def waiting_for(self, node: Node) -> str:
        return ""


def refuse_question(node: Node) -> Verdict:
    raise UnsupportedForAlgorithm(f"node {node.node_id} asked for its vote, which {node.algorithm.name.lower()} does not answer")
