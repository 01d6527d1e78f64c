"""Every fault of two nodes with the device's default timeouts: never two sides with quorum, and the right one in the end."""

from __future__ import annotations

import pytest

from tests.e2e.lab.faults import ARBITRATORS, HEALTHY, LOWER, TWO_NODES, UNREACHABLE_AND_HUNG, Fault, Scene, arbitrator_stopped, fault_name
from tests.e2e.lab.fleet import Result
from tests.e2e.lab.moments import echo_due, sleep_until
from tests.e2e.lab.settings import Settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SETTINGS = Settings()
NODES = 2

ORDERLY_SECONDS_MAX = 1.0

SYNC_TIMEOUT_SECONDS = 30.0
"""How long corosync waits for a device that does not answer in a change of membership."""


def arbitrator_stops_before_an_echo(scene: Scene) -> float:
    """Until the echo before is older than one and a half heartbeats: the next one waits to be read then."""
    scene.part((1,), (2,))
    scene.wait_side(1)
    at = echo_due(scene, 1) - 0.5
    sleep_until(at)
    arbitrator_stopped(5)(scene)
    return at


STOPPED_BEFORE_AN_ECHO = Fault("split, then the arbitrator stops just before an echo", arbitrator_stops_before_an_echo, LOWER, keeps=True)


@pytest.mark.parametrize("fault", [*TWO_NODES, *ARBITRATORS, STOPPED_BEFORE_AN_ECHO], ids=fault_name)
def test_one_vote(results: dict[str, Result], fault: Fault) -> None:
    results[fault.name].expect_safe()


@pytest.mark.parametrize("fault", HEALTHY, ids=fault_name)
def test_a_fault_beside_a_healthy_cluster_takes_quorum_from_nobody(results: dict[str, Result], fault: Fault) -> None:
    results[fault.name].expect_safe()


@pytest.mark.parametrize("fault", [fault for fault in TWO_NODES if fault.name == "node 2 shuts down"], ids=fault_name)
def test_nobody_waits_for_a_node_that_leaves_in_order(results: dict[str, Result], fault: Fault) -> None:
    outcome = results[fault.name].expect_safe()
    assert outcome.detected_s is not None
    assert outcome.handover_s - outcome.detected_s < ORDERLY_SECONDS_MAX, outcome.evidence


@pytest.mark.parametrize("fault", [UNREACHABLE_AND_HUNG], ids=fault_name)
def test_a_daemon_that_hangs_out_of_reach_is_as_bad_as_it_is_said_to_be(results: dict[str, Result], fault: Fault) -> None:
    """docs/safety.md: what is not promised."""
    outcome = results[fault.name].expect()
    assert outcome.overlap_s <= SYNC_TIMEOUT_SECONDS, outcome.evidence
