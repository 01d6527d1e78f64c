"""ffsplit as the protocol reference tells it, with each of its defects on or off.

S3   a node without lists is left alone: the stock server dies of it
S12  an answer to the round before stands for an ACK that is yet to be sent, which then never is
S14  a node that leaves is counted as connected in the decision about its leave
S15  a node without a configuration list is quorate with any membership
L1   a node's new heuristics count in the view of that node only: its partition's other nodes judge the same partition
     by the old ones (not in the reference; this comparison found it)
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from tests.lockstep.model import Client, Crash, Model, Refused
from thirdvote.domain import Algorithm, Heuristics, RingId, TieBreaker, Vote
from thirdvote.errors import ReplyCode


@dataclass(frozen=True)
class Strength:
    """Of a partition, as one of its nodes sees it."""

    score: int = 0
    connected: int = 0


@dataclass
class Evaluation:
    """What one evaluation of ffsplit looks at."""

    nodes: list[Client]
    leaving: Client | None
    counted: list[Client]
    """Those who count as connected."""
    staying: list[Client] = field(init=False)

    def __post_init__(self) -> None:
        self.staying = [node for node in self.nodes if node is not self.leaving]


class FfsplitModel(Model):
    algorithm = Algorithm.FFSPLIT

    def __init__(self, tie_breaker: TieBreaker, defects: Collection[str]) -> None:
        super().__init__(tie_breaker, defects)
        self.phase = "idle"
        self.quorate: frozenset[int] = frozenset()

    def config(self, client: Client, ids: list[int], *, initial: bool) -> Vote:
        if client.node_id not in ids:
            raise Refused(ReplyCode.INVALID_CONFIG_LIST)
        client.config = ids
        return Vote.ASK_LATER if initial or client.membership is None else self._evaluate()

    def membership(self, client: Client, ids: list[int], ring: RingId, heuristics: Heuristics) -> Vote:
        if client.node_id not in ids:
            raise Refused(ReplyCode.INVALID_MEMBERSHIP_LIST)
        client.membership, client.ring, client.heuristics = ids, ring, heuristics
        vote = Vote.ASK_LATER if client.config is None else self._evaluate()
        client.heuristics_before = heuristics
        return vote

    def heuristics(self, client: Client, heuristics: Heuristics) -> Vote:
        client.heuristics = heuristics
        vote = Vote.ASK_LATER if client.config is None or client.membership is None else self._evaluate()
        client.heuristics_before = heuristics
        return vote

    def quorum(self, client: Client) -> Vote:
        return Vote.NO_CHANGE

    def ask(self, client: Client) -> Vote:
        raise Refused(ReplyCode.UNSUPPORTED_FOR_ALGORITHM)

    def leave(self, client: Client) -> None:
        client.pending = None
        self._evaluate(client)

    def answered(self, client: Client, number: int) -> None:
        if number != client.number or (not client.pending_is_sent and "S12" not in self.defects):
            return
        client.pending = None
        self._advance()

    # ---- an evaluation

    def _evaluate(self, leaving: Client | None = None) -> Vote:
        counted = self.nodes if "S14" in self.defects else [node for node in self.nodes if node is not leaving]
        look = Evaluation(self.nodes, leaving, counted)
        self.phase = "waiting"
        if not self._stable(look.staying):
            return Vote.WAIT_FOR_REPLY
        best: Client | None = None
        for node in look.staying:
            if self._better(node, best, look):
                best = node
        self.quorate = frozenset(best.membership or ()) if best is not None else frozenset()
        for node in look.staying:
            node.pending = Vote.ACK if node.node_id in self.quorate else Vote.NACK
            node.pending_is_sent = False
        self.phase = "nacking"
        self._send(Vote.NACK)
        self._advance()
        return Vote.NO_CHANGE

    def _advance(self) -> None:
        pending = [node.pending for node in self.nodes]
        if self.phase == "nacking" and Vote.NACK not in pending:
            self.phase = "acking"
            self._send(Vote.ACK)
        if self.phase == "acking" and Vote.ACK not in [node.pending for node in self.nodes]:
            self.phase = "idle"

    def _send(self, vote: Vote) -> None:
        for node in self.nodes:
            if node.pending is vote:
                node.pending_is_sent = True
                self.tell(node, vote)

    def _stable(self, nodes: list[Client]) -> bool:
        for one in nodes:
            for other in nodes:
                if not set(one.config or ()) <= set(other.config or ()):
                    return False
                if other.node_id in (one.membership or ()):
                    same_ring = one.ring == other.ring
                    if not same_ring or not set(one.membership or ()) <= set(other.membership or ()):
                        return False
        return True

    def _better(self, node: Client, best: Client | None, look: Evaluation) -> bool:
        if node.config is None and "S15" not in self.defects:
            return False
        configured, members = len(node.config or ()), len(node.membership or ())
        if configured % 2 or members * 2 != configured:
            return members > configured // 2
        mine = self._strength(node, look)
        others = Strength() if best is None else self._strength(best, look)
        if mine.score != others.score:
            return mine.score > others.score
        if mine.connected != others.connected:
            return mine.connected > others.connected
        if best is not None and all(client.kap for client in look.counted):
            had, other_had = node.node_id in self.quorate, best.node_id in self.quorate
            if had != other_had:
                return had
        if not node.config:
            if "S3" in self.defects:
                raise Crash
            return False
        return self.preferred(node.config) in (node.membership or ())

    def _strength(self, node: Client, look: Evaluation) -> Strength:
        connected = {client.node_id: client for client in look.counted}
        members = [connected[member] for member in node.membership or () if member in connected]
        results = [member.heuristics if member is node or "L1" not in self.defects else member.heuristics_before for member in members]
        return Strength(len(members) + results.count(Heuristics.PASS) - results.count(Heuristics.FAIL), len(members))
