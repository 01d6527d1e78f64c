"""The whole server core under any bytes, on several connections of two clusters, while a third cluster minds its own business.

What must hold: no step raises; what a step sends is bounded by what it was given; nothing is sent to the bystander but
answers to its own messages; and it keeps its votes. Everybody's place is fixed: a connection is one node of one cluster as
long as it lives, and of none afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from zlib import crc32

from tests.fuzz.mutate import chunks
from tests.fuzz.script import SLOTS, Action, Record, Script, mutant, parse, seeds
from thirdvote.arbiter.arbiter import Arbiter
from thirdvote.arbiter.interface import (
    Close,
    Connected,
    Disconnected,
    Effect,
    Elapsed,
    Ending,
    Input,
    Inspect,
    Inspected,
    Note,
    Persist,
    Persisted,
    Received,
    Secured,
    Send,
    StartTls,
    Stopping,
)
from thirdvote.config import Settings
from thirdvote.domain import Algorithm, ClusterName, NodeId, NodeInfo, NodeListType, RingId, TieBreaker, TieBreakerMode, TlsSupport
from thirdvote.wire.codec import HEADER, encode
from thirdvote.wire.messages import EchoReply, EchoRequest, Init, Message, NodeList, Preinit, VoteInfoReply
from thirdvote.wire.messages import StartTls as StartTlsMessage

__all__ = ["mutant", "seeds", "target"]

BYSTANDER = ClusterName(b"the bystander \x00 a name that no damage to bytes makes up")
BYSTANDER_HEARTBEAT_S = 8.0
ECHO = EchoRequest(bytes.fromhex("0000 0004 00000007"))

EFFECTS_PER_MESSAGE = 4 * SLOTS + 8
"""A message may have each node of its cluster told its vote, with a note each, besides its own reply and notes."""
BYTES_PER_EFFECT = 200
"""The longest message that is not an echo is an INIT_REPLY, 140 bytes."""
CHARACTERS_PER_NOTE = 500
"""A sentence, beside what it says of the node's own bytes."""


def target(data: bytes) -> None:
    script = parse(data)
    world = _World(_settings(script.settings))
    world.join_bystander()
    for record in script.records:
        world.play(record)
        world.check_identities()
    world.check_bystander()
    world.stop()


def _settings(number: int) -> Settings:
    handed_out = Settings(late_answers=False)  # the bystander is to be answered at once
    limits = replace(handed_out.limits, clusters=2 if number & 16 else handed_out.limits.clusters, dead_peer_enabled=not number & 32)
    return replace(
        handed_out,
        tls=TlsSupport(number % 3),
        test_algorithm=bool(number & 4),
        client_certificate=not number & 8,
        limits=limits,
    )


