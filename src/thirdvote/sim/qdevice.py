"""A model of corosync-qdevice around the real session of a node: what it casts, when it polls, and what it does without its arbitrator.

The daemon is one thread. What comes while it is stopped, or sleeps before it connects again, waits in the order in which it came, so a
timer may then fire before or after the callback that was due with it. While the heuristics for a new ring run it polls nothing, though
it answers votes and keeps them in mind.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from math import inf
from random import Random
from typing import assert_never

from thirdvote.domain import Algorithm, ClusterName, Heuristics, NodeId, NodeInfo, RingId, TieBreaker, Vote
from thirdvote.session.node import BeginTls, Close, Connected, EchoAnswered, Identity, NodeSession, Output, Send, Standing, VoteReceived
from thirdvote.session.node_rules import Cause, Follows, State, TlsWish
from thirdvote.sim.corosync import Corosync
from thirdvote.sim.engine import Callback, Clock, Engine, Timer
from thirdvote.sim.network import Connection, Dialling, Kind, Network
from thirdvote.sim.schedule import Setup

CLUSTER = ClusterName(b"simulated")

SLEEP_MOST = 0.9
"""Of a poll interval: the stock daemon's sleep before it connects again is shorter than this."""

TURN_S = 0.002
"""The most that the daemon takes to get to what has come."""

SLOW_HEURISTICS = 0.05
SLOW_FACTOR = 15
"""A few runs take that many times as long as usual."""

RESTART_S = 0.6
"""After an exit with an error, systemd starts the daemon again: 0.1 s, and what the start takes."""

FIRST_NUMBER = 1

Trace = Callable[[str], None]


class Process(Enum):
    OFF = auto()
    RUNS = auto()
    SLEEPS = auto()
    STOPPED = auto()


