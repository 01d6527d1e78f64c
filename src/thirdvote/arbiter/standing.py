"""lms and 2nodelms: each node has a standing, and hears of it when it changes.

The node that speaks gets its verdict in the reply. Everybody else whose vote changes by that gets a VOTE_INFO, those
who lose it before those who get it. A node that is told to wait keeps what it has; it learns the outcome by itself, as
soon as the others have reported what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from thirdvote.arbiter.judges import check_count
from thirdvote.arbiter.node import Node
from thirdvote.arbiter.referee import NOT_ASKED, Board
from thirdvote.arbiter.releases import Absence
from thirdvote.decide import lms, two_node_lms
from thirdvote.decide.lms import Decision, Result
from thirdvote.decide.view import ClusterView, Verdict
from thirdvote.domain import NodeId, Vote
from thirdvote.wire.messages import NodeList

Decide = Callable[[ClusterView, Mapping[NodeId, Result], NodeId | None], Decision]


@dataclass(slots=True)
class StandingReferee:
    """lms. `results` has an entry for each node that was evaluated since it joined."""

    board: Board
    results: dict[NodeId, Result] = field(default_factory=dict)
    decide: Decide = lms.decide

    def check(self, node: Node, message: NodeList) -> None:
        """Takes every list."""

    def config_changed(self, node: Node, *, initial: bool) -> Verdict:
        return NOT_ASKED

    def membership_changed(self, node: Node) -> Verdict:
        return self._evaluate(node)

    def quorum_changed(self, node: Node) -> Verdict:
        return self._evaluate(node)

    def heuristics_changed(self, node: Node) -> Verdict:
        self._evaluate(None)
        return NOT_ASKED

    def asked(self, node: Node) -> Verdict:
        return self._evaluate(node)

    def left(self, node: Node, absence: Absence) -> None:
        self.results.pop(node.node_id, None)
        self._evaluate(None)

    def vote_info_answered(self, node: Node, number: int) -> None:
        """Nothing waits for it."""

    def waiting_for(self, node: Node) -> str:
        return ""

    def _evaluate(self, asking: Node | None) -> Verdict:
        decision = self.decide(self.board.view(), self.results, asking.node_id if asking else None)
        self.results = dict(decision.results)
        others = [
            (self.board.nodes[node_id], verdict)
            for node_id, verdict in decision.verdicts.items()
            if asking is not self.board.nodes[node_id]
        ]
        changed = [(node, verdict) for node, verdict in others if not _knows(node, verdict)]
        for vote in (Vote.NACK, Vote.ACK):
            for node, verdict in changed:
                if verdict.vote is vote:
                    self.board.tell(node, verdict)
        return decision.verdicts[asking.node_id] if asking else NOT_ASKED


class TwoNodeReferee(StandingReferee):
    """2nodelms: the same, decided in its own way, for configurations of exactly two nodes."""

    def __init__(self, board: Board) -> None:
        super().__init__(board, decide=two_node_lms.decide)

    def check(self, node: Node, message: NodeList) -> None:
        check_count(message, 2)

    def quorum_changed(self, node: Node) -> Verdict:
        return NOT_ASKED

    def asked(self, node: Node) -> Verdict:
        match self.results.get(node.node_id):
            case Result.ACK | Result.NACK:
                return node.told or NOT_ASKED
            case _:
                return Verdict(Vote.ASK_LATER, "it has not sent its membership yet")


def _knows(node: Node, verdict: Verdict) -> bool:
    """Whether the node goes by this vote already; then it is the reason that may be new."""
    if node.told is None or node.told.vote is not verdict.vote:
        return False
    node.told = verdict
    return True
