"""A whole simulated world: hosts with their clocks, the network between them, and the watch over what must hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from random import Random

from thirdvote.arbiter.releases import TOKEN_S_MIN
from thirdvote.domain import Algorithm, Handover
from thirdvote.sim.arbitrator import Arbitrator
from thirdvote.sim.corosync import Corosync, Report
from thirdvote.sim.disk import Disk
from thirdvote.sim.engine import Clock, Engine
from thirdvote.sim.invariants import (
    OVERLAP_S_MAX,
    Failure,
    HandOver,
    Invariant,
    Measures,
    Reports,
    Votes,
    is_in_ledger,
    keeps_a_ledger,
    liveness_s,
    only_the_arbitrator,
    overlapping,
    wait_s,
)
from thirdvote.sim.network import Connection, Network
from thirdvote.sim.qdevice import CLUSTER, Daemon, Trace
from thirdvote.sim.schedule import ARBITRATOR, Fault, OneWayLoss, Schedule
from thirdvote.sim.totem import DETECTION, Totem

LOOK_EVERY_S = 0.5
"""How often it is looked at who waits for a vote."""

START_SPREAD_S = 0.3
"""The daemons start within this of each other."""

CLOCK_OFFSET_S_MAX = 100_000.0


@dataclass(frozen=True, slots=True)
class Change:
    """What a node reports from `at` on."""

    at: float
    node: int
    report: Report


@dataclass(slots=True)
class Host:
    clock: Clock
    corosync: Corosync
    daemon: Daemon


@dataclass(slots=True)
class World:
    """`changes` is what the nodes reported, `applied` which faults there were; `trace` everything, if that was asked for."""

    schedule: Schedule
    tracing: bool = False
    engine: Engine = field(default_factory=Engine)
    trace: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    applied: list[Fault] = field(default_factory=list)
    measures: Measures = field(default_factory=Measures)
    failure: Failure | None = None
    repaired_at: float | None = None
    network: Network = field(init=False)
    nodes: dict[int, Host] = field(init=False)
    totem: Totem = field(init=False)
    disk: Disk = field(init=False)
    arbitrator: Arbitrator = field(init=False)
    reports: Reports = field(init=False)
    _waits_since: float | None = None
    _apart_at: dict[int, float] = field(default_factory=dict)
    _apart_since: dict[int, float] = field(default_factory=dict)
    _one_way_ended: bool = False

    def __post_init__(self) -> None:
        setup, engine = self.schedule.setup, self.engine
        of_host = [Random(self.schedule.seed * 64 + number) for number in range(setup.nodes + 3)]
        of_network = of_host[-1]
        self.network = Network(engine, of_network, setup.latency_s)
        self.reports = Reports(setup)
        self.nodes = {}
        for number in range(1, setup.nodes + 1):
            clock = self._clock(of_host[number])
            corosync = Corosync(number, setup, clock, self._reported)
            daemon = Daemon(number, setup, engine, clock, of_host[number], self.network, corosync, self._tracer(f"node {number}"))
            self.nodes[number] = Host(clock, corosync, daemon)
        corosyncs = {number: host.corosync for number, host in self.nodes.items()}
        self.totem = Totem(engine, of_host[-2], self.network, corosyncs, setup.token_s)
        self.disk = Disk(engine, of_host[ARBITRATOR], setup.persist_s)
        clock = self._clock(of_host[ARBITRATOR])
        tracer = self._tracer("arbitrator")
        self.arbitrator = Arbitrator(setup, engine, clock, of_host[ARBITRATOR], self.disk, self._sent, tracer)
        self.network.listener = self.arbitrator
        self._start(of_network)

    def _clock(self, random: Random) -> Clock:
        drift = self.schedule.setup.drift
        return Clock(self.engine, 1.0 + random.uniform(-drift, drift), random.random() * CLOCK_OFFSET_S_MAX)

    def _start(self, random: Random) -> None:
        self.network.powered.update(range(self.schedule.setup.nodes + 1))
        self.arbitrator.start()
        for host in self.nodes.values():
            host.corosync.start()
        self.totem.start()
        self.network.changed = self.totem.look
        for host in self.nodes.values():
            self.engine.after(random.random() * START_SPREAD_S, host.daemon.start)
        self.engine.after(LOOK_EVERY_S, self._look)

    def _tracer(self, who: str) -> Trace | None:
        if not self.tracing:
            return None
        return lambda text: self.say(who, text)

    def say(self, who: str, text: str) -> None:
        if self.tracing:
            self.trace.append(f"{self.engine.now:8.3f}  {who:<10}  {text}")

    # ---- what is seen

    @property
    def one_way_loss(self) -> bool:
        """Between two nodes, at some time."""
        return any(isinstance(fault, OneWayLoss) and ARBITRATOR not in (fault.source, fault.target) for fault in self.applied)

    @property
    def whole(self) -> bool:
        """Every node reports quorum with all others, and casts the device's vote."""
        everybody = frozenset(self.nodes)
        return all(
            self.reports.now[number] == Report(True, everybody) and host.corosync.casting and host.corosync.alive
            for number, host in self.nodes.items()
        )

    def fail(self, invariant: Invariant, text: str) -> None:
        if self.failure is None:
            self.failure = Failure(invariant, self.engine.now, self.engine.steps, text)
            self.say("invariant", f"{invariant} is broken: {text}")
            self.engine.stop()

    def _reported(self, node: int) -> None:
        now, report = self.engine.now, self.nodes[node].corosync.report
        before = self.reports.now[node]
        self.reports.tell(node, report)
        self.changes.append(Change(now, node, report))
        if self.tracing:
            self.say(f"node {node}", f"reports {'quorum' if report.quorate else 'no quorum'} with {sorted(report.members)}")
        if before.quorate and not report.quorate and self.nodes[node].corosync.running and only_the_arbitrator(self.applied):
            self.fail(Invariant.HEALTHY, f"node {node} has lost quorum, and nothing but the arbitrator had a fault")
        if report.quorate and report != before and len(report.members) < len(self.nodes) and self.applied:
            self._note_hand_over(report)
        self.look_at_overlap()

    def _note_hand_over(self, report: Report) -> None:
        others = [other for number, other in self.reports.now.items() if other == report]
        if len(others) == 1:  # the first of its partition
            fault = self.applied[-1]
            self.measures.hand_overs.append(HandOver(type(fault).__name__, self.engine.now - fault.at))

    def look_at_overlap(self) -> None:
        """What overlaps now: without an excuse, and with one."""
        pairs = overlapping(self.reports.now)
        bare = [pair for pair in pairs if not self._excuse(pair)]
        reports, measures, now = self.reports, self.measures, self.engine.now
        if reports.overlap_since is not None:
            measures.overlap_s = max(measures.overlap_s, now - reports.overlap_since)
        if reports.excused_since is not None:
            measures.excused_overlap_s = max(measures.excused_overlap_s, now - reports.excused_since)
        if bare and reports.overlap_since is None:
            reports.overlap_since = now
            if self.schedule.setup.handover is Handover.SAFE:
                self.engine.after(OVERLAP_S_MAX + 1e-6, self._overlap_lasts)
        elif not bare:
            reports.overlap_since = None
        reports.excused_since = None if bare or not pairs else now if reports.excused_since is None else reports.excused_since

    def _overlap_lasts(self) -> None:
        self.look_at_overlap()
        since = self.reports.overlap_since
        if since is not None and self.engine.now - since > OVERLAP_S_MAX:
            first, second = next(pair for pair in overlapping(self.reports.now) if not self._excuse(pair))
            self.fail(Invariant.OVERLAP, f"node {first} has quorum without node {second}, which reports it too, since {since:.3f}")

    def _excuse(self, pair: tuple[int, int]) -> str:
        if self.reports.began_by_nodes_alone(pair):
            return "a partition has quorum without the device"
        if self._one_way_ended or (self.one_way_loss and not self.schedule.setup.tells_token):
            return "one-way loss between nodes, whose token timeout is not known, or which ended before both had noticed"
        if any(self.nodes[node].corosync.is_behind for node in pair):
            return "what was polled while the old ring stood still is told in the new one, after it was taken back"
        for node in pair:
            ring = self.nodes[node].corosync.ring
            daemons = [self.nodes[member].daemon for member in ring.members]
            if not ring.settled and any(self._hung_unseen(daemon, ring.since) or self._died_unseen(daemon) for daemon in daemons):
                return "a daemon hangs in a changed ring, or died there, and the arbitrator can not know"
            if self._votes_unseen(self.nodes[node].daemon):
                return "a daemon hung or died where the arbitrator can not know, and its last vote still counts, or it goes on with it"
            if self._lost_ring_first(node):
                return "a node lost the others some time before the arbitrator, and the settings do not tell how long a token may take"
        return ""

    def _votes_unseen(self, daemon: Daemon) -> bool:
        """Corosync drops the vote when nobody polls; one that goes on notices that nobody answers."""
        setup, now = self.schedule.setup, self.engine.now
        hung = self._hung_unseen(daemon, now - max(2 * setup.heartbeat_s, setup.timeout_s))
        return hung or (self._died_unseen(daemon) and daemon.died_at >= now - setup.timeout_s)

    def _lost_ring_first(self, node: int) -> bool:
        """Until quorum is decided in its new ring, which takes the longer, the longer its token timeout."""
        setup, host = self.schedule.setup, self.nodes[node]
        if setup.tells_token or setup.token_s <= TOKEN_S_MIN or host.corosync.ring.settled:
            return False
        self.apart_at(node)
        unheard_since = min(self._apart_since.get(node, inf), host.daemon.ended_at)
        return host.corosync.ring.since - DETECTION * setup.token_s < unheard_since < inf

    def _hung_unseen(self, daemon: Daemon, after: float) -> bool:
        """It hung after that time, and was not connected when that began, or its host and the arbitrator were apart at some time since."""
        if daemon.hung_since < 0.0 or daemon.hung_at < after:
            return False
        return daemon.hung_unseen or daemon.hung_since <= self.apart_at(daemon.node)

    def _died_unseen(self, daemon: Daemon) -> bool:
        """The arbitrator was not told, or was started again since, and has no record of it."""
        return daemon.died_unseen or (daemon.is_dead and self.arbitrator.started_at > daemon.died_at)

    def apart_at(self, node: int) -> float:
        """When the node's host and a running arbitrator did not hear each other, last."""
        if self._hear_each_other(node):
            self._apart_since.pop(node, None)
        else:
            self._apart_at[node] = self.engine.now
            self._apart_since.setdefault(node, self.engine.now)
        return self._apart_at.get(node, -1.0)

    def _hear_each_other(self, node: int) -> bool:
        return self.arbitrator.running and not self.arbitrator.hung and self.network.both_ways(node, ARBITRATOR)

    def note_heal(self) -> None:
        """Before it: a link between nodes that works in one direction may come back before both have a new ring."""
        for source, target in self.network.one_way():
            if ARBITRATOR not in (source, target):
                rings = [self.nodes[node].corosync.ring for node in (source, target)]
                self._one_way_ended |= any(node in ring.members for ring, node in zip(rings, (target, source), strict=True))

    def note_who_hears(self) -> None:
        """Before and after each fault."""
        for node in self.nodes:
            self.apart_at(node)

    def _sent(self, connection: Connection, data: bytes) -> None:
        if not keeps_a_ledger(self.schedule.setup) or not Votes.gives(data):
            return
        if not is_in_ledger(self.disk, CLUSTER, connection.host):
            self.fail(Invariant.LEDGER, f"node {connection.host} is given the vote, and the disk does not know it as a holder")

    # ---- who waits

    def _look(self) -> None:
        now = self.engine.now
        if self.repaired_at is not None and self.whole:
            self.measures.whole_again_s = now - self.repaired_at
            self.engine.stop()
            return
        if self.repaired_at is not None:
            self._start_daemons()
        if self.repaired_at is not None and now - self.repaired_at > liveness_s(self.schedule.setup):
            self.fail(Invariant.LIVENESS, f"not all votes are back {now - self.repaired_at:.1f} s after everything was repaired")
        if not self._somebody_could_have_it():
            self._waits_since = None
        elif self._waits_since is None:
            self._waits_since = now
        else:
            waited = now - self._waits_since
            self.measures.wait_s = max(self.measures.wait_s, waited)
            if waited > wait_s(self.schedule):
                self.fail(Invariant.WAIT, f"a partition that is connected waits for the vote for {waited:.1f} s")
        self.engine.after(LOOK_EVERY_S, self._look)

    def _start_daemons(self) -> None:
        """Also of one that was told to end, and got to it only now."""
        for host in self.nodes.values():
            if host.daemon.stays_off:
                host.daemon.start_after(LOOK_EVERY_S)

    def _somebody_could_have_it(self) -> bool:
        setup = self.schedule.setup
        if any(report.quorate for report in self.reports.now.values()) or setup.wait_for_all:
            return False
        if not self.arbitrator.running or self.arbitrator.hung or self.disk.fails:
            return False
        return any(self._could_have_it(host.corosync.ring.members) for host in self.nodes.values() if host.corosync.running)

    def _could_have_it(self, members: frozenset[int]) -> bool:
        setup = self.schedule.setup
        if setup.algorithm is not Algorithm.LMS and 2 * len(members) < setup.nodes:
            return False
        hosts = [self.nodes[member] for member in members]
        rings = {host.corosync.ring.ring_id for host in hosts}
        return (
            len(rings) == 1
            and all(host.daemon.connected_in(host.corosync.ring.ring_id) for host in hosts)
            and all(self.network.both_ways(member, ARBITRATOR) for member in members)
        )

    def disturbed(self) -> None:
        """A fault: whoever waits begins to wait anew."""
        self._waits_since = None