@dataclass
class _World:
    """Does what the shell around the arbiter does, and looks at everything that the arbiter wants done."""

    settings: Settings
    now: float = 1_000.0
    slots: dict[int, int] = field(default_factory=dict)
    opened: set[int] = field(default_factory=set)
    in_handshake: set[int] = field(default_factory=set)
    unread: dict[int, int] = field(default_factory=dict)
    places: dict[int, tuple[ClusterName, NodeId]] = field(default_factory=dict)
    bystanders: tuple[int, ...] = ()
    last_number: int = 0
    bystander_echo_at: float = 0.0

    def __post_init__(self) -> None:
        self.arbiter = Arbiter(self.settings)

    # ---- what happens

    def play(self, record: Record) -> None:
        connection = self.slots.get(record.slot)
        match record.action:
            case Action.RECEIVE:
                self.receive(record.slot, record.payload)
            case Action.RECEIVE_IN_PIECES:
                for piece in chunks(Random(crc32(record.payload)), record.payload):
                    self.receive(record.slot, piece)
            case Action.DISCONNECT if connection is not None:
                self.step(Disconnected(connection, Ending.GOODBYE if record.payload else Ending.CLOSED, "fuzz"))
                self.forget(connection)
            case Action.SECURE if connection in self.in_handshake:
                assert connection is not None
                self.in_handshake.discard(connection)
                self.step(Secured(connection, (record.payload,)))
            case Action.WAIT:
                self.wait((record.payload[0] if record.payload else 1) / 8)
            case _:
                pass

    def receive(self, slot: int, data: bytes) -> None:
        connection = self.slots.get(slot)
        if connection is None:
            connection = self.slots[slot] = self.connect(f"192.0.2.{slot}:4000")
        self.step(Received(connection, data))

    def connect(self, address: str) -> int:
        self.last_number += 1
        self.opened.add(self.last_number)
        self.step(Connected(self.last_number, address))
        return self.last_number

    def wait(self, seconds: float) -> None:
        """Every deadline comes at its time, and the bystander sends its echo at each of its heartbeats."""
        end = self.now + seconds
        while True:
            deadline = self.arbiter.deadline()
            next_time = min(end, self.bystander_echo_at, end if deadline is None else deadline)
            self.now = max(self.now, next_time)
            if self.now >= self.bystander_echo_at:
                self.echo_of_bystander()
            elif deadline is not None and deadline <= self.now:
                self.step(Elapsed())
                again = self.arbiter.deadline()
                assert again is None or again > self.now, "the deadline that was served is asked for again"
            else:
                return

    def stop(self) -> None:
        effects = self.arbiter.step(Stopping(), self.now)
        closed = [effect.connection for effect in effects if isinstance(effect, Close)]
        assert sorted(closed) == sorted(self.opened), "stopping closes each connection once"
        assert self.arbiter.counts() == (0, 0)

    # ---- the bystander

    def join_bystander(self) -> None:
        self.bystanders = (self.connect("198.51.100.1:4000"), self.connect("198.51.100.2:4000"))
        nodes = tuple(NodeInfo(NodeId(number)) for number in (1, 2))
        for number, connection in enumerate(self.bystanders, start=1):
            self.say(connection, Preinit(1, BYSTANDER))
            if self.settings.tls is not TlsSupport.UNSUPPORTED:
                self.say(connection, StartTlsMessage(2))
                self.step(Secured(connection, (BYSTANDER,)))
            ring, tie_breaker = RingId(NodeId(1), 9), TieBreaker(TieBreakerMode.LOWEST)
            self.say(connection, Init(3, (), (), NodeId(number), Algorithm.FFSPLIT, int(BYSTANDER_HEARTBEAT_S * 1000), tie_breaker, ring))
            self.say(connection, NodeList(4, NodeListType.INITIAL_CONFIG, nodes=nodes))
            self.say(connection, NodeList(5, NodeListType.MEMBERSHIP, ring_id=ring, nodes=nodes))
        self.echo_of_bystander()

    def say(self, connection: int, message: Message) -> None:
        """A well-behaved node answers each VOTE_INFO; one that was told twice has answered twice."""
        self.step(Received(connection, encode(message)))
        if isinstance(message, NodeList) and message.list_type is NodeListType.MEMBERSHIP:
            for node in self.bystanders:
                for number in range(1, 4):
                    self.step(Received(node, encode(VoteInfoReply(number))))

    def echo_of_bystander(self) -> None:
        for connection in self.bystanders:
            effects = self.arbiter.step(Received(connection, encode(ECHO)), self.now)
            assert effects == [Send(connection, encode(EchoReply(ECHO.body)))], "the bystander's echo is answered, and nothing else happens"
        self.bystander_echo_at = self.now + BYSTANDER_HEARTBEAT_S

    def check_bystander(self) -> None:
        self.echo_of_bystander()
        snapshot = self.arbiter.snapshot(self.now)
        assert snapshot.connections == len(self.opened)
        (cluster,) = (cluster for cluster in snapshot.clusters if cluster.name == BYSTANDER)
        assert [node.has_vote for node in cluster.nodes] == [True, True], "the bystander keeps its votes"

    # ---- what is wanted

    def check_identities(self) -> None:
        clusters = self.arbiter.snapshot(self.now).clusters
        places = [(node.connection, (cluster.name, node.node_id)) for cluster in clusters for node in cluster.nodes]
        now = dict(places)
        assert len(now) == len(set(now.values())) == len(places), "one connection is one node"
        assert now.keys() <= self.opened, "a node is there only as long as its connection"
        before = {connection: place for connection, place in self.places.items() if connection in self.opened}
        assert before.items() <= now.items(), "a connection stays the node that it joined as"
        self.places = now

    def step(self, event: Input) -> None:
        effects = self.arbiter.step(event, self.now)
        self.check_bounds(event, effects)
        at_work = event.connection if isinstance(event, Connected | Received | Secured | Disconnected) else 0
        for effect in effects:
            if isinstance(effect, Send | StartTls | Close):
                assert effect.connection in self.opened, "an effect is for a connection that is there"
                about_bystander = isinstance(event, Persisted) or at_work in self.bystanders
                assert about_bystander or effect.connection not in self.bystanders, "the bystander is left alone"
            if isinstance(effect, Note) and effect.connection in self.places and effect.node is not None:
                assert (effect.cluster, effect.node) == self.places[effect.connection], "what is told of a node is told under its name"
            if isinstance(effect, StartTls):
                self.in_handshake.add(effect.connection)
        for effect in effects:
            if isinstance(effect, Close):
                self.forget(effect.connection)
        for effect in effects:
            if isinstance(effect, Persist):
                self.step(Persisted((effect.ticket,)))
            elif isinstance(effect, Inspect):
                self.step(Inspected(effect.connection, acknowledged=False))

    def check_bounds(self, event: Input, effects: list[Effect]) -> None:
        received = 0
        if isinstance(event, Received):
            waiting = self.unread.get(event.connection, 0) + len(event.data)
            self.unread[event.connection] = min(waiting, self.settings.limits.receive_size)
            received = waiting
        messages = 1 + len(event.data) // HEADER.size if isinstance(event, Received) else len(self.opened) + 1
        sent = sum(len(effect.data) for effect in effects if isinstance(effect, Send))
        said = sum(len(effect.text) for effect in effects if isinstance(effect, Note))
        assert len(effects) <= messages * EFFECTS_PER_MESSAGE, "a step wants too much done"
        assert sent <= received + messages * EFFECTS_PER_MESSAGE * BYTES_PER_EFFECT, "a step sends too much"
        assert said <= 4 * received + messages * EFFECTS_PER_MESSAGE * CHARACTERS_PER_NOTE, "a step says too much"

    def forget(self, connection: int) -> None:
        """Closed from either side; the number never comes again."""
        self.opened.discard(connection)
        self.in_handshake.discard(connection)
        self.unread.pop(connection, None)
        self.slots = {slot: number for slot, number in self.slots.items() if number != connection}


def replay(script: Script) -> None:
    """For a person with a failure at hand: the steps one by one."""
    world = _World(_settings(script.settings))
    world.join_bystander()
    for record in script.records:
        print(f"{record.action.name} slot {record.slot}: {record.payload.hex()}")
        world.play(record)
