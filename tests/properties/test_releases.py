"""No life of a lost node that agrees with what is seen of it reports quorum after its release; and for each way of being lost there is one
that does so until shortly before. The node is that of `lost_node`, which knows nothing of the table.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import inf

import pytest

from tests.properties.lost_node import Life, Story, a_life, story, story_of_restart
from thirdvote.arbiter.releases import MARGIN_S, Manner, Timing, released_at, timing
from thirdvote.config import ClusterPolicy
from thirdvote.domain import Algorithm, Handover

LIVES = 25_000

NEAR_S = 0.6
NEAR_SHARE = 0.1
"""How near to its release some node reports quorum: so many seconds, or that share of the time since it was heard."""


def timing_of(life: Life) -> Timing:
    """As the arbitrator knows it, which is not told the token timeout."""
    policy = ClusterPolicy(
        Handover.SAFE,
        late_answers=True,
        sync_timeout_ms=int(life.sync_timeout * 1000),
        timeout_ms=int(life.timeout * 1000),
    )
    algorithm = Algorithm.TWO_NODE_LMS if life.keeps_casting else Algorithm.FFSPLIT
    return timing(int(life.heartbeat * 1000), algorithm, 2, life.heuristics > 0, policy)


def released(found: Story) -> float:
    until = released_at(found.absence, found.ring, timing_of(found.life))
    return inf if until is None else until


def stories(seed: int) -> Iterator[Story]:
    dice = random.Random(seed)
    for _ in range(LIVES):
        life = a_life(dice)
        for found in (story(life), story_of_restart(life, dice.uniform(0.0, 2 * life.timeout))):
            if found is not None:
                yield found


@pytest.mark.parametrize("seed", range(4))
def test_no_life_reports_quorum_after_its_release(seed: int) -> None:
    for found in stories(seed):
        assert found.until <= released(found), found


@pytest.mark.parametrize("seed", range(2))
def test_the_margin_is_not_what_keeps_it_so(seed: int) -> None:
    """It is there for clocks and schedulers, and the node here has none to fear."""
    for found in stories(seed):
        margin = 0.0 if found.absence.manner is Manner.ENDED else MARGIN_S
        assert found.until <= released(found) - margin + 1e-6, found


Row = tuple[Manner, str, bool]


def row_of(found: Story) -> Row:
    """Of the table: how it was lost, what became of its ring, and whether it stops for want of an arbitrator."""
    ring = "changed" if found.ring.changed_at is not None else "its own report" if found.ring.unpolled_since is not None else "unchanged"
    return found.absence.manner, ring, found.life.keeps_casting


def test_nobody_waits_much_longer_than_some_node_needs() -> None:
    """The token timeout is not known, so only lives with the longest of those that it may be count."""
    left: dict[Row, float] = {}
    for seed in range(4):
        for found in stories(seed):
            until = released(found)
            if until < inf and found.life.token == 3.0:
                spare = min(until - found.until - NEAR_S, until - found.until - NEAR_SHARE * (until - found.absence.echoed))
                left[row_of(found)] = min(left.get(row_of(found), inf), spare)
    assert {row for row, spare in left.items() if spare > 0} == set()
    assert {manner for manner, _, _ in left} == set(Manner)
