"""Random steps on real nodes: whatever happens in whatever order, never two sides with quorum, and everybody in the end."""

from __future__ import annotations

import pytest

from tests.e2e.lab.faults import Fault, fault_name
from tests.e2e.lab.fleet import Result
from tests.e2e.lab.random_steps import random_fault
from tests.e2e.lab.settings import Settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SETTINGS = Settings(timeout_ms=2500)
NODES = 2


@pytest.mark.parametrize("fault", [random_fault(number) for number in range(12)], ids=fault_name)
def test_one_vote(results: dict[str, Result], fault: Fault) -> None:
    results[fault.name].expect_safe()
