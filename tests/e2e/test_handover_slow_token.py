"""The shortest heartbeat with Corosync's default token of 3 s: a lost node has given up its arbitrator long before its ring changes."""

from __future__ import annotations

import pytest

from tests.e2e.lab.faults import ARBITRATORS, TWO_NODES, Fault, fault_name
from tests.e2e.lab.fleet import Result
from tests.e2e.lab.settings import Settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SETTINGS = Settings(timeout_ms=1250, token_ms=3000, sync_timeout_ms=12_000)
NODES = 2


@pytest.mark.parametrize("fault", [*TWO_NODES, *ARBITRATORS], ids=fault_name)
def test_one_vote(results: dict[str, Result], fault: Fault) -> None:
    results[fault.name].expect_safe()
