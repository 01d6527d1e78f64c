"""Two nodes whose heuristics take a second: after each change of the ring the daemon casts nothing until they are over."""

from __future__ import annotations

import pytest

from tests.e2e.lab.faults import ARBITRATORS, TWO_NODES, Fault, fault_name
from tests.e2e.lab.fleet import Result
from tests.e2e.lab.settings import Settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SETTINGS = Settings(timeout_ms=4000, heuristics_s=1.0, sync_timeout_ms=12_000)
NODES = 2


@pytest.mark.parametrize("fault", [*TWO_NODES, *ARBITRATORS], ids=fault_name)
def test_one_vote(results: dict[str, Result], fault: Fault) -> None:
    results[fault.name].expect_safe()
