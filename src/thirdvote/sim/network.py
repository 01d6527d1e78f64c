"""Links between hosts, and TCP connections over them.

A link is one direction between two hosts. A connection keeps the order of what is sent on it, and nothing keeps an order between two.
What a broken link holds up is sent again after 0.2 s, 0.4 s, 0.8 s and so on, as Linux does, so it arrives some time after the link is
whole again; it is lost only when one of the hosts loses its power. What arrives for a connection that is not there is answered by a
reset, which is sent once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto
from random import Random
from typing import Protocol

from thirdvote.sim.engine import Engine
from thirdvote.sim.schedule import ARBITRATOR

RETRANSMIT_S = 0.2
"""Linux's least; it doubles with each try."""

CONNECT_TRIES_S = (0.0, 1.0, 3.0, 7.0)
"""When Linux asks for a connection, as long as nobody answers."""


class Kind(Enum):
    """What a connection carries. The two hellos stand for the TLS handshake, which takes one round trip after STARTTLS."""

    DATA = auto()
    SERVER_HELLO = auto()
    CLIENT_FINISHED = auto()
    GOODBYE = auto()
    """TLS's close_notify, then the end."""
    END = auto()


class Endpoint(Protocol):
    """What a process or its host's kernel does with one end of a connection."""

    def arrived(self, connection: Connection, kind: Kind, data: bytes) -> None: ...
    def reset(self, connection: Connection) -> None: ...


class Listener(Protocol):
    def listening(self) -> bool: ...
    def accept(self, connection: Connection) -> Endpoint: ...


class Network:
    def __init__(self, engine: Engine, random: Random, latency_s: float) -> None:
        """`latency_s` is the most of one way. Hosts are without power at first."""
        self.engine = engine
        self.powered: set[int] = set()
        self.changed: Callable[[], None] = lambda: None
        self.listener: Listener | None = None
        self._random = random
        self._latency_s = latency_s
        self._split: frozenset[tuple[int, int]] = frozenset()
        self._lossy: set[tuple[int, int]] = set()
        self._delays: dict[tuple[int, int], float] = {}
        self._connections = 0
        self._open: dict[int, Connection] = {}

    # ---- links

    def up(self, source: int, target: int) -> bool:
        link = (source, target)
        powered = self.powered
        return source in powered and target in powered and link not in self._split and link not in self._lossy

    def both_ways(self, host: int, other: int) -> bool:
        return self.up(host, other) and self.up(other, host)

    def latency(self, source: int, target: int) -> float:
        base = self._latency_s * (0.2 + 0.8 * self._random.random())
        return base + self._delays.get((source, target), 0.0) if self._delays else base

    def split(self, sides: Iterable[Iterable[int]]) -> None:
        side_of = {host: number for number, side in enumerate(sides) for host in side}
        self._split = frozenset((source, target) for source in side_of for target in side_of if side_of[source] != side_of[target])
        self.changed()

    def lose(self, source: int, target: int) -> None:
        self._lossy.add((source, target))
        self.changed()

    def one_way(self) -> list[tuple[int, int]]:
        """Links that lose everything, while the other direction works."""
        return [(source, target) for source, target in self._lossy if self.up(target, source)]

    def delay(self, host: int, other: int, seconds: float) -> None:
        self._delays[host, other] = self._delays[other, host] = seconds

    def heal(self) -> None:
        self._lossy.clear()
        self._delays.clear()
        self.split(())

    def switch_on(self, host: int) -> None:
        self.powered.add(host)
        self.changed()

    def switch_off(self, host: int) -> None:
        """The host's connections are gone, and nobody is told."""
        self.powered.discard(host)
        for connection in list(self._open.values()):
            connection.lose_host(host)
        self.changed()

    # ---- connections

    def dial(self, host: int, outcome: Callable[[Connection | None], None]) -> Dialling:
        """To the arbitrator; `outcome` gets None when it refuses, and nothing when it can not be reached."""
        return Dialling(self, host, outcome)

    def open(self, host: int) -> Connection:
        assert self.listener is not None
        self._connections += 1
        connection = Connection(self, self._connections, host)
        self._open[connection.number] = connection
        connection.server = self.listener.accept(connection)
        return connection

    def forget(self, connection: Connection) -> None:
        self._open.pop(connection.number, None)


class Dialling:
    """One try to connect; `cancel` when the caller has lost its patience."""

    __slots__ = ("_cancelled", "_host", "_network", "_outcome")

    def __init__(self, network: Network, host: int, outcome: Callable[[Connection | None], None]) -> None:
        self._network = network
        self._host = host
        self._outcome = outcome
        self._cancelled = False
        for seconds in CONNECT_TRIES_S:
            if seconds:
                network.engine.after(seconds, self._ask)
        self._ask()

    def cancel(self) -> None:
        self._cancelled = True

    def _ask(self) -> None:
        network = self._network
        if not self._cancelled and network.both_ways(self._host, ARBITRATOR):
            round_trip = network.latency(self._host, ARBITRATOR) + network.latency(ARBITRATOR, self._host)
            network.engine.after(round_trip, self._answered)

    def _answered(self) -> None:
        network = self._network
        if self._cancelled or not network.both_ways(self._host, ARBITRATOR):
            return
        self._cancelled = True
        assert network.listener is not None
        self._outcome(network.open(self._host) if network.listener.listening() else None)


