"""Faults of four nodes with ffsplit: halves, and several nodes that are lost together."""

from __future__ import annotations

import pytest

from tests.e2e.lab.faults import FOUR_NODES, Fault, fault_name
from tests.e2e.lab.fleet import Result
from tests.e2e.lab.settings import Settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SETTINGS = Settings(timeout_ms=4000, sync_timeout_ms=12_000)
NODES = 4


@pytest.mark.parametrize("fault", FOUR_NODES, ids=fault_name)
def test_one_vote(results: dict[str, Result], fault: Fault) -> None:
    results[fault.name].expect_safe()
