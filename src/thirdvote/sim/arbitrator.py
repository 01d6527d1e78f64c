"""The arbitrator's host and process around the real arbiter: its kernel takes what comes, the process gets to it when it runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import assert_never

from thirdvote.arbiter.arbiter import Arbiter
from thirdvote.arbiter.interface import (
    Close,
    Connected,
    Disconnected,
    Elapsed,
    Ending,
    Input,
    Inspect,
    Inspected,
    Note,
    Persist,
    Received,
    Secured,
    Send,
    StartTls,
)
from thirdvote.arbiter.record import Past
from thirdvote.config import ClusterSettings, Settings
from thirdvote.domain import Handover, TlsSupport
from thirdvote.sim.disk import Disk
from thirdvote.sim.engine import Clock, Engine, Timer
from thirdvote.sim.network import Connection, Kind
from thirdvote.sim.qdevice import CLUSTER, Trace
from thirdvote.sim.schedule import HEARTBEAT_MS_MAX, HEARTBEAT_MS_MIN, Setup

_ENDINGS = {Kind.GOODBYE: Ending.GOODBYE, Kind.END: Ending.CLOSED}

Sent = Callable[[Connection, bytes], None]


def settings_of(setup: Setup) -> Settings:
    """What an administrator has to write for such a cluster: what its nodes do not say, where it matters."""
    heartbeat_ms = round(setup.heartbeat_s * 1000)
    clamped = heartbeat_ms in (HEARTBEAT_MS_MIN, HEARTBEAT_MS_MAX)
    own = ClusterSettings(
        timeout_ms=setup.timeout_ms if clamped else None,
        sync_timeout_ms=setup.sync_timeout_ms,
        token_ms=setup.token_ms if setup.tells_token else None,
        wait_for_all=setup.wait_for_all or None,
    )
    return Settings(
        tls=TlsSupport.REQUIRED if setup.tls else TlsSupport.UNSUPPORTED,
        handover=Handover(setup.handover),
        late_answers=setup.late_answers,
        clusters={CLUSTER: own},
    )


@dataclass(frozen=True, slots=True)
class _Ended:
    """The end of a connection is in the kernel; the process has not got there yet."""

    connection: Connection
    ending: Ending
    reason: str


class Arbitrator:
    """`sent` is called with every message that leaves."""

    def __init__(self, setup: Setup, engine: Engine, clock: Clock, random: Random, disk: Disk, sent: Sent, trace: Trace | None) -> None:
        self.arbiter: Arbiter | None = None
        self.late_s = 0.0
        self.wall_offset_s = 0.0
        self.disk = disk
        self._settings = settings_of(setup)
        self._engine = engine
        self._clock = clock
        self._random = random
        self._sent = sent
        self._trace = trace
        self.started_at = 0.0
        self._hung = False
        self._working = False
        self._turn: Timer | None = None
        self._life = 0
        self._inputs: deque[Input | _Ended] = deque()
        self._connections: dict[int, Connection] = {}
        self._timer: Timer | None = None
        self._timer_due = 0.0

    # ---- the process

    @property
    def running(self) -> bool:
        return self.arbiter is not None

    @property
    def hung(self) -> bool:
        return self._hung

    def start(self) -> None:
        if self.arbiter is not None:
            return
        self._life += 1
        self.started_at = self._engine.now
        past = Past(self._clock.now(), dict(self.disk.records), self.disk.complete)
        self.arbiter = Arbiter(self._settings, past, self._say_time)
        self._say(f"starts with {len(past.records)} records, {'all' if past.complete else 'not all'} that were made")
        self._feed_when_running()

    def kill(self) -> None:
        """The kernel ends its connections."""
        if self.arbiter is None:
            return
        self._say("is killed")
        connections = list(self._connections.values())
        self._be_off()
        for connection in connections:
            connection.close_server()

    def lose_power(self) -> None:
        self._be_off()

    def hang(self) -> None:
        self._hung = True

    def go_on(self) -> None:
        """What has come is dealt with before time is looked at."""
        if self._hung:
            self._hung = False
            self._run()

    def _be_off(self) -> None:
        self._life += 1
        self.arbiter = None
        self._hung = False
        self.late_s = 0.0
        self._inputs.clear()
        self._connections.clear()
        self.disk.crash()
        for timer in (self._turn, self._timer):
            if timer is not None:
                timer.cancel()
        self._turn = self._timer = None

    def _say(self, text: str) -> None:
        if self._trace is not None:
            self._trace(text)

    def _say_time(self, local: float) -> str:
        return f"{self._clock.true(local) + self.wall_offset_s:.3f}"

    # ---- its kernel

    def listening(self) -> bool:
        return self.arbiter is not None

    def accept(self, connection: Connection) -> Arbitrator:
        self._connections[connection.number] = connection
        self._feed(Connected(connection.number, f"node {connection.host}"))
        return self

    def arrived(self, connection: Connection, kind: Kind, data: bytes) -> None:
        number = connection.number
        match kind:
            case Kind.DATA:
                self._feed(Received(number, data))
            case Kind.CLIENT_FINISHED:
                self._feed(Secured(number, (bytes(CLUSTER),)))
            case Kind.GOODBYE | Kind.END:
                connection.end_arrived = True
                connection.server = None
                self._feed(_Ended(connection, _ENDINGS[kind], f"the node's end: {kind.name.lower()}"))
            case Kind.SERVER_HELLO:
                raise AssertionError(kind)
            case _:
                assert_never(kind)

    def reset(self, connection: Connection) -> None:
        connection.end_arrived = True
        self._feed(_Ended(connection, Ending.CLOSED, "reset by the node's host"))

    # ---- its turns

    def _feed(self, event: Input | _Ended) -> None:
        self._inputs.append(event)
        self._feed_when_running()

    def _feed_when_running(self) -> None:
        if self._hung or self._turn is not None or self.arbiter is None:
            return
        if self.late_s:
            self._turn = self._engine.after(self._random.random() * self.late_s, self._run)
        else:
            self._run()

    def _run(self) -> None:
        """One turn: everything that has come, then the time, then what came of that."""
        self._turn = None
        arbiter = self.arbiter
        if arbiter is None or self._hung or self._working:
            return
        self._working = True
        self._take_all(arbiter)
        deadline = arbiter.deadline()
        if deadline is not None and deadline <= max(self._clock.now(), self._timer_due if self._timer is None else 0.0):
            self._step(arbiter, Elapsed())
            self._take_all(arbiter)
            deadline = arbiter.deadline()
        self._working = False
        self._arm(deadline)

    def _take_all(self, arbiter: Arbiter) -> None:
        while self._inputs:
            event = self._inputs.popleft()
            self._step(arbiter, self._gone(event) if isinstance(event, _Ended) else event)

    def _gone(self, ended: _Ended) -> Disconnected:
        """As the process sees it when it gets there: what it has just answered is not acknowledged yet."""
        connection = ended.connection
        self._connections.pop(connection.number, None)
        return Disconnected(connection.number, ended.ending, ended.reason, connection.all_acknowledged())

    def _step(self, arbiter: Arbiter, event: Input) -> None:
        now = self._clock.now()
        if isinstance(event, Elapsed):
            now = max(now, self._timer_due)
        for effect in arbiter.step(event, now):
            match effect:
                case Send(number, data):
                    connection = self._connections.get(number)
                    if connection is not None:
                        self._sent(connection, data)
                        connection.down.send(Kind.DATA, data)
                case StartTls(number):
                    if number in self._connections:
                        self._connections[number].down.send(Kind.SERVER_HELLO)
                case Close(number, reason):
                    connection = self._connections.pop(number, None)
                    if connection is not None:
                        self._say(f"closes the connection of node {connection.host}: {reason}")
                        connection.close_server()
                case Persist():
                    self._keep(effect)
                case Inspect(number):
                    if number in self._connections:
                        self._inputs.append(Inspected(number, self._connections[number].all_acknowledged()))
                case Note():
                    if self._trace is not None:
                        self._say(f"{effect.kind}{f' node {effect.node}' if effect.node else ''}: {effect.text}")
                case _:
                    assert_never(effect)

    def _keep(self, wanted: Persist) -> None:
        life = self._life
        if self._trace is not None:
            self._trace(f"writes {wanted.record}")
        self.disk.keep(wanted, lambda answer: self._feed(answer) if self._life == life else None)

    def _arm(self, deadline: float | None) -> None:
        if deadline is None or (self._timer is not None and self._timer_due <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = deadline
        self._timer = self._engine.at(self._clock.true(deadline), self._elapsed)

    def _elapsed(self) -> None:
        self._timer = None
        self._feed_when_running()