class Daemon:
    """`hung_since` and `died_at` are below 0 when it never did; `hung_unseen`: the arbitrator did not have it as connected when that began.
    `ended_at` is when it ended in order, inf while it runs.
    """

    def __init__(
        self,
        node: int,
        setup: Setup,
        engine: Engine,
        clock: Clock,
        random: Random,
        network: Network,
        corosync: Corosync,
        trace: Trace | None,
    ) -> None:
        self.node = node
        self.process = Process.OFF
        self.hung_since = self.died_at = -1.0
        self.ended_at = inf
        self.hung_unseen = False
        self.session: NodeSession | None = None
        self.vote = Vote.ASK_LATER
        self._setup = setup
        self._engine = engine
        self._clock = clock
        self._random = random
        self._network = network
        self._corosync = corosync
        self._trace = trace
        self._configured = tuple(NodeInfo(NodeId(number)) for number in range(1, setup.nodes + 1))
        self._identity = Identity(
            CLUSTER,
            NodeId(node),
            setup.algorithm,
            TieBreaker(setup.tie_breaker),
            round(setup.heartbeat_s * 1000),
            TlsWish.ON,
            setup.keep_active_partition,
            setup.heuristics_s > 0,
        )
        self._connection: Connection | None = None
        self._dialling: Dialling | None = None
        self._life = 0
        self._waiting: list[Callback] = []
        self._timers_due: list[Callback] = []
        self._wake_up: Timer | None = None
        self._start_again: Timer | None = None
        self._poll_timer: Timer | None = None
        self._session_timer: Timer | None = None
        self._session_due = 0.0
        self._paused = False
        self._heuristics_run = 0
        self._heuristics_for: list[Callback] = []
        self._number = FIRST_NUMBER
        self._ring_id = corosync.ring.ring_id
        self._members: tuple[NodeInfo, ...] = ()
        self._heuristics = Heuristics.PASS if setup.heuristics_s else Heuristics.UNDEFINED
        self._quorate = False
        self._quorum: tuple[NodeInfo, ...] = ()
        self._echo_waits = False
        self._hung_until = -1.0
        self._died = False
        self._last_connection: Connection | None = None

    # ---- the process

    @property
    def stays_off(self) -> bool:
        return self.process is Process.OFF and self._start_again is None

    @property
    def connected(self) -> bool:
        return self.session is not None and self.session.state is State.RUNNING

    @property
    def hung_at(self) -> float:
        """The last moment at which it hung; below 0 when it never did."""
        return self._engine.now if self.process is Process.STOPPED else self._hung_until

    @property
    def is_dead(self) -> bool:
        """It was killed, and no other has been connected since."""
        return self._died

    @property
    def died_unseen(self) -> bool:
        """It was killed, no other has been connected since, and the arbitrator was not told, or did not know it then."""
        return self._died and (self._last_connection is None or not self._last_connection.end_arrived)

    def connected_in(self, ring_id: RingId) -> bool:
        """The arbitrator has heard of this ring, or is about to."""
        return self.process is Process.RUNS and self.connected and self.session is not None and self.session.standing.ring_id == ring_id

    def start(self) -> None:
        """Needs a corosync that runs."""
        self._forget_start()
        if self.process is not Process.OFF or not self._corosync.running:
            return
        self._life += 1
        self.process = Process.RUNS
        self.ended_at = inf
        self.vote = Vote.ASK_LATER
        self._paused = False
        self._number = FIRST_NUMBER
        self._corosync.register(self)
        self._read_ring()
        self._read_quorum()
        self._connect()

    def kill(self) -> None:
        """SIGKILL: the kernel ends the connection, without a goodbye. Corosync keeps what was polled last."""
        if self.process is Process.OFF:
            return
        self._say("is killed")
        connection, unread = self._connection, self.process is not Process.RUNS and bool(self._waiting)
        self.died_at = self._engine.now
        joined = self.session is not None and self.session.state in (State.JOINED, State.RUNNING)
        self._died, self._last_connection = True, connection if joined else None
        if connection is not None and unread:
            connection.abort_client()
        elif connection is not None:
            connection.close_client(Kind.END)
        if self._corosync.device is self:
            self._corosync.device = None
        self._be_off()

    def lose_power(self) -> None:
        self._forget_start()
        self._died = False  # with corosync, and so of no account
        if self.process is not Process.OFF:
            self._be_off()

    def terminate(self) -> None:
        """SIGTERM, which counts when the daemon gets to it."""
        if self.process is not Process.OFF:
            self._soon(self._end)

    def stop(self) -> None:
        """SIGSTOP."""
        if self.process is Process.RUNS:
            self.process = Process.STOPPED
            self.hung_since = self._engine.now
            self.hung_unseen = not self.connected or self._connection is None or not self._connection.works

    def go_on(self) -> None:
        """SIGCONT."""
        if self.process is Process.STOPPED:
            self._hung_until = self._engine.now
            self._go_on()

    def start_after(self, seconds: float) -> None:
        """Unless it runs then."""
        self._forget_start()
        self._start_again = self._engine.after(seconds, self.start)

    def _go_on(self) -> None:
        """A turn of its loop may begin with the timers that are due, or with what has come."""
        self._wake_up = None
        self.process = Process.RUNS
        timers, came = self._timers_due, self._waiting
        self._timers_due, self._waiting = [], []
        todo = [*timers, *came] if self._random.random() < 0.5 else [*came, *timers]
        for number, callback in enumerate(todo):
            if self.process is not Process.RUNS:
                if self.process is not Process.OFF:
                    self._waiting[:0] = todo[number:]
                return
            callback()

    def _sleep(self, seconds: float) -> None:
        self.process = Process.SLEEPS
        self._wake_up = self._clock.after(seconds, self._go_on)

    def _be_off(self) -> None:
        self._hung_until = self.hung_at
        self.process = Process.OFF
        self._life += 1
        self._waiting.clear()
        self._timers_due.clear()
        self._heuristics_for.clear()
        self.session = None
        self._connection = None
        for timer in (self._wake_up, self._poll_timer, self._session_timer):
            if timer is not None:
                timer.cancel()
        self._wake_up = self._poll_timer = self._session_timer = None
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None

    def _end(self) -> None:
        """The regular end: NACK once, unregistered, the connection closed with a goodbye."""
        self._say("ends in order")
        self.ended_at = self._engine.now
        if self._gives_up():
            self._update(Vote.NACK)
        self._corosync.unregister()
        if self._connection is not None:
            self._connection.close_client(self._goodbye)
        self._be_off()

    def _forget_start(self) -> None:
        if self._start_again is not None:
            self._start_again.cancel()
            self._start_again = None

    def _now(self, callback: Callback) -> None:
        """Does it, when the daemon can."""
        if self.process is Process.RUNS:
            callback()
        elif self.process is not Process.OFF:
            self._waiting.append(callback)

    def _due(self, callback: Callback) -> None:
        """The same for a timer."""
        if self.process is Process.RUNS:
            callback()
        elif self.process is not Process.OFF:
            self._timers_due.append(callback)

    def _soon(self, callback: Callback) -> None:
        life = self._life

        def come() -> None:
            if self._life == life:
                self._now(callback)

        self._engine.after(self._random.random() * TURN_S, come)

    def _say(self, text: str) -> None:
        if self._trace is not None:
            self._trace(text)

    @property
    def _goodbye(self) -> Kind:
        return Kind.GOODBYE if self._setup.tls else Kind.END

    # ---- corosync calls back

    def ring_changed(self) -> None:
        ring = self._corosync.ring
        self._soon(partial(self._nodelist, ring.ring_id, tuple(NodeInfo(NodeId(node)) for node in sorted(ring.members))))

    def quorum_changed(self) -> None:
        self._soon(self._quorum_callback)

    def corosync_lost(self) -> None:
        self._soon(self._exit)

    def _nodelist(self, ring_id: RingId, members: tuple[NodeInfo, ...]) -> None:
        self._ring_id, self._members = ring_id, members
        if not self.connected and self.vote is Vote.ACK:
            self._update(Vote.NACK)
        self._paused = True
        self._run_heuristics(self._membership_ready)

    def _membership_ready(self) -> None:
        self._paused = False
        if self.session is not None:
            connected = self.connected
            self._act(self.session.membership_changed(self._ring_id, self._members, self._heuristics))
            if connected:
                self._update(Vote.WAIT_FOR_REPLY)
                return
        if self.vote is Vote.ACK:
            self._update(Vote.NACK)

    def _quorum_callback(self) -> None:
        self._read_quorum()
        if self.session is not None:
            self._act(self.session.quorum_changed(self._quorum, self._quorate))
        if not self.connected and self.vote is Vote.ACK:
            self._update(Vote.NACK)

    def _read_ring(self) -> None:
        ring = self._corosync.ring
        self._ring_id = ring.ring_id
        self._members = tuple(NodeInfo(NodeId(node)) for node in sorted(ring.members))

    def _read_quorum(self) -> None:
        self._quorate = self._corosync.report.quorate
        self._quorum = self._corosync.quorum_list()

    def _run_heuristics(self, done: Callback) -> None:
        """A new run takes the place of one that goes on; its result is for all who wait for one."""
        if not self._setup.heuristics_s:
            done()
            return
        if done not in self._heuristics_for:
            self._heuristics_for.append(done)
        self._heuristics_run += 1
        run, life = self._heuristics_run, self._life
        seconds = self._random.random() * self._setup.heuristics_s
        if self._random.random() < SLOW_HEURISTICS:
            seconds *= SLOW_FACTOR

        def come() -> None:
            if self._life == life and self._heuristics_run == run:
                self._now(self._heuristics_ready)

        self._engine.after(seconds, come)

    def _heuristics_ready(self) -> None:
        waiting, self._heuristics_for = self._heuristics_for, []
        for done in waiting:
            done()

    # ---- the vote

    def _gives_up(self) -> bool:
        """Whether it casts NACK when it has no arbitrator."""
        match self._setup.algorithm:
            case Algorithm.FFSPLIT:
                return True
            case Algorithm.LMS:
                return not (self._quorate and self._setup.wait_for_all)
            case _:
                return False

    def _update(self, vote: Vote) -> None:
        if vote is Vote.NO_CHANGE:
            return
        if vote is not self.vote:
            self._say(f"goes by {vote.name}")
        self.vote = vote
        if vote in (Vote.ACK, Vote.NACK):
            if self._poll_timer is None:
                self._arm_poll()
            self._poll()
        elif self._poll_timer is not None:
            self._poll_timer.cancel()
            self._poll_timer = None

    def _arm_poll(self) -> None:
        life = self._life

        def tick() -> None:
            if self._life == life:
                self._due(self._tick)

        self._poll_timer = self._clock.after(self._setup.poll_s, tick)

    def _tick(self) -> None:
        if self._poll_timer is not None:
            self._arm_poll()
            self._poll()

    def _poll(self) -> None:
        if not self._paused and not self._corosync.poll(self._ring_id, self.vote is Vote.ACK) and self._corosync.running:
            self._say(f"polls for ring {self._ring_id}, which is over")

    # ---- the connection

    def _connect(self) -> None:
        standing = Standing(self._ring_id, self._configured, self._members, self._quorum, self._quorate, 1, self._heuristics)
        self.session = NodeSession(self._identity, standing, self._clock.now(), self._number)
        self._echo_waits = False
        life, session = self._life, self.session

        def outcome(connection: Connection | None) -> None:
            if self._life == life and self.session is session:
                self._now(partial(self._dialled, connection))
            elif connection is not None:
                connection.close_client(Kind.END)

        self._arm_session()
        self._dialling = self._network.dial(self.node, outcome)

    def _dialled(self, connection: Connection | None) -> None:
        """Refused: then nothing is tried until the connect timer has gone off."""
        if connection is None or self.session is None:
            return
        connection.client = self
        self._connection = connection
        self._act(self.session.start())

    def arrived(self, connection: Connection, kind: Kind, data: bytes) -> None:
        if connection is self._connection:
            self._now(partial(self._take, connection, kind, data))

    def reset(self, connection: Connection) -> None:
        if connection is self._connection:
            self._now(partial(self._take, connection, Kind.END, b""))

    def _take(self, connection: Connection, kind: Kind, data: bytes) -> None:
        session = self.session
        if connection is not self._connection or session is None:
            return
        match kind:
            case Kind.DATA:
                self._act(session.receive(data, self._clock.now()))
            case Kind.SERVER_HELLO:
                connection.up.send(Kind.CLIENT_FINISHED)
                self._act(session.secured())
            case Kind.END | Kind.GOODBYE:
                self._act(session.lost(Cause.END_OF_STREAM, "the arbitrator's end is gone"))
            case Kind.CLIENT_FINISHED:
                raise AssertionError(kind)
            case _:
                assert_never(kind)

    def _act(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Send(data):
                    if self._connection is not None:
                        self._connection.up.send(Kind.DATA, data)
                case VoteReceived(vote, ring_id, counts):
                    if counts:
                        self._update(vote)
                    else:
                        self._say(f"does not count {vote.name} for ring {ring_id}")
                case EchoAnswered():
                    self._echo_waits = False
                case Connected():
                    self._run_heuristics(self._introduce)
                case BeginTls():
                    pass  # the server's hello comes by itself
                case Close(_, follows, reason):
                    self._disconnected(follows, reason)
                case _:
                    assert_never(output)
        self._arm_session()

    def _introduce(self) -> None:
        if self.session is not None and self.session.state is State.JOINED:
            self._say("is connected")
            self._died = False
            outputs = self.session.introduce()
            self._update(Vote.WAIT_FOR_REPLY)
            self._act(outputs)

    def _disconnected(self, follows: Follows, reason: str) -> None:
        self._say(f"has lost its arbitrator: {reason}")
        assert self.session is not None
        self._number = self.session.last_number
        had_connection = self._connection is not None
        if self._connection is not None:
            self._connection.close_client(self._goodbye)
        self._connection = self.session = None
        if self._dialling is not None:
            self._dialling.cancel()
        self._paused = False
        if self._gives_up():
            self._update(Vote.NACK)
        if follows is Follows.EXIT:
            self._exit()
        elif had_connection:
            self._waiting.append(self._connect)
            self._sleep(self._random.random() * SLEEP_MOST * self._setup.poll_s)
        else:
            self._connect()

    def _exit(self) -> None:
        """With status 1."""
        if self.process is not Process.OFF:
            self._end()
            if self._corosync.running:
                self.start_after(RESTART_S)

    # ---- the session's timer

    def _arm_session(self) -> None:
        """The timer is left alone while it is early enough; when it comes too early it is set again."""
        deadline = self.session.deadline() if self.session is not None else None
        if deadline is None or (self._session_timer is not None and self._session_due <= deadline):
            return
        if self._session_timer is not None:
            self._session_timer.cancel()
        life = self._life

        def come() -> None:
            if self._life == life:
                self._session_timer = None
                self._due(self._session_elapsed)

        self._session_due = deadline
        self._session_timer = self._engine.at(self._clock.true(deadline), come)

    def _session_elapsed(self) -> None:
        session = self.session
        deadline = session.deadline() if session is not None else None
        if session is None or deadline is None:
            return
        now = max(self._clock.now(), self._session_due)
        if now < deadline:
            self._arm_session()
        elif session.state in (State.JOINED, State.RUNNING):
            self._echo(session, now)
        else:
            self._act(session.elapsed(now))

    def _echo(self, session: NodeSession, now: float) -> None:
        """A quorate lms node with wait_for_all complains of an echo that is not answered, and does nothing else."""
        if self._echo_waits and self._setup.algorithm is Algorithm.LMS and not self._gives_up():
            self._session_due = now + self._setup.heartbeat_s
            life = self._life

            def come() -> None:
                if self._life == life:
                    self._session_timer = None
                    self._due(self._session_elapsed)

            self._session_timer = self._engine.at(self._clock.true(self._session_due), come)
            return
        outputs = session.elapsed(now)
        self._echo_waits = bool(outputs) and isinstance(outputs[0], Send)
        self._act(outputs)
