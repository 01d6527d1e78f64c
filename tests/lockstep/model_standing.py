"""lms and 2nodelms as the protocol reference tells them, with each of their defects.

    S16  lms: with a tie-breaker that names a node, only that node gets the vote, not those that are with it
    S17  lms: the lowest node id is looked for below 2^31 - 1 only
    S18  lms: a membership is judged by the sender's previous list, ring and heuristics
    S19  nobody is looked at again when a node leaves or reports
    S20  a change of heuristics changes nothing
    S22  a newcomer that was refused is not looked at again

S19, S20 and S22 are one thing here: a node hears of its vote only when it speaks, or while it is told to wait.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tests.lockstep.model import Client, Model, Refused
from thirdvote.domain import Algorithm, Heuristics, RingId, TieBreaker, TieBreakerMode, Vote
from thirdvote.errors import ReplyCode

LOWEST_START = 2**31 - 1
RANK = {Heuristics.FAIL: 0, Heuristics.UNDEFINED: 1, Heuristics.PASS: 2}


class LmsModel(Model):
    algorithm = Algorithm.LMS

    def __init__(self, tie_breaker: TieBreaker, defects: Collection[str]) -> None:
        super().__init__(tie_breaker, defects)
        self.waiting: list[Client] = []
        """Those whose timer runs, in the order in which it was started."""

    def settle(self, wait_s: float = 0.0) -> None:
        """With time to wait, all timers run until none of them has anything to say."""
        told = wait_s > 0
        while told:
            told = False
            for client in list(self.waiting):
                vote = self._decide(client, client.ring)
                if vote is not Vote.WAIT_FOR_REPLY:
                    self.tell(client, vote)
                    told = True

    def config(self, client: Client, ids: list[int], *, initial: bool) -> Vote:
        client.config = ids
        return Vote.NO_CHANGE

    def membership(self, client: Client, ids: list[int], ring: RingId, heuristics: Heuristics) -> Vote:
        if "S18" not in self.defects:
            client.membership, client.ring, client.heuristics = ids, ring, heuristics
        vote = self._decide(client, ring)
        client.membership, client.ring, client.heuristics = ids, ring, heuristics
        return vote

    def heuristics(self, client: Client, heuristics: Heuristics) -> Vote:
        client.heuristics = heuristics
        return Vote.NO_CHANGE

    def quorum(self, client: Client) -> Vote:
        return self._decide(client, client.ring)

    def ask(self, client: Client) -> Vote:
        return self._decide(client, client.ring)

    def leave(self, client: Client) -> None:
        self._stop_waiting(client)

    def answered(self, client: Client, number: int) -> None:
        """Nothing waits for it."""

    def _stop_waiting(self, client: Client) -> None:
        if client in self.waiting:
            self.waiting.remove(client)

    def _decide(self, client: Client, ring: RingId | None) -> Vote:
        vote, saved = self._vote(client, ring)
        if saved:
            client.result = vote
        if vote is Vote.WAIT_FOR_REPLY:
            if client not in self.waiting:
                self.waiting.append(client)
        else:
            self._stop_waiting(client)
        return vote

    def _vote(self, client: Client, ring: RingId | None) -> tuple[Vote, bool]:
        """And whether it is remembered."""
        nodes = self.nodes
        others = [node for node in nodes if node is not client]
        for other in others:
            together = other.node_id in (client.membership or ()) or client.node_id in (other.membership or ())
            if together and other.ring != ring:
                return Vote.WAIT_FOR_REPLY, True
        partitions = _partitions(nodes)
        if not partitions:
            return Vote.WAIT_FOR_REPLY, True
        if len(partitions) == 1:
            return Vote.ACK, True
        if client.result is None and any(other.ring != ring and other.result is Vote.ACK for other in others):
            return Vote.NACK, False
        best = _unique_best({key: _score(members) for key, members in partitions.items()})
        best = best or _unique_best({key: len(members) for key, members in partitions.items()})
        won = best == ring if best is not None else self._has_tie_breaker(client, ring)
        return (Vote.ACK if won else Vote.NACK), True

    def _has_tie_breaker(self, client: Client, ring: RingId | None) -> bool:
        nodes = self.nodes
        ids = [node.node_id for node in nodes]
        if self.tie_breaker.mode is TieBreakerMode.NODE_ID and "S16" in self.defects:
            return client.node_id == self.tie_breaker.node_id
        if self.tie_breaker.mode is TieBreakerMode.LOWEST and "S17" in self.defects:
            ids = [node_id for node_id in ids if node_id < LOWEST_START]
        preferred = self.preferred(ids) if ids else 0
        return any(node.node_id == preferred and (node is client or node.ring == ring) for node in nodes)


class TwoNodeLmsModel(Model):
    algorithm = Algorithm.TWO_NODE_LMS

    def config(self, client: Client, ids: list[int], *, initial: bool) -> Vote:
        if len(ids) != 2:
            raise Refused(ReplyCode.UNSUPPORTED_ALGORITHM)
        client.config = ids
        return Vote.NO_CHANGE

    def membership(self, client: Client, ids: list[int], ring: RingId, heuristics: Heuristics) -> Vote:
        vote, saved = self._vote(client, ids, ring, heuristics)
        client.membership, client.ring, client.heuristics = ids, ring, heuristics
        if saved:
            client.result = vote
        return vote

    def heuristics(self, client: Client, heuristics: Heuristics) -> Vote:
        client.heuristics = heuristics
        return Vote.NO_CHANGE

    def quorum(self, client: Client) -> Vote:
        return Vote.NO_CHANGE

    def ask(self, client: Client) -> Vote:
        return client.result or Vote.ASK_LATER

    def leave(self, client: Client) -> None:
        """Nobody is told."""

    def answered(self, client: Client, number: int) -> None:
        """Nothing waits for it."""

    def _vote(self, client: Client, ids: list[int], ring: RingId, heuristics: Heuristics) -> tuple[Vote, bool]:
        others = [node for node in self.nodes if node is not client]
        if client.result is None and any(other.ring != ring and other.result is Vote.ACK for other in others):
            return Vote.NACK, False
        if len(ids) == 2 or not others:
            return Vote.ACK, True
        mine, theirs = RANK[heuristics], RANK[others[-1].heuristics]
        won = mine > theirs if mine != theirs else client.node_id == self.preferred([node.node_id for node in self.nodes])
        return (Vote.ACK if won else Vote.NACK), True


def _partitions(nodes: Iterable[Client]) -> dict[RingId, list[Client]]:
    partitions: dict[RingId, list[Client]] = {}
    for node in nodes:
        if node.ring is not None and node.ring.sequence:
            partitions.setdefault(node.ring, []).append(node)
    return partitions


def _score(members: list[Client]) -> int:
    results = [member.heuristics for member in members]
    return len(members) + results.count(Heuristics.PASS) - results.count(Heuristics.FAIL)


def _unique_best(figures: dict[RingId, int]) -> RingId | None:
    rings = [ring for ring, figure in figures.items() if figure == max(figures.values())]
    return rings[0] if len(rings) == 1 else None
