"""Faults of three nodes with `lms`, where the device's two votes keep the last one standing."""

from __future__ import annotations

import pytest

from tests.e2e.lab.faults import THREE_NODES_LMS, Fault, fault_name
from tests.e2e.lab.fleet import Result
from tests.e2e.lab.settings import Settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SETTINGS = Settings(algorithm="lms")
NODES = 3


@pytest.mark.parametrize("fault", THREE_NODES_LMS, ids=fault_name)
def test_one_vote(results: dict[str, Result], fault: Fault) -> None:
    results[fault.name].expect_safe()
