"""What a step has done, in order."""

from __future__ import annotations

from tests.unit.arbiter.test_holders import node
from tests.world import messages_in, record, ring
from thirdvote.arbiter.interface import Level, Note, NoteKind, Persist, Send
from thirdvote.arbiter.outbox import ClusterActions, Outbox
from thirdvote.decide.view import Verdict
from thirdvote.domain import ClusterName, Vote
from thirdvote.wire.codec import encode
from thirdvote.wire.messages import EchoReply, EchoRequest, Message, VoteInfo, VoteInfoReply

C = ClusterName(b"c")
BODY = encode(VoteInfoReply(7))[6:]
"""Of an echo: its number."""


def sent(outbox: Outbox) -> list[Message]:
    return [message for effect in outbox.take() if isinstance(effect, Send) for message in messages_in(effect.data)]


def test_what_was_taken_is_not_taken_again() -> None:
    outbox = Outbox()
    outbox.persist(C, None)
    assert len(outbox.take()) == 1
    assert outbox.take() == []


def test_tickets_are_in_order_and_remember_their_cluster() -> None:
    outbox = Outbox()
    tickets = [outbox.persist(C, record(1)), outbox.persist(ClusterName(b"d"), None)]
    assert tickets == sorted(set(tickets))
    assert [outbox.clusters_of_tickets[ticket] for ticket in tickets] == [b"c", b"d"]
    assert outbox.take() == [Persist(tickets[0], C, record(1)), Persist(tickets[1], ClusterName(b"d"), None)]


def test_a_vote_carries_the_nodes_ring_and_the_next_number() -> None:
    outbox, one = Outbox(), node(1, ring(1, 14), 1)
    assert [outbox.tell(one, Verdict(Vote.ACK, "so")), outbox.tell(one, Verdict(Vote.NACK, "so"))] == [1, 2]
    assert sent(outbox) == [VoteInfo(1, Vote.ACK, ring(1, 14)), VoteInfo(2, Vote.NACK, ring(1, 14))]
    assert one.told == Verdict(Vote.NACK, "so")


def test_a_probe_changes_nothing_for_the_node() -> None:
    outbox, one = Outbox(), node(1, ring(1, 14), 1)
    outbox.tell(one, Verdict(Vote.ACK, "so"))
    outbox.take()
    assert ClusterActions(outbox, C).probe(one) == 2
    assert sent(outbox) == [VoteInfo(2, Vote.NO_CHANGE, ring(1, 14))]
    assert one.has_vote


def test_an_echo_is_answered_once_and_counts_from_when_it_came() -> None:
    outbox, one = Outbox(), node(1, ring(1, 14), 1)
    one.waiting_echo, one.echoed_at, one.echo_due = EchoRequest(BODY), 7.0, 9.0
    outbox.answer_echo(one)
    outbox.answer_echo(one)
    assert sent(outbox) == [EchoReply(BODY, 7)]
    assert one.answered_at == 7.0
    assert one.echo_due is None


def test_a_vote_that_the_node_has_already_is_not_said_again() -> None:
    outbox, one = Outbox(), node(1, ring(1, 14), 1)
    for _ in range(2):
        outbox.note_vote(one, Verdict(Vote.ACK, "so"))
    outbox.note_vote(one, Verdict(Vote.NO_CHANGE, ""))
    assert [effect.text for effect in outbox.take() if isinstance(effect, Note)] == ["vote: so"]


def test_a_ledger_that_can_not_be_written_is_for_a_person_to_mend() -> None:
    outbox = Outbox()
    actions = ClusterActions(outbox, C)
    actions.note_decided("node 1 is to have the vote")
    actions.note_waiting("the vote waits")
    actions.note_ledger("no node can be given a vote")
    notes = [effect for effect in outbox.take() if isinstance(effect, Note)]
    assert [(note.level, note.kind) for note in notes] == [
        (Level.INFO, NoteKind.DECIDED),
        (Level.INFO, NoteKind.HELD_BACK),
        (Level.ERROR, NoteKind.LEDGER),
    ]
    assert {note.cluster for note in notes} == {C}
