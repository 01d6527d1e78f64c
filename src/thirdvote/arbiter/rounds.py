"""ffsplit's voting rounds: first those who lose the vote are told and have answered, then those who get it are told.

A round begins with every decision and ends the one before. Its phases:

    WAITING   the nodes do not agree on who is where; nobody is told anything
    NACKING   the losers have been told; the ACKs wait until each of them has answered or gone
    ACKING    the winners have been told; the round ends when they have answered
    IDLE      nothing is outstanding

A loser that goes away makes a new decision, so a round never waits for somebody who is not there. An answer counts for
the VOTE_INFO whose number it carries, and only once that one has been sent: a late answer to the round before can not
stand for a vote that still waits to be sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from thirdvote.arbiter.judges import check_names_sender
from thirdvote.arbiter.node import Node
from thirdvote.arbiter.referee import LISTS_MISSING, NOT_ASKED, Board, refuse_question
from thirdvote.arbiter.releases import Absence
from thirdvote.decide import ffsplit
from thirdvote.decide.view import Verdict
from thirdvote.domain import NodeId, Vote
from thirdvote.wire.messages import NodeList


class Phase(Enum):
    IDLE = auto()
    WAITING = auto()
    NACKING = auto()
    ACKING = auto()


@dataclass(slots=True)
class Pending:
    """A vote of this round; `number` is that of its VOTE_INFO once it has been sent."""

    verdict: Verdict
    number: int | None = None


@dataclass(slots=True)
class RoundsReferee:
    board: Board
    phase: Phase = Phase.IDLE
    quorate_partition: frozenset[NodeId] = frozenset()
    pending: dict[NodeId, Pending] = field(default_factory=dict)

    def check(self, node: Node, message: NodeList) -> None:
        check_names_sender(node, message)

    def config_changed(self, node: Node, *, initial: bool) -> Verdict:
        return LISTS_MISSING if initial else self._evaluate_with(node)

    def membership_changed(self, node: Node) -> Verdict:
        return self._evaluate_with(node)

    def heuristics_changed(self, node: Node) -> Verdict:
        return self._evaluate_with(node)

    def quorum_changed(self, node: Node) -> Verdict:
        return NOT_ASKED

    def asked(self, node: Node) -> Verdict:
        return refuse_question(node)

    def left(self, node: Node, absence: Absence) -> None:
        self.pending.pop(node.node_id, None)
        self._evaluate()

    def vote_info_answered(self, node: Node, number: int) -> None:
        pending = self.pending.get(node.node_id)
        if pending is not None and pending.number == number:
            del self.pending[node.node_id]
            self._advance()

    def waiting_for(self, node: Node) -> str:
        pending = self.pending.get(node.node_id)
        if pending is None or pending.number is not None or self.phase is not Phase.NACKING:
            return ""
        losers = ", ".join(str(node_id) for node_id in self._outstanding(Vote.NACK))
        return f"it gets the vote as soon as node {losers} has answered that it has none: {pending.verdict.because}"

    def _evaluate_with(self, node: Node) -> Verdict:
        if node.config_list is None or node.membership_list is None:
            return LISTS_MISSING
        return self._evaluate()

    def _evaluate(self) -> Verdict:
        decision = ffsplit.decide(self.board.view(), self.quorate_partition)
        if isinstance(decision, ffsplit.Unsettled):
            self.phase = Phase.WAITING
            return Verdict(Vote.WAIT_FOR_REPLY, decision.because)
        self.quorate_partition = decision.winner
        self.pending = {node_id: Pending(verdict) for node_id, verdict in decision.verdicts.items()}
        self.phase = Phase.NACKING
        self._send(Vote.NACK)
        self._advance()
        return NOT_ASKED

    def _advance(self) -> None:
        if self.phase is Phase.NACKING and not self._outstanding(Vote.NACK):
            self.phase = Phase.ACKING
            self._send(Vote.ACK)
        if self.phase is Phase.ACKING and not self._outstanding(Vote.ACK):
            self.phase = Phase.IDLE

    def _outstanding(self, vote: Vote) -> list[NodeId]:
        return [node_id for node_id, pending in self.pending.items() if pending.verdict.vote is vote]

    def _send(self, vote: Vote) -> None:
        for node_id in self._outstanding(vote):
            pending = self.pending[node_id]
            pending.number = self.board.tell(self.board.nodes[node_id], pending.verdict)
