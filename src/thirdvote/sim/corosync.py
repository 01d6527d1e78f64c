"""A model of one node's corosync: its ring, and votequorum with a quorum device.

As corosync 3.1 does: the device counts while it is registered and was polled with the current ring id within T. When the ring changes
while the device is alive, the node goes on reporting what it reported before, until every member of the new ring has had a poll for it
or has waited ST for one; only then is quorum decided anew. A poll with another ring id changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from thirdvote.domain import NodeId, NodeInfo, NodeState, RingId
from thirdvote.sim.engine import Callback, Clock, Timer
from thirdvote.sim.schedule import Setup

HOLD = 0.18
HOLDS_MAX = 2
"""Tokens, and how many times. A new ring moves on in such steps: none, one or two of them after it was formed, quorum can be decided in it,
and from then on at once.
"""

SEQUENCE_STEP = 4
"""By which the sequence number of rings grows; the last one is kept over a restart."""


@dataclass(eq=False, slots=True)
class Ring:
    """One membership. `waiting` are members that have not got over the change to it; it is `settled` when all have. While it is `stalled`,
    because a member does not hear another, no member learns what has changed, not even of itself. `since` is when it was formed, and
    `stalled_since` when it began to stand still, in true seconds; `take_step` calls back when corosync's state machine moves on.
    """

    ring_id: RingId
    members: frozenset[int]
    waiting: set[int]
    take_step: Callable[[Ring, Callback], None]
    since: float = 0.0
    corosyncs: list[Corosync] = field(default_factory=list)
    settling: bool = False
    settled: bool = False
    stalled: bool = False
    stalled_since: float = 0.0

    def decide(self, only: Corosync) -> None:
        """Quorum in this ring: of `only`, or of all who are in it when that is to be decided for the first time."""
        if self.waiting or self.stalled:
            return
        if not self.settled:
            self.settle()
        elif only.running and only.ring is self:
            only.decide(False)

    def settle(self) -> None:
        if not self.settling:
            self.settling = True
            self.take_step(self, self._settle)

    def decide_again(self) -> None:
        """After the ring stood still: of everybody."""
        self._decide_all(False)

    def _settle(self) -> None:
        self.settling = False
        if not self.waiting and not self.stalled:
            self.settled = True
            self._decide_all(True)

    def _decide_all(self, ring_is_new: bool) -> None:
        for corosync in list(self.corosyncs):
            if corosync.running and corosync.ring is self:
                corosync.decide(ring_is_new)


def quorum_of(setup: Setup) -> int:
    """The least votes: every node has one."""
    return (setup.nodes + setup.device_votes) // 2 + 1


def _at_once(ring: Ring, callback: Callback) -> None:
    callback()


@dataclass(frozen=True, slots=True)
class Report:
    """What a node tells its services; `members` are those of the ring in which it was decided."""

    quorate: bool
    members: frozenset[int]


NOTHING = Report(False, frozenset())
"""Of a node without power, or without corosync."""


class Device(Protocol):
    """What corosync calls back."""

    def ring_changed(self) -> None: ...
    def quorum_changed(self) -> None: ...
    def corosync_lost(self) -> None: ...


class Corosync:
    """`report` is what services go by; `reported` is called when it changes. `is_behind`: it goes by a poll that was taken back."""

    def __init__(self, node: int, setup: Setup, clock: Clock, reported: Callable[[int], None]) -> None:
        self.node = node
        self.running = False
        self.sequence = 0
        self.ring = self._alone()
        self.report = NOTHING
        self.registered = False
        self.alive = False
        self.casting = False
        self.device: Device | None = None
        self._setup = setup
        self._clock = clock
        self._reported = reported
        self._timer: Timer | None = None
        self.is_behind = False
        self._on_its_way: bool | None = None
        self._seen_all = not setup.wait_for_all

    # ---- the ring

    def start(self) -> None:
        """Alone, until it has found others."""
        self.running = True
        self.sequence += SEQUENCE_STEP
        self.ring = self._alone()
        self.registered = self.alive = self.casting = False
        self._on_its_way = None
        self._seen_all = not self._setup.wait_for_all
        self.report = Report(False, frozenset((self.node,)))

    def stop(self) -> None:
        """Ended, killed, or without power."""
        if not self.running:
            return
        self.running = False
        self._disarm()
        device, self.device = self.device, None
        self._tell(NOTHING)
        if device is not None:
            device.corosync_lost()

    def install(self, ring: Ring) -> None:
        """The node is in a new ring; the members come in one by one."""
        self.ring = ring
        ring.corosyncs.append(self)
        if self.registered and self.alive:
            self._arm(self._setup.sync_timeout_s)
        else:
            ring.waiting.discard(self.node)
        if self.device is not None:
            self.device.ring_changed()
        ring.decide(self)

    def _alone(self) -> Ring:
        return Ring(RingId(NodeId(self.node), self.sequence), frozenset((self.node,)), set(), _at_once, settled=True)

    # ---- votequorum's interface for the device

    def register(self, device: Device) -> None:
        """A new process takes over what the one before has left."""
        self.device = device
        self.registered = True

    def unregister(self) -> None:
        self.device = None
        self.registered = self.alive = self.casting = False
        self._disarm()
        self._get_over_change()

    def poll(self, ring_id: RingId, cast: bool) -> bool:
        """False for a ring that is not the current one: then nothing has changed."""
        if not self.running or not self.registered or ring_id != self.ring.ring_id:
            return False
        self.alive = True
        if self.ring.stalled and cast != self.casting:
            self._on_its_way = cast
        self.casting = cast
        self._arm(self._setup.timeout_s)
        self._get_over_change()
        return True

    def quorum_list(self) -> tuple[NodeInfo, ...]:
        """All configured nodes with their state, this node last."""
        others = [node for node in range(1, self._setup.nodes + 1) if node != self.node]
        return tuple(
            NodeInfo(NodeId(node), 0, NodeState.MEMBER if node in self.ring.members else NodeState.DEAD) for node in (*others, self.node)
        )

    # ---- quorum

    def decide(self, ring_is_new: bool) -> None:
        """Everybody in the ring has got over the change."""
        setup, members = self._setup, self.ring.members
        self._seen_all = self._seen_all or len(members) == setup.nodes
        votes = len(members) + (setup.device_votes if self.casting else 0)
        report = Report(votes >= quorum_of(setup) and self._seen_all, members)
        changed = self._tell(report)
        if self.device is not None and (changed or ring_is_new):
            self.device.quorum_changed()
        if self._on_its_way is not None:
            late, self._on_its_way = self._on_its_way, None
            if ring_is_new and late != self.casting:
                self._hear_late(late)

    def _hear_late(self, cast: bool) -> None:
        """What was polled while the old ring stood still is told in the new one, after what was polled since, which is told again then."""
        ring, right = self.ring, self.casting
        self.is_behind = True
        self.casting = cast
        self.decide(False)
        self.casting = right

        def catch_up() -> None:
            self.is_behind = False
            ring.decide(self)

        self._clock.after(HOLDS_MAX * HOLD * self._setup.token_s, catch_up)

    def _tell(self, report: Report) -> bool:
        changed = report != self.report
        self.report = report
        if changed:
            self._reported(self.node)
        return changed

    def _get_over_change(self) -> None:
        self.ring.waiting.discard(self.node)
        self.ring.decide(self)

    def _timed_out(self) -> None:
        """Nothing was polled in time: the device is not alive, and does not vote."""
        self.alive = self.casting = False
        self._get_over_change()

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self._clock.after(seconds, self._timed_out)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
