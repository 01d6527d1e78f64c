"""What a step of the arbiter has done, in order, and the few ways in which that is put together."""

from __future__ import annotations

from dataclasses import dataclass

from thirdvote.arbiter.interface import Effect, Inspect, Level, Note, NoteKind, Persist, Send
from thirdvote.arbiter.node import Node
from thirdvote.arbiter.record import ClusterRecord
from thirdvote.decide.view import Verdict
from thirdvote.domain import ClusterName, NodeId, Vote
from thirdvote.wire.codec import encode
from thirdvote.wire.messages import EchoReply, ServerMessage, VoteInfo


class Outbox:
    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.clusters_of_tickets: dict[int, ClusterName] = {}
        """Of the records that are on their way to the disk."""
        self._tickets = 0

    def take(self) -> list[Effect]:
        effects, self.effects = self.effects, []
        return effects

    def send(self, connection: int, message: ServerMessage) -> None:
        self.effects.append(Send(connection, encode(message)))

    def persist(self, name: ClusterName, record: ClusterRecord | None) -> int:
        self._tickets += 1
        self.clusters_of_tickets[self._tickets] = name
        self.effects.append(Persist(self._tickets, name, record))
        return self._tickets

    # ---- to one node

    def tell(self, node: Node, verdict: Verdict) -> int:
        """A VOTE_INFO; returns its number."""
        node.vote_info_number += 1
        self.note_vote(node, verdict)
        self.send(node.connection, VoteInfo(node.vote_info_number, verdict.vote, node.ring_id))
        return node.vote_info_number

    def probe(self, node: Node) -> int:
        """A VOTE_INFO that changes nothing but has to be answered; returns its number."""
        node.vote_info_number += 1
        self.send(node.connection, VoteInfo(node.vote_info_number, Vote.NO_CHANGE, node.ring_id))
        return node.vote_info_number

    def answer(self, node: Node, verdict: Verdict, message: ServerMessage) -> None:
        """`message` carries the verdict."""
        self.note_vote(node, verdict)
        self.send(node.connection, message)

    def answer_echo(self, node: Node) -> None:
        """The one that waits."""
        if node.waiting_echo is not None:
            self.send(node.connection, EchoReply(node.waiting_echo.body))
            node.answered_at, node.answer_in_doubt = node.echoed_at, True
            node.waiting_echo = node.echo_due = None

    def note_vote(self, node: Node, verdict: Verdict) -> None:
        """A vote that the node has already is worth a word only to who looks at each message."""
        news = verdict.vote is not Vote.NO_CHANGE and (node.told is None or node.told.vote is not verdict.vote)
        node.note_vote(verdict.vote, verdict.because)
        if news:
            kind = NoteKind.VOTE_SENT if verdict.vote in (Vote.ACK, Vote.NACK) else NoteKind.WAITING
            level = Level.INFO if kind is NoteKind.VOTE_SENT else Level.DEBUG
            self.note_node(level, kind, f"{_VOTE_TEXT[verdict.vote]}: {verdict.because}", node)

    # ---- for people

    def note_node(self, level: Level, kind: NoteKind, text: str, node: Node) -> None:
        self.effects.append(Note(level, kind, text, node.session.cluster_name, node.node_id, node.connection, node.address))

    def note_cluster(self, level: Level, kind: NoteKind, text: str, name: ClusterName, node_id: NodeId | None = None) -> None:
        self.effects.append(Note(level, kind, text, name, node_id))


@dataclass(frozen=True, slots=True)
class ClusterActions:
    """What the referee of cluster `name` can have done."""

    outbox: Outbox
    name: ClusterName

    def probe(self, node: Node) -> int:
        return self.outbox.probe(node)

    def inspect(self, node: Node) -> None:
        self.outbox.effects.append(Inspect(node.connection))

    def answer_echo(self, node: Node) -> None:
        self.outbox.answer_echo(node)

    def persist(self, record: ClusterRecord | None) -> int:
        return self.outbox.persist(self.name, record)

    def note_decided(self, text: str) -> None:
        self.outbox.note_cluster(Level.INFO, NoteKind.DECIDED, text, self.name)

    def note_waiting(self, text: str) -> None:
        self.outbox.note_cluster(Level.INFO, NoteKind.HELD_BACK, text, self.name)

    def note_released(self, node_id: NodeId, text: str) -> None:
        self.outbox.note_cluster(Level.INFO, NoteKind.RELEASED, f"counts as released: {text}", self.name, node_id)

    def note_ledger(self, text: str) -> None:
        self.outbox.note_cluster(Level.ERROR, NoteKind.LEDGER, text, self.name)


_VOTE_TEXT = {
    Vote.ACK: "vote",
    Vote.NACK: "no vote",
    Vote.ASK_LATER: "no decision yet",
    Vote.WAIT_FOR_REPLY: "waiting",
    Vote.NO_CHANGE: "no change",
}
