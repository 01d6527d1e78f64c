from __future__ import annotations

from random import Random

import pytest

from thirdvote.sim.engine import Engine
from thirdvote.sim.network import Connection, Endpoint, Kind, Network

NODE, SERVER = 1, 0


class End:
    """One end of a connection, or a listener: writes down what comes."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.seen: list[tuple[float, Kind | str, bytes]] = []
        self.is_listening = True

    def listening(self) -> bool:
        return self.is_listening

    def accept(self, connection: Connection) -> Endpoint:
        return self

    def arrived(self, connection: Connection, kind: Kind, data: bytes) -> None:
        self.seen.append((self.engine.now, kind, data))

    def reset(self, connection: Connection) -> None:
        self.seen.append((self.engine.now, "reset", b""))

    @property
    def data(self) -> list[bytes]:
        return [data for _, _, data in self.seen]


class Wire:
    """A node and its server, connected."""

    def __init__(self, latency_s: float = 0.01) -> None:
        self.engine = Engine()
        self.network = Network(self.engine, Random(1), latency_s)
        self.server, self.client = End(self.engine), End(self.engine)
        self.network.listener = self.server
        self.network.powered.update((NODE, SERVER))
        self.connection = self.network.open(NODE)
        self.connection.client = self.client

    def cut(self) -> None:
        self.network.split(((NODE,), (SERVER,)))


@pytest.fixture
def wire() -> Wire:
    return Wire()


def test_what_is_sent_arrives_in_order(wire: Wire) -> None:
    for number in range(20):
        wire.connection.up.send(Kind.DATA, bytes([number]))
    wire.engine.run(1.0)
    assert wire.server.data == [bytes([number]) for number in range(20)]
    assert 0.0 < wire.server.seen[0][0] <= 0.01


def test_a_split_is_between_its_sides_only(wire: Wire) -> None:
    wire.network.powered.update((2, 3))
    wire.network.split(((1,), (2, 0)))
    assert not wire.network.up(1, 2)
    assert not wire.network.both_ways(0, 1)
    assert wire.network.up(2, 0)
    assert wire.network.up(3, 1), "a host on no side hears all"
    wire.network.heal()
    assert wire.network.up(1, 2)


def test_loss_can_be_one_way(wire: Wire) -> None:
    wire.network.lose(NODE, SERVER)
    assert not wire.network.up(NODE, SERVER)
    assert wire.network.up(SERVER, NODE)


def test_what_a_broken_link_holds_up_comes_after_it_is_whole_in_order(wire: Wire) -> None:
    wire.cut()
    wire.connection.up.send(Kind.DATA, b"1")
    wire.connection.up.send(Kind.DATA, b"2")
    wire.engine.run(2.0)
    assert wire.server.seen == []
    wire.network.heal()
    wire.connection.up.send(Kind.DATA, b"3")
    wire.engine.run(6.0)
    assert wire.server.data == [b"1", b"2", b"3"]
    assert 2.0 < wire.server.seen[0][0] < 4.0, "the tries come at 0.2, 0.6, 1.4, 3.0 s"


def test_delay_is_added(wire: Wire) -> None:
    wire.network.delay(NODE, SERVER, 0.5)
    wire.connection.down.send(Kind.DATA, b"x")
    wire.engine.run(1.0)
    assert wire.client.seen[0][0] > 0.5


def test_the_end_arrives_behind_the_data_and_what_comes_later_is_reset(wire: Wire) -> None:
    wire.connection.up.send(Kind.DATA, b"last words")
    wire.connection.close_client(Kind.GOODBYE)
    wire.connection.down.send(Kind.DATA, b"too late")
    wire.engine.run(1.0)
    assert [kind for _, kind, _ in wire.server.seen] == [Kind.DATA, Kind.GOODBYE, "reset"]
    assert wire.client.seen == []


def test_a_lost_host_tells_nobody_and_answers_with_a_reset_when_it_is_back(wire: Wire) -> None:
    wire.network.switch_off(SERVER)
    wire.connection.up.send(Kind.DATA, b"echo")
    wire.engine.run(1.0)
    assert wire.client.seen == []
    wire.network.switch_on(SERVER)
    wire.engine.run(5.0)
    assert [kind for _, kind, _ in wire.client.seen] == ["reset"]


def test_a_reset_is_sent_once(wire: Wire) -> None:
    wire.cut()
    wire.connection.abort_client()
    wire.network.heal()
    wire.engine.run(60.0)
    assert wire.server.seen == []


def test_acknowledgements_are_known_when_they_can_be(wire: Wire) -> None:
    assert wire.connection.all_acknowledged()
    wire.connection.down.send(Kind.DATA, b"x")
    assert not wire.connection.all_acknowledged(), "it is under way"
    wire.engine.run(1.0)
    assert wire.connection.all_acknowledged()
    wire.network.lose(NODE, SERVER)
    wire.connection.down.send(Kind.DATA, b"y")
    wire.engine.run(2.0)
    assert wire.client.data == [b"x", b"y"]
    assert not wire.connection.all_acknowledged(), "it is there, but nobody can say so"


def test_dialling_tries_again_and_a_refusal_is_told(wire: Wire) -> None:
    outcomes: list[tuple[float, bool]] = []
    wire.cut()
    wire.network.dial(NODE, lambda connection: outcomes.append((wire.engine.now, connection is not None)))
    wire.engine.run(0.5)
    wire.network.heal()
    wire.engine.run(2.0)
    assert len(outcomes) == 1
    assert outcomes[0][1]
    assert 1.0 < outcomes[0][0] < 1.1

    wire.server.is_listening = False
    wire.network.dial(NODE, lambda connection: outcomes.append((wire.engine.now, connection is not None)))
    wire.engine.run(3.0)
    assert [made for _, made in outcomes] == [True, False]
