"""What `--handover` changes for the survivor of a power cut."""

from __future__ import annotations

from functools import partial

import pytest

from tests.e2e.lab.arbitrator import OwnNames
from tests.e2e.lab.faults import LOWER, Fault, heartbeat_s, power_cut
from tests.e2e.lab.fleet import Plan, Result, run_side_by_side
from tests.e2e.lab.settings import Settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

POWER_CUT = Fault("node 2 without power", power_cut(2), LOWER, keeps=True)
POLICIES = ("fast", "stock")
SETTINGS = Settings()

PROBE_SECONDS_MAX = 1.0

COROSYNC_SECONDS_MAX = 0.6
"""From a vote until corosync has told its services: it takes one or two rounds of its token, which a lone node sends itself each 0.18 s."""


@pytest.fixture(scope="module")
def by_policy(real_nodes: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    plans = [Plan(policy, SETTINGS, 2, partial(OwnNames, options=("--handover", policy)), (POWER_CUT,)) for policy in POLICIES]
    return {result.plan.name: result for result in run_side_by_side(plans, tmp_path_factory.mktemp("policies"))}


def test_fast_waits_for_a_probe_only(by_policy: dict[str, Result]) -> None:
    outcome = by_policy["fast"].expect_safe()
    assert outcome.detected_s is not None
    assert outcome.handover_s - outcome.detected_s < PROBE_SECONDS_MAX + COROSYNC_SECONDS_MAX, outcome.evidence


def test_stock_waits_until_a_silent_node_counts_as_lost(by_policy: dict[str, Result]) -> None:
    """One and a half heartbeats after its last word, which was up to one heartbeat before the fault."""
    outcome = by_policy["stock"].expect_safe()
    heartbeat = heartbeat_s(SETTINGS)
    assert 0.5 * heartbeat < outcome.handover_s < 1.5 * heartbeat + COROSYNC_SECONDS_MAX, outcome.evidence
