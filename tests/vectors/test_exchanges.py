"""What stock corosync-qnetd answers to one client, message by message, and what we answer: the same bytes, but for the table below."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from tests.vectors.reader import Exchange, exchanges
from thirdvote.arbiter.arbiter import Arbiter
from thirdvote.arbiter.interface import Close, Connected, Received, Send
from thirdvote.config import Settings
from thirdvote.domain import Algorithm, ClusterName, Handover, NodeId, RingId, TieBreaker, TieBreakerMode, TlsSupport
from thirdvote.errors import ReplyCode
from thirdvote.wire.codec import decode, encode
from thirdvote.wire.messages import Init, InitReply, MessageType, Preinit, ServerError

NOW = 1_000.0
SETTINGS = Settings(handover=Handover.STOCK, tls=TlsSupport.UNSUPPORTED, test_algorithm=True)
EXCHANGES = {exchange.name: exchange for exchange in exchanges()}


@dataclass(frozen=True)
class Difference:
    """What we do instead of the last answer of an exchange, and why."""

    answers: tuple[bytes, ...]
    closes: bool
    why: str


DIFFERENCES = {
    "unknown type with empty body: error code 0": Difference(
        (encode(ServerError(error_code=ReplyCode.UNSUPPORTED_MESSAGE)),),
        closes=False,
        why="S23: the stock server reports an unsupported message as error 0, which is no error, when the message has no body",
    ),
    "starttls when server TLS is off: connection closed": Difference(
        (encode(ServerError(2, ReplyCode.UNEXPECTED_MESSAGE)),),
        closes=True,
        why="S29: the stock server closes without a word; a node's log should be able to say why",
    ),
}


class Conversation:
    """One connection to an arbiter in memory."""

    def __init__(self, arbiter: Arbiter, connection: int) -> None:
        self.arbiter, self.connection = arbiter, connection
        self.closed = False
        arbiter.step(Connected(connection, "192.0.2.1:40122"), NOW)

    def say(self, data: bytes) -> tuple[bytes, ...]:
        effects = self.arbiter.step(Received(self.connection, data), NOW)
        self.closed |= Close in map(type, effects)
        return tuple(effect.data for effect in effects if isinstance(effect, Send))


def arbiter_for(exchange: Exchange, settings: Settings = SETTINGS) -> Arbiter:
    """Some exchanges are about a second node of the cluster "dup", whose first one is connected."""
    arbiter = Arbiter(settings)
    if encode(Preinit(1, ClusterName(b"dup"))) == exchange.steps[0].client:
        first = Conversation(arbiter, 1)
        first.say(encode(Preinit(1, ClusterName(b"dup"))))
        tie_breaker, ring_id = TieBreaker(TieBreakerMode.LOWEST), RingId(NodeId(1), 1)
        first.say(encode(Init(2, None, None, NodeId(1), Algorithm.FFSPLIT, 8_000, tie_breaker, ring_id)))
    return arbiter


@pytest.mark.parametrize("name", sorted(EXCHANGES.keys() - DIFFERENCES.keys()))
def test_answers_are_those_of_the_stock_server(name: str) -> None:
    exchange = EXCHANGES[name]
    conversation = Conversation(arbiter_for(exchange), 2)
    for number, step in enumerate(exchange.steps, start=1):
        assert conversation.say(step.client) == step.server, f"step {number}"
    assert conversation.closed == exchange.server_closed


@pytest.mark.parametrize("name", sorted(DIFFERENCES))
def test_a_defect_is_not_copied(name: str) -> None:
    exchange, difference = EXCHANGES[name], DIFFERENCES[name]
    conversation = Conversation(arbiter_for(exchange), 2)
    *before, last = exchange.steps
    for step in before:
        assert conversation.say(step.client) == step.server
    assert difference.answers != last.server, "no difference any more: take it out of the table"
    assert conversation.say(last.client) == difference.answers, difference.why
    assert conversation.closed == difference.closes


def test_the_test_algorithm_is_refused_unless_it_is_allowed() -> None:
    """S27: with the stock server any client can choose `test`, and has the vote always."""
    exchange = EXCHANGES["test algorithm: everything"]
    conversation = Conversation(arbiter_for(exchange, replace(SETTINGS, test_algorithm=False)), 2)
    preinit, init, *_ = exchange.steps
    assert conversation.say(preinit.client) == preinit.server
    (answer,) = conversation.say(init.client)
    message = decode(MessageType.INIT_REPLY, answer[6:])
    assert isinstance(message, InitReply)
    assert message.error_code == ReplyCode.UNSUPPORTED_ALGORITHM


@pytest.mark.parametrize("name", sorted(EXCHANGES.keys() - DIFFERENCES.keys()))
def test_answers_do_not_depend_on_how_the_bytes_come(name: str) -> None:
    exchange = EXCHANGES[name]
    conversation = Conversation(arbiter_for(exchange), 2)
    for step in exchange.steps:
        pieces = [step.client[start : start + 7] for start in range(0, len(step.client), 7)]
        assert tuple(answer for piece in pieces for answer in conversation.say(piece)) == step.server


def test_every_exchange_is_replayed() -> None:
    assert len(EXCHANGES) == 109
    assert DIFFERENCES.keys() < EXCHANGES.keys()