class Stream:
    """One direction of a connection: `sent` and `received` count what was put in and what the other host has."""

    __slots__ = ("acknowledged_at", "blocked", "connection", "last_arrival", "received", "retry_s", "sent", "source", "target")

    def __init__(self, connection: Connection, source: int, target: int) -> None:
        self.connection = connection
        self.source = source
        self.target = target
        self.last_arrival = 0.0
        self.sent = 0
        self.received = 0
        self.acknowledged_at = 0.0
        self.blocked: list[tuple[Kind, bytes]] = []
        self.retry_s = RETRANSMIT_S

    def send(self, kind: Kind, data: bytes = b"") -> None:
        network = self.connection.network
        self.sent += 1
        arrival = network.engine.now + network.latency(self.source, self.target)
        self.last_arrival = max(arrival, self.last_arrival)
        network.engine.at(self.last_arrival, lambda: self._arrive(kind, data))

    def _arrive(self, kind: Kind, data: bytes) -> None:
        if self.connection.dead:
            return
        if self.blocked:
            self.blocked.append((kind, data))
        elif self.connection.network.up(self.source, self.target):
            self._deliver(kind, data)
        else:
            self.blocked.append((kind, data))
            self.retry_s = RETRANSMIT_S
            self.connection.network.engine.after(self.retry_s, self._retry)

    def _retry(self) -> None:
        network = self.connection.network
        if self.connection.dead:
            return
        if not network.up(self.source, self.target):
            self.retry_s *= 2
            network.engine.after(self.retry_s, self._retry)
            return
        waiting, self.blocked = self.blocked, []
        for kind, data in waiting:
            self._deliver(kind, data)

    def _deliver(self, kind: Kind, data: bytes) -> None:
        self.received += 1
        connection, network = self.connection, self.connection.network
        if network.up(self.target, self.source):
            self.acknowledged_at = network.engine.now + network.latency(self.target, self.source)
        else:
            self.acknowledged_at = float("inf")
        connection.deliver(self.target, kind, data)


class Connection:
    """From a node's host to the arbitrator's. An end that is None is not there any more, though its kernel may still be sending.
    `end_arrived`: the arbitrator's host was told by the node's that its end is gone.
    """

    __slots__ = ("client", "dead", "down", "end_arrived", "host", "network", "number", "server", "up")

    def __init__(self, network: Network, number: int, host: int) -> None:
        self.network = network
        self.number = number
        self.host = host
        self.client: Endpoint | None = None
        self.server: Endpoint | None = None
        self.up = Stream(self, host, ARBITRATOR)
        self.down = Stream(self, ARBITRATOR, host)
        self.dead = False
        self.end_arrived = False

    def deliver(self, target: int, kind: Kind, data: bytes) -> None:
        endpoint = self.server if target == ARBITRATOR else self.client
        if endpoint is not None:
            endpoint.arrived(self, kind, data)
        else:
            self._reset(target)

    @property
    def works(self) -> bool:
        """The arbitrator has its end still, and nothing of either side waits for the network."""
        return self.server is not None and not self.up.blocked and not self.down.blocked

    def all_acknowledged(self) -> bool:
        """Whether the arbitrator's kernel knows that the node's has all that was sent to it."""
        down = self.down
        return down.received == down.sent and (down.acknowledged_at <= self.network.engine.now or self.network.up(self.host, ARBITRATOR))

    def close_client(self, kind: Kind) -> None:
        """The process is done with it, or gone: GOODBYE or END."""
        if self.client is not None:
            self.client = None
            self.up.send(kind)

    def abort_client(self) -> None:
        """As the kernel does for a process that was killed with something unread."""
        if self.client is not None:
            self.client = None
            self._reset(self.host)

    def close_server(self) -> None:
        if self.server is not None:
            self.server = None
            self.down.send(Kind.END)

    def lose_host(self, host: int) -> None:
        """Both directions are over: what the lost host has sent and is not there yet will not be sent again."""
        if host not in (self.host, ARBITRATOR):
            return
        if host == ARBITRATOR:
            self.server = None
        else:
            self.client = None
        stream = self.down if host == ARBITRATOR else self.up
        stream.blocked.clear()
        if self.client is None and self.server is None:
            self._end()

    def _reset(self, source: int) -> None:
        """Sent once, by the host that does not know the connection, to the other. It overtakes nothing."""
        target = ARBITRATOR if source == self.host else self.host
        sent_before = self.up if source == self.host else self.down
        if self.network.up(source, target):
            arrival = self.network.engine.now + self.network.latency(source, target)
            self.network.engine.at(max(arrival, sent_before.last_arrival), lambda: self._take_reset(target))

    def _take_reset(self, target: int) -> None:
        endpoint = self.server if target == ARBITRATOR else self.client
        if endpoint is None:
            return
        if target == ARBITRATOR:
            self.server = None
        else:
            self.client = None
        endpoint.reset(self)
        if self.client is None and self.server is None:
            self._end()

    def _end(self) -> None:
        self.dead = True
        self.network.forget(self)
