"""When a node that was refused the vote has no quorum any more."""

from __future__ import annotations

import pytest

from thirdvote.arbiter.holders import Holder
from thirdvote.arbiter.refusals import is_final, settles_at
from thirdvote.arbiter.releases import MARGIN_S, timing
from thirdvote.config import ClusterPolicy
from thirdvote.domain import Algorithm, Handover, NodeId

TIMING = timing(8000, Algorithm.LMS, 3, False, ClusterPolicy(Handover.SAFE, late_answers=True))
REFUSED_AT = 100.0


def refused(*members: int, said_no: bool = False, unpublished_since: float | None = None) -> Holder:
    holder = Holder(NodeId(members[0]), 8000, members=frozenset(map(NodeId, members)), refused_at=REFUSED_AT)
    holder.said_no, holder.unpublished_since = said_no, unpublished_since
    return holder


def test_one_that_was_not_refused_settles_never() -> None:
    assert settles_at(Holder(NodeId(1), 8000), TIMING) is None


@pytest.mark.parametrize(
    ("holder", "after"),
    [
        pytest.param(refused(1, said_no=True), TIMING.steps_at_most, id="its Corosync said so"),
        pytest.param(refused(1), TIMING.steps_at_most, id="alone in its ring"),
        pytest.param(refused(1, 2), TIMING.notice + MARGIN_S, id="its ring may have lost a mate"),
        pytest.param(refused(1, unpublished_since=99.0), TIMING.sync_timeout, id="its Corosync may wait for another device"),
    ],
)
def test_it_settles_when_its_corosync_has_had_the_time(holder: Holder, after: float) -> None:
    assert settles_at(holder, TIMING) == REFUSED_AT + after


@pytest.mark.parametrize(("heard", "final"), [(None, False), (109.0, False), (111.0, True)])
def test_one_with_mates_has_to_be_heard_then(heard: float | None, final: bool) -> None:
    assert is_final(refused(1, 2), 110.0, heard) is final
    assert is_final(refused(1), 110.0, heard)
    assert is_final(refused(1, 2, said_no=True), 110.0, heard)
