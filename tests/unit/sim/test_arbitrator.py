from __future__ import annotations

from dataclasses import replace

from thirdvote.domain import Handover, TlsSupport
from thirdvote.sim.arbitrator import settings_of
from thirdvote.sim.faults import apply
from thirdvote.sim.qdevice import CLUSTER
from thirdvote.sim.schedule import HangArbitrator, JumpClock, KillArbitrator, PowerCut, PowerOn, Schedule, Setup, SlowArbitrator
from thirdvote.sim.world import World

SAFE = Setup()


def world(setup: Setup = SAFE) -> World:
    made = World(Schedule(5, setup, (), 1_000.0), tracing=True)
    made.engine.run(4.0)
    assert made.whole
    return made


def test_its_settings_tell_what_nodes_do_not() -> None:
    policy = settings_of(Setup(timeout_ms=1_250, sync_timeout_ms=9_000, tells_token=True)).policy_of(CLUSTER)
    assert (policy.timeout_ms, policy.sync_timeout_ms, policy.token_ms) == (1_250, 9_000, 1_000)
    assert settings_of(SAFE).policy_of(CLUSTER).timeout_ms is None, "the heartbeat tells it"
    plain = settings_of(Setup(handover=Handover.FAST, tls=False))
    assert plain.tls is TlsSupport.UNSUPPORTED
    assert plain.handover is Handover.FAST


def test_a_killed_one_ends_its_connections_and_starts_from_its_disk() -> None:
    made = world()
    apply(made, KillArbitrator(at=4.0, restart_s=1.0))
    made.engine.run(4.5)
    assert not made.arbitrator.running
    assert not any(host.daemon.connected for host in made.nodes.values())
    made.engine.run(30.0)
    assert made.whole
    assert any("starts with 1 records, all that were made" in line for line in made.trace)


def test_a_lost_disk_is_not_forgotten_by_the_next_start() -> None:
    made = world()
    apply(made, KillArbitrator(at=4.0, restart_s=1.0, disk_lost=True))
    made.engine.run(6.0)
    apply(made, KillArbitrator(at=6.0, restart_s=1.0))
    made.engine.run(30.0)
    starts = [line.split("starts with ")[1] for line in made.trace if "starts with" in line]
    assert [start.split(", ")[1] for start in starts] == ["all that were made", "not all that were made", "not all that were made"]


def test_a_hung_one_deals_with_what_has_come_before_it_looks_at_the_time() -> None:
    made = world()
    apply(made, HangArbitrator(at=4.0, seconds=14.0))
    made.engine.run(60.0)
    assert made.whole
    assert not any("silent for" in line for line in made.trace), "their goodbyes were there"


def test_a_slow_one_is_late_and_not_wrong() -> None:
    made = world()
    apply(made, SlowArbitrator(at=4.0, seconds=20.0, late_s=0.3))
    apply(made, JumpClock(at=4.0, seconds=-5_000.0))
    made.engine.run(60.0)
    assert made.whole
    assert made.failure is None


def test_a_reset_host_answers_old_connections_with_a_reset() -> None:
    made = world()
    apply(made, PowerCut(at=4.0, host=0))
    made.engine.run(5.0)
    assert all(host.daemon.connected for host in made.nodes.values()), "nobody told them"
    apply(made, PowerOn(at=5.0, host=0))
    made.engine.run(40.0)
    assert made.whole


def test_without_tls_every_end_is_without_a_goodbye() -> None:
    made = world(replace(SAFE, tls=False))
    made.nodes[1].daemon.terminate()
    made.engine.run(5.0)
    assert not any("goodbye" in line for line in made.trace if "the node's end" in line)
