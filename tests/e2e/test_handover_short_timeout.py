"""The same faults with `quorum.device.timeout: 1250`, the shortest heartbeat there is: corosync is then slower than the arbitrator."""

from __future__ import annotations

import pytest

from tests.e2e.lab.faults import ARBITRATORS, HEALTHY, TWO_NODES, Fault, fault_name
from tests.e2e.lab.fleet import Result
from tests.e2e.lab.settings import Settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SETTINGS = Settings(timeout_ms=1250)
NODES = 2


@pytest.mark.parametrize("fault", [*TWO_NODES, *ARBITRATORS, *HEALTHY], ids=fault_name)
def test_one_vote(results: dict[str, Result], fault: Fault) -> None:
    results[fault.name].expect_safe()
