"""The algorithms as `granting` asks them: what each node would get, were nobody else still to report quorum.

A judge remembers what an algorithm goes by from one decision to the next, and takes it over when a vote is really given:
what is decided and held back may yet be decided otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, assert_never

from thirdvote.arbiter.node import Node
from thirdvote.decide import ffsplit, lms, two_node_lms
from thirdvote.decide.standing import Decision, Result
from thirdvote.decide.view import ClusterView, Verdict
from thirdvote.domain import Algorithm, NodeId, NodeListType, Vote
from thirdvote.errors import InvalidConfigList, InvalidMembershipList, UnsupportedAlgorithm
from thirdvote.wire.messages import NodeList

Verdicts = dict[NodeId, Verdict]
"""ACK, NACK or WAIT_FOR_REPLY for each node of the view."""


class Judge(Protocol):
    needs_config: bool
    """It decides nothing for a node that has not sent its configuration."""
    answers_questions: bool
    """A node may ask for its vote."""

    def check(self, node: Node, message: NodeList) -> None:
        """Raises a ProtocolError when the list is one that the algorithm does not take."""

    def propose(self, view: ClusterView, asking: NodeId | None) -> Verdicts:
        """`asking` is the node whose message this is."""

    def came(self, node_id: NodeId, *, holds: bool) -> None:
        """A node joined; `holds`: it may have the vote from before."""

    def granted(self, node: Node) -> None:
        """An ACK leaves for it."""

    def left(self, node_id: NodeId) -> None: ...


class FfsplitJudge:
    """`quorate_partition` is what keep-active-partition asks for."""

    needs_config = True
    answers_questions = False

    def __init__(self, quorate_partition: frozenset[NodeId]) -> None:
        self.quorate_partition = quorate_partition

    def check(self, node: Node, message: NodeList) -> None:
        check_names_sender(node, message)

    def propose(self, view: ClusterView, asking: NodeId | None) -> Verdicts:
        if not view.members:
            return {}
        decision = ffsplit.decide(view, self.quorate_partition)
        if isinstance(decision, ffsplit.Unsettled):
            return dict.fromkeys(view.members, Verdict(Vote.WAIT_FOR_REPLY, decision.because))
        if not decision.winner:
            self.quorate_partition = frozenset()
        return decision.verdicts

    def came(self, node_id: NodeId, *, holds: bool) -> None:
        """The partition tells."""

    def granted(self, node: Node) -> None:
        self.quorate_partition = node.member.membership_list or frozenset()

    def left(self, node_id: NodeId) -> None:
        """The partition stays as it was."""


class StandingJudge:
    """lms and 2nodelms; `results` is what each node really has."""

    needs_config = False
    answers_questions = True

    def __init__(self, decide: Callable[[ClusterView, Mapping[NodeId, Result], NodeId | None], Decision], nodes: int | None = None) -> None:
        """`nodes`: how many a configuration must have."""
        self.results: dict[NodeId, Result] = {}
        self._decide = decide
        self._nodes = nodes

    def check(self, node: Node, message: NodeList) -> None:
        if self._nodes is not None:
            check_count(message, self._nodes)

    def propose(self, view: ClusterView, asking: NodeId | None) -> Verdicts:
        decision = self._decide(view, self.results, asking)
        for node_id, result in decision.results.items():
            if result is not Result.ACK:
                self.results[node_id] = result
        return decision.verdicts

    def came(self, node_id: NodeId, *, holds: bool) -> None:
        if holds:
            self.results[node_id] = Result.ACK

    def granted(self, node: Node) -> None:
        self.results[node.node_id] = Result.ACK

    def left(self, node_id: NodeId) -> None:
        self.results.pop(node_id, None)


def judge_of(algorithm: Algorithm, partition: frozenset[NodeId]) -> Judge:
    """`partition` is what was given the vote last."""
    match algorithm:
        case Algorithm.FFSPLIT:
            return FfsplitJudge(partition)
        case Algorithm.LMS:
            return StandingJudge(lms.decide)
        case Algorithm.TWO_NODE_LMS:
            return StandingJudge(two_node_lms.decide, nodes=2)
        case Algorithm.TEST:
            raise ValueError("algorithm test gives the vote to everybody, and asks nobody")
        case _:
            assert_never(algorithm)


def check_names_sender(node: Node, message: NodeList) -> None:
    """Raises a ProtocolError when a list of the configuration or of the membership lacks who sent it."""
    if message.list_type is NodeListType.QUORUM or any(entry.node_id == node.node_id for entry in message.nodes):
        return
    what = f"the list of {len(message.nodes)} nodes lacks node {node.node_id}, which sent it"
    raise InvalidMembershipList(what) if message.list_type is NodeListType.MEMBERSHIP else InvalidConfigList(what)


def check_count(message: NodeList, nodes: int) -> None:
    """Raises UnsupportedAlgorithm when a configuration does not have that many."""
    is_config = message.list_type in (NodeListType.INITIAL_CONFIG, NodeListType.CHANGED_CONFIG)
    count = len({entry.node_id for entry in message.nodes})
    if is_config and count != nodes:
        raise UnsupportedAlgorithm(f"2nodelms is for exactly two nodes, the configuration has {count}")
