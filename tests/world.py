"""An arbiter in memory with nodes that a test speaks for, message by message; time stands still unless it is moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from thirdvote.arbiter.arbiter import Arbiter
from thirdvote.arbiter.cluster import SayTime
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
    NoteKind,
    Persist,
    Persisted,
    Received,
    Secured,
    Send,
    StartTls,
)
from thirdvote.arbiter.record import ClusterRecord, HolderRecord, Past
from thirdvote.arbiter.snapshot import ClusterSnapshot
from thirdvote.config import Settings
from thirdvote.domain import (
    Algorithm,
    ClusterName,
    Handover,
    Heuristics,
    NodeId,
    NodeInfo,
    NodeListType,
    RingId,
    TieBreaker,
    TieBreakerMode,
    TlsSupport,
    Vote,
)
from thirdvote.wire.codec import decode, encode
from thirdvote.wire.framing import Frame, FrameReader
from thirdvote.wire.messages import (
    AskForVote,
    EchoRequest,
    HeuristicsChange,
    Init,
    Message,
    NodeList,
    Preinit,
    SetOption,
    VoteInfo,
    VoteInfoReply,
)

LOWEST = TieBreaker(TieBreakerMode.LOWEST)
HIGHEST = TieBreaker(TieBreakerMode.HIGHEST)
PLAIN = Settings(tls=TlsSupport.UNSUPPORTED, handover=Handover.STOCK)
"""As the stock server decides; `SAFE` is the default of `thirdvote serve`."""
SAFE = Settings(tls=TlsSupport.UNSUPPORTED)


ECHO_S = 2.0


def record(*ids: int, partition: tuple[int, ...] = (), heartbeat_ms: int = 8000, algorithm: Algorithm = Algorithm.FFSPLIT) -> ClusterRecord:
    """`partition` is that of the holders, unless said."""
    holders = tuple(HolderRecord(NodeId(number), heartbeat_ms) for number in ids)
    return ClusterRecord(algorithm, frozenset(map(NodeId, partition or ids)), holders)


def ring(node_id: int, sequence: int) -> RingId:
    return RingId(NodeId(node_id), sequence)


def infos(*ids: int) -> tuple[NodeInfo, ...]:
    return tuple(NodeInfo(NodeId(number)) for number in ids)


def messages_in(data: bytes) -> Iterator[Message]:
    reader = FrameReader(1 << 24)
    reader.feed(data)
    while (frame := reader.next()) is not None:
        assert isinstance(frame, Frame)
        yield decode(frame.type, frame.body)


class Client:
    """One connection. `heard` is all that came and was not yet taken; VOTE_INFOs are answered unless `answers` is False;
    then `acknowledges` tells whether its kernel still has what it is sent."""

    def __init__(self, world: World, connection: int, cluster: bytes) -> None:
        self.world, self.connection, self.cluster = world, connection, cluster
        self.heard: list[Message] = []
        self.answers = True
        self.acknowledges = False
        self.number = 0
        self.closed: str | None = None
        self.tls_began = False
        self.effective: Vote | None = None

    def send(self, *messages: Message) -> list[Message]:
        """Returns what this client heard by it, in order."""
        self.world.step(Received(self.connection, b"".join(encode(message) for message in messages)))
        return self.take()

    def send_bytes(self, data: bytes) -> list[Message]:
        self.world.step(Received(self.connection, data))
        return self.take()

    def take(self) -> list[Message]:
        heard, self.heard = self.heard, []
        return heard

    def hear(self, data: bytes) -> None:
        for message in messages_in(data):
            self.heard.append(message)
            vote = getattr(message, "vote", None)
            if vote is not None and vote is not Vote.NO_CHANGE:
                self.effective = vote
            if isinstance(message, VoteInfo) and self.answers:
                self.world.later(Received(self.connection, encode(VoteInfoReply(message.sequence_number))))

    def next_number(self) -> int:
        self.number += 1
        return self.number

    def preinit(self) -> list[Message]:
        return self.send(Preinit(self.next_number(), ClusterName(self.cluster)))

    def init(
        self,
        node_id: int,
        algorithm: Algorithm = Algorithm.FFSPLIT,
        tie_breaker: TieBreaker = LOWEST,
        ring_id: RingId | None = None,
        heartbeat_ms: int = 8000,
    ) -> list[Message]:
        ring_id = ring_id or ring(node_id, 1)
        return self.send(Init(self.next_number(), (), (), NodeId(node_id), algorithm, heartbeat_ms, tie_breaker, ring_id))

    def config(self, *ids: int, changed: bool = False, version: int | None = None) -> list[Message]:
        kind = NodeListType.CHANGED_CONFIG if changed else NodeListType.INITIAL_CONFIG
        return self.send(NodeList(self.next_number(), kind, config_version=version, nodes=infos(*ids)))

    def membership(self, ring_id: RingId, *ids: int, heuristics: Heuristics | None = None) -> list[Message]:
        return self.send(NodeList(self.next_number(), NodeListType.MEMBERSHIP, ring_id=ring_id, nodes=infos(*ids), heuristics=heuristics))

    def quorum(self, *ids: int, quorate: bool = True) -> list[Message]:
        return self.send(NodeList(self.next_number(), NodeListType.QUORUM, quorate=quorate, nodes=infos(*ids)))

    def heuristics(self, value: Heuristics) -> list[Message]:
        return self.send(HeuristicsChange(self.next_number(), value))

    def ask(self) -> list[Message]:
        return self.send(AskForVote(self.next_number()))

    def keep_active_partition(self, on: bool) -> list[Message]:
        return self.send(SetOption(self.next_number(), None, on))

    def echo(self) -> list[Message]:
        body = encode(VoteInfoReply(self.next_number()))[6:]
        return self.send(EchoRequest(body))

    def leave(self, ending: Ending = Ending.GOODBYE, *, delivered: bool = True) -> None:
        self.world.step(Disconnected(self.connection, ending, "end of stream", delivered))

    def unanswered(self) -> list[Message]:
        """The VOTE_INFOs among what it heard; for a client that does not answer by itself."""
        return [message for message in self.take() if isinstance(message, VoteInfo)]

    def answer(self, *messages: Message) -> list[Message]:
        """VOTE_INFOs that it has held back."""
        return self.send(*(VoteInfoReply(message.sequence_number) for message in messages))


class World:
    def __init__(self, settings: Settings = PLAIN, past: Past | None = None, say_time: SayTime = "{:.1f} s".format) -> None:
        """`ledger` is what the disk has: at once, or after `written`, where `disk_waits` is set meanwhile."""
        self.now = 1000.0
        self.arbiter = Arbiter(settings, past or Past(self.now), say_time)
        self.ledger: dict[ClusterName, ClusterRecord | None] = {}
        self.persists: list[Persist] = []
        self.disk_waits = False
        self.clients: dict[int, Client] = {}
        self.notes: list[Note] = []
        self._later: list[Input] = []

    def connect(self, cluster: bytes = b"c") -> Client:
        client = Client(self, len(self.clients) + 1, cluster)
        self.clients[client.connection] = client
        self.step(Connected(client.connection, f"192.0.2.{client.connection % 250}:4000"))
        return client

    def join(
        self, node_id: int, *config: int, cluster: bytes = b"c", algorithm: Algorithm = Algorithm.FFSPLIT, tie_breaker: TieBreaker = LOWEST
    ) -> Client:
        """A node that has passed INIT and, where `config` is given, sent that configuration list."""
        client = self.connect(cluster)
        client.preinit()
        client.init(node_id, algorithm, tie_breaker)
        if config:
            client.config(*config)
        return client

    def whole(self, *ids: int, algorithm: Algorithm = Algorithm.FFSPLIT, tie_breaker: TieBreaker = LOWEST) -> list[Client]:
        """A cluster in which all nodes are connected, in one ring, and have been told their votes."""
        clients = [self.join(number, *ids, algorithm=algorithm, tie_breaker=tie_breaker) for number in ids]
        for client in clients:
            client.membership(ring(ids[0], 10), *ids)
        for client in clients:
            client.take()
        return clients

    def settled(self, *ids: int, algorithm: Algorithm = Algorithm.FFSPLIT, tie_breaker: TieBreaker = LOWEST) -> list[Client]:
        """The same, long enough ago that every vote is in force, and each Corosync has told of its quorum; an echo came just now."""
        clients = self.whole(*ids, algorithm=algorithm, tie_breaker=tie_breaker)
        for client in clients:
            client.quorum(*ids)
        self.pass_time(12.0, *clients)
        for client in clients:
            client.echo()
            client.take()
        return clients

    def secure(self, client: Client, *names: bytes) -> None:
        self.step(Secured(client.connection, names))

    def later(self, event: Input) -> None:
        self._later.append(event)

    def step(self, event: Input) -> None:
        self.carry_out(self.arbiter.step(event, self.now))
        while self._later:
            self.carry_out(self.arbiter.step(self._later.pop(0), self.now))

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(connection, data):
                    self.clients[connection].hear(data)
                case StartTls(connection, _):
                    self.clients[connection].tls_began = True
                case Close(connection, reason):
                    self.clients[connection].closed = reason
                case Persist(ticket, cluster, record):
                    self.persists.append(effect)
                    if not self.disk_waits:
                        self.ledger[cluster] = record
                        self.later(Persisted((ticket,)))
                case Inspect(connection):
                    self.later(Inspected(connection, self.clients[connection].acknowledges))
                case Note():
                    self.notes.append(effect)

    def written(self, *persists: Persist, problem: str = "") -> None:
        """The disk has got to these."""
        if not problem:
            self.ledger.update({each.cluster: each.record for each in persists})
        self.step(Persisted(tuple(each.ticket for each in persists), problem))

    def pass_time(self, seconds: float, *echoing: Client) -> None:
        """Lets every deadline within `seconds` come up at its time; an echo comes of each of `echoing` every two seconds, now first."""
        while echoing and seconds > ECHO_S:
            self.pass_time(ECHO_S, *echoing)
            seconds -= ECHO_S
        for client in echoing:
            client.echo()
        end = self.now + seconds
        while (deadline := self.arbiter.deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.step(Elapsed())
        self.now = end

    def snapshot(self, cluster: bytes = b"c") -> ClusterSnapshot:
        found = self.arbiter.cluster_snapshot(ClusterName(cluster), self.now)
        assert found is not None
        return found

    def holders(self, cluster: bytes = b"c") -> list[int]:
        return [holder.node_id for holder in self.snapshot(cluster).holders]

    def waits_s(self, cluster: bytes = b"c") -> float | None:
        """For how long from now a decided vote waits at the most; None when no time is set, or it does not wait."""
        until = self.snapshot(cluster).waiting_until
        return None if until is None else until - self.now

    def said(self, kind: NoteKind) -> list[str]:
        return [note.text for note in self.notes if note.kind is kind]

    def votes(self, cluster: bytes = b"c") -> dict[int, Vote | None]:
        """What each connected node goes by."""
        snapshot = self.arbiter.cluster_snapshot(ClusterName(cluster), self.now)
        if snapshot is None:
            return {}
        return {node.node_id: self.clients[node.connection].effective for node in snapshot.nodes}


def split(settings: Settings = SAFE, algorithm: Algorithm = Algorithm.FFSPLIT) -> tuple[World, Client, Client]:
    """Both nodes have the vote, and have reported rings of their own; node 2, which lost, holds its answers back."""
    world = World(settings)
    one, two = world.settled(1, 2, algorithm=algorithm)
    two.answers = False
    two.membership(ring(2, 14), 2)
    one.membership(ring(1, 14), 1)
    return world, one, two


def settings_with(settings: Settings = PLAIN, **limits: object) -> Settings:
    return replace(settings, limits=replace(settings.limits, **limits))  # type: ignore[arg-type]
