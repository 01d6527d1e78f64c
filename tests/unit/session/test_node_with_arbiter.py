"""Both ends of the protocol as a pair in memory: node sessions and the arbiter, with the bytes cut anywhere."""

from __future__ import annotations

import pytest

from thirdvote.arbiter import interface
from thirdvote.arbiter.arbiter import Arbiter
from thirdvote.config import Settings
from thirdvote.domain import Algorithm, ClusterName, Heuristics, NodeId, NodeInfo, RingId, TieBreaker, TieBreakerMode, TlsSupport, Vote
from thirdvote.session.node import BeginTls, Close, Connected, Identity, NodeSession, Output, Send, Standing
from thirdvote.session.node_rules import Cause, State, TlsWish

NAME = ClusterName(b"pair")


def ring(node_id: int, sequence: int) -> RingId:
    return RingId(NodeId(node_id), sequence)


def infos(*ids: int) -> tuple[NodeInfo, ...]:
    return tuple(NodeInfo(NodeId(number)) for number in ids)


class Pair:
    """An arbiter and any number of nodes; every byte string is handed over in pieces of `piece` bytes."""

    def __init__(self, settings: Settings, piece: int = 1 << 16) -> None:
        self.arbiter = Arbiter(settings)
        self.piece = piece
        self.now = 0.0
        self.nodes: dict[int, NodeSession] = {}
        self.closed: dict[int, str] = {}
        self.written: list[int] = []
        self.silent: tuple[int, ...] = ()

    def connect(self, node_id: int, *config: int, algorithm: Algorithm = Algorithm.FFSPLIT, tls: TlsWish = TlsWish.ON) -> NodeSession:
        identity = Identity(NAME, NodeId(node_id), algorithm, TieBreaker(TieBreakerMode.LOWEST), tls=tls)
        members = infos(*config)
        session = NodeSession(identity, Standing(ring(1, 1), members, members, members, quorate=True), self.now)
        self.nodes[node_id] = session
        self.step(interface.Connected(node_id, f"192.0.2.{node_id}:1"))
        self.act(node_id, session.start())
        return session

    def step(self, event: interface.Input) -> None:
        for effect in self.arbiter.step(event, self.now):
            match effect:
                case interface.Send(connection, data) if connection not in self.silent:
                    for piece in self.pieces(data):
                        self.act(connection, self.nodes[connection].receive(piece, self.now))
                case interface.StartTls(connection):
                    self.step(interface.Secured(connection, (bytes(NAME),)))
                    self.act(connection, self.nodes[connection].secured())
                case interface.Close(connection, reason):
                    self.closed[connection] = reason
                    self.nodes[connection].lost(Cause.END_OF_STREAM, reason)
                case interface.Persist(ticket):
                    self.written.append(ticket)
        while self.written:
            self.step(interface.Persisted((self.written.pop(0),)))

    def act(self, node_id: int, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Send(data):
                    for piece in self.pieces(data):
                        self.step(interface.Received(node_id, piece))
                case Connected():
                    self.act(node_id, self.nodes[node_id].introduce())
                case Close(_, _, reason):
                    self.step(interface.Disconnected(node_id, interface.Ending.GOODBYE, reason))
                case BeginTls(early):
                    assert early == b""

    def pieces(self, data: bytes) -> list[bytes]:
        return [data[start : start + self.piece] for start in range(0, len(data), self.piece)]

    def membership(self, sequence: int, *partition: int) -> None:
        """The nodes of `partition` form a ring of their own."""
        for node_id in partition:
            outputs = self.nodes[node_id].membership_changed(ring(partition[0], sequence), infos(*partition), Heuristics.UNDEFINED)
            self.act(node_id, outputs)

    def loses_quorum(self, node_id: int) -> None:
        """Its Corosync says so, once it has heard that the vote is gone."""
        node = self.nodes[node_id]
        self.act(node_id, node.quorum_changed(node.standing.members, quorate=False))

    def pass_time(self, seconds: float, *silent: int) -> None:
        """Lets every deadline of the arbiter and of the nodes that are not `silent` come up at its time."""
        end = self.now + seconds
        self.silent = silent
        while True:
            nodes = {node_id: node.deadline() for node_id, node in self.nodes.items() if node_id not in silent}
            due = [deadline for deadline in (*nodes.values(), self.arbiter.deadline()) if deadline is not None and deadline <= end]
            if not due:
                break
            self.now = max(self.now, min(due))
            for node_id in nodes:
                self.act(node_id, self.nodes[node_id].elapsed(self.now))
            self.step(interface.Elapsed())
        self.now = end

    def votes(self) -> dict[int, Vote]:
        return {node_id: node.vote for node_id, node in self.nodes.items()}


PLAIN = Settings(tls=TlsSupport.UNSUPPORTED)
SECURE = Settings(tls=TlsSupport.REQUIRED)


@pytest.fixture(params=[1, 7, 1 << 16], ids=lambda size: f"pieces of {size}")
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(PLAIN, request.param)


def test_two_nodes_join_split_and_heal(pair: Pair) -> None:
    pair.connect(1, 1, 2)
    pair.connect(2, 1, 2)
    assert pair.votes() == {1: Vote.ACK, 2: Vote.ACK}
    pair.pass_time(10)
    pair.membership(5, 2)
    pair.membership(5, 1)
    assert pair.votes() == {1: Vote.WAIT_FOR_REPLY, 2: Vote.NACK}
    pair.loses_quorum(2)
    assert pair.votes() == {1: Vote.ACK, 2: Vote.NACK}
    pair.membership(9, 1, 2)
    assert pair.votes() == {1: Vote.ACK, 2: Vote.ACK}


def test_the_survivor_of_two_gets_the_vote(pair: Pair) -> None:
    pair.connect(1, 1, 2)
    pair.connect(2, 1, 2)
    pair.membership(5, 2)
    pair.act(1, pair.nodes[1].lost(Cause.END_OF_STREAM, "switched off"))
    pair.pass_time(1.1, 1)
    assert pair.nodes[2].vote is Vote.ACK


@pytest.mark.parametrize("algorithm", [Algorithm.LMS, Algorithm.TWO_NODE_LMS])
def test_the_other_algorithms_give_both_nodes_the_vote(pair: Pair, algorithm: Algorithm) -> None:
    pair.connect(1, 1, 2, algorithm=algorithm)
    pair.connect(2, 1, 2, algorithm=algorithm)
    assert pair.votes() == {1: Vote.ACK, 2: Vote.ACK}


def test_over_tls() -> None:
    pair = Pair(SECURE)
    session = pair.connect(1, 1)
    assert session.state is State.RUNNING
    assert session.last_number == 7


def test_a_server_that_requires_tls_and_a_node_that_has_none_part() -> None:
    pair = Pair(SECURE)
    assert pair.connect(1, 1, tls=TlsWish.OFF).state is State.CLOSED


def test_a_node_id_in_use_is_refused() -> None:
    pair = Pair(PLAIN)
    pair.connect(1, 1, 2)
    twin = NodeSession(pair.nodes[1].identity, pair.nodes[1].standing, 0.0)
    pair.nodes[9] = twin
    pair.step(interface.Connected(9, "192.0.2.9:1"))
    pair.act(9, twin.start())
    assert twin.state is State.CLOSED
    assert pair.nodes[1].state is State.RUNNING


def test_echoes_keep_the_connection_and_silence_ends_it() -> None:
    pair = Pair(PLAIN)
    pair.connect(1, 1, 2)
    pair.connect(2, 1, 2)
    pair.pass_time(600.0)
    assert pair.closed == {}
    pair.pass_time(12.0, 2)
    assert list(pair.closed) == [2]
    assert pair.nodes[1].state is State.RUNNING
