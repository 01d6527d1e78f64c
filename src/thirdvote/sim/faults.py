"""Faults as they happen to a world, and one run of a schedule from its start to the repaired cluster.

outcome = run(schedule)
outcome.lost_quorum(2)        # when node 2 told its services that quorum is gone
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import assert_never

from thirdvote.sim.invariants import Failure, Invariant, Measures, liveness_s
from thirdvote.sim.qdevice import Process
from thirdvote.sim.schedule import (
    ARBITRATOR,
    Delay,
    DiskFails,
    Fault,
    HangArbitrator,
    HangDaemon,
    Heal,
    JumpClock,
    KillArbitrator,
    KillCorosync,
    KillDaemon,
    OneWayLoss,
    PowerCut,
    PowerOn,
    Schedule,
    Shutdown,
    SlowArbitrator,
    Split,
    StopDaemon,
)
from thirdvote.sim.world import Change, World

SHUTDOWN_S = 0.5
"""From the end of the daemon to that of corosync, when a host goes down in order."""

BOOT_S = 1.0
"""From corosync's start to the daemon's."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Times as in the schedule. `changes` is what the nodes reported, `trace` what happened, when it was asked for."""

    schedule: Schedule
    failure: Failure | None
    measures: Measures
    changes: tuple[Change, ...]
    steps: int
    trace: tuple[str, ...] = ()

    def lost_quorum(self, node: int, after: float = 0.0) -> list[float]:
        """When the node reported that it has no quorum any more; the end of its corosync counts."""
        return [
            change.at for before, change in self._pairs(node) if before.report.quorate and not change.report.quorate and change.at > after
        ]

    def went_on_without(self, node: int, lost: int, after: float = 0.0) -> float | None:
        """When the node reported quorum in a ring without `lost`, first."""
        times = (
            change.at
            for change in self.changes
            if change.node == node and change.at > after and change.report.quorate and lost not in change.report.members
        )
        return next(times, None)

    def _pairs(self, node: int) -> list[tuple[Change, Change]]:
        own = [change for change in self.changes if change.node == node]
        return list(pairwise(own))


def run(schedule: Schedule, tracing: bool = False) -> Outcome:
    """The whole schedule, or up to the first failure; then everything is repaired, and all votes have to come back."""
    world = World(schedule, tracing)
    for fault in schedule.faults:
        world.engine.at(fault.at, partial(_happen, world, fault))
    world.engine.at(schedule.until, partial(repair, world))
    try:
        world.engine.run(schedule.until + liveness_s(schedule.setup) + 2.0)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        world.fail(Invariant.PROGRAM, f"{type(error).__name__}: {error} ({frame.name}, line {frame.lineno})")
    world.look_at_overlap()
    return Outcome(schedule, world.failure, world.measures, tuple(world.changes), world.engine.steps, tuple(world.trace))


def _happen(world: World, fault: Fault) -> None:
    world.applied.append(fault)
    world.disturbed()
    if world.tracing:
        world.say("fault", str(fault))
    world.note_who_hears()
    apply(world, fault)
    world.note_who_hears()


def apply(world: World, fault: Fault) -> None:
    match fault:
        case Split() | OneWayLoss() | Delay() | Heal():
            _change_network(world, fault)
        case PowerCut(host=host):
            cut_power(world, host)
        case PowerOn(host=host, disk_lost=disk_lost):
            power_on(world, host, disk_lost)
        case Shutdown(node=node):
            world.nodes[node].daemon.terminate()
            world.engine.after(SHUTDOWN_S, partial(_leave, world, node))
        case KillDaemon() | StopDaemon() | HangDaemon():
            _disturb_daemon(world, fault)
        case KillCorosync(node=node):
            world.nodes[node].corosync.stop()
            world.totem.look()
        case KillArbitrator() | HangArbitrator() | SlowArbitrator() | DiskFails() | JumpClock():
            _disturb_arbitrator(world, fault)
        case _:
            assert_never(fault)


def _change_network(world: World, fault: Split | OneWayLoss | Delay | Heal) -> None:
    match fault:
        case Split(sides=sides):
            world.network.split(sides)
        case OneWayLoss(source=source, target=target):
            world.network.lose(source, target)
        case Delay(host=host, other=other, seconds=seconds):
            world.network.delay(host, other, seconds)
        case Heal():
            world.note_heal()
            world.network.heal()
        case _:
            assert_never(fault)


def _disturb_daemon(world: World, fault: KillDaemon | StopDaemon | HangDaemon) -> None:
    daemon = world.nodes[fault.node].daemon
    match fault:
        case KillDaemon(restart_s=restart_s):
            was_on = daemon.process is not Process.OFF
            daemon.kill()
            if was_on and restart_s is not None:
                daemon.start_after(restart_s)
        case StopDaemon():
            daemon.terminate()
        case HangDaemon(seconds=seconds):
            daemon.stop()
            world.engine.after(seconds, daemon.go_on)
        case _:
            assert_never(fault)


def _disturb_arbitrator(world: World, fault: KillArbitrator | HangArbitrator | SlowArbitrator | DiskFails | JumpClock) -> None:
    arbitrator, engine = world.arbitrator, world.engine
    match fault:
        case KillArbitrator(restart_s=restart_s, disk_lost=disk_lost):
            arbitrator.kill()
            if disk_lost:
                world.disk.lose()
            if restart_s is not None:
                engine.after(restart_s, partial(_start_arbitrator, world))
        case HangArbitrator(seconds=seconds):
            arbitrator.hang()
            engine.after(seconds, arbitrator.go_on)
        case SlowArbitrator(seconds=seconds, late_s=late_s):
            arbitrator.late_s = late_s
            engine.after(seconds, partial(setattr, arbitrator, "late_s", 0.0))
        case DiskFails(seconds=seconds):
            world.disk.fails = True
            engine.after(seconds, partial(setattr, world.disk, "fails", False))
        case JumpClock(seconds=seconds):
            arbitrator.wall_offset_s += seconds
        case _:
            assert_never(fault)


def _start_arbitrator(world: World) -> None:
    if ARBITRATOR in world.network.powered:
        world.arbitrator.start()


def cut_power(world: World, host: int) -> None:
    if host == ARBITRATOR:
        world.arbitrator.lose_power()
    else:
        world.nodes[host].daemon.lose_power()
        world.nodes[host].corosync.stop()
    world.network.switch_off(host)


def power_on(world: World, host: int, disk_lost: bool = False) -> None:
    if host == ARBITRATOR:
        if disk_lost and not world.arbitrator.running:
            world.disk.lose()
        world.network.switch_on(host)
        world.arbitrator.start()
        return
    node = world.nodes[host]
    if not node.corosync.running:
        node.daemon.lose_power()
        node.corosync.start()
    world.network.switch_on(host)
    if node.daemon.process is Process.OFF:
        node.daemon.start_after(BOOT_S)


def _leave(world: World, node: int) -> None:
    """Corosync leaves its ring, so nobody has to miss it."""
    if world.nodes[node].corosync.running:
        world.totem.left_in_order(node)
        cut_power(world, node)


def repair(world: World) -> None:
    """Everything runs, and everybody hears everybody."""
    world.say("repair", "the network is whole, everything is started, the disk works")
    world.repaired_at = world.engine.now
    world.disturbed()
    world.disk.fails = False
    world.arbitrator.late_s = 0.0
    world.arbitrator.go_on()
    world.note_heal()
    world.network.heal()
    for node in world.nodes.values():
        node.daemon.go_on()
    for host in (ARBITRATOR, *world.nodes):
        power_on(world, host)
