"""How late an echo may be answered."""

from __future__ import annotations

import pytest

from tests.unit.arbiter.test_holders import node
from tests.world import ring
from thirdvote.arbiter.late_answers import can_be_answered_late, late_slack


@pytest.mark.parametrize(("heartbeat", "slack"), [(8.0, 0.8), (1.0, 0.2), (120.0, 12.0)])
def test_an_answer_is_there_a_tenth_of_a_heartbeat_before_the_next_echo(heartbeat: float, slack: float) -> None:
    assert late_slack(heartbeat) == pytest.approx(slack)


@pytest.mark.parametrize(("round_trip", "can"), [(None, False), (0.002, True), (0.2, True), (0.3, False)])
def test_only_where_the_way_is_known_to_be_short(round_trip: float | None, can: bool) -> None:
    two = node(2, ring(1, 10), 1, 2)
    two.round_trip = round_trip
    assert can_be_answered_late(two) is can
