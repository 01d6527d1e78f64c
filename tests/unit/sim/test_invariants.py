from __future__ import annotations

from dataclasses import replace

import pytest

from thirdvote.domain import Algorithm, Handover, NodeId, NodeListType, RingId, Vote
from thirdvote.sim.corosync import Report
from thirdvote.sim.invariants import Reports, Votes, keeps_a_ledger, liveness_s, overlapping, wait_s
from thirdvote.sim.schedule import KillDaemon, Schedule, Setup
from thirdvote.wire.codec import encode
from thirdvote.wire.messages import NodeListReply, SetOptionReply, VoteInfo

RING = RingId(NodeId(1), 4)
BOTH = Report(True, frozenset((1, 2)))
FIRST = Report(True, frozenset((1,)))
SECOND = Report(True, frozenset((2,)))
NONE = Report(False, frozenset((2,)))


@pytest.mark.parametrize(
    ("reports", "pairs"),
    [
        ({1: BOTH, 2: BOTH}, []),
        ({1: FIRST, 2: NONE}, []),
        ({1: FIRST, 2: BOTH}, [(1, 2)]),
        ({1: FIRST, 2: SECOND}, [(1, 2), (2, 1)]),
    ],
)
def test_overlap_is_quorum_without_a_node_that_has_it_too(reports: dict[int, Report], pairs: list[tuple[int, int]]) -> None:
    assert overlapping(reports) == pairs


def test_votes_are_seen_in_whatever_carries_them() -> None:
    given = encode(VoteInfo(1, Vote.ACK, RING))
    refused = encode(VoteInfo(1, Vote.NACK, RING))
    other = encode(SetOptionReply(1, None, True))
    assert Votes.gives(given)
    assert Votes.gives(other + encode(NodeListReply(1, NodeListType.MEMBERSHIP, RING, Vote.ACK)))
    assert not Votes.gives(refused + other)
    assert not Votes.gives(b"")


def test_a_majority_of_nodes_needs_no_device_and_who_came_later_is_asked() -> None:
    reports = Reports(Setup(nodes=4))
    reports.tell(4, Report(True, frozenset((1, 2, 3, 4))))
    reports.tell(1, Report(True, frozenset((1, 2, 3))))
    assert reports.began_by_nodes_alone((1, 4))
    reports.tell(4, Report(True, frozenset((4,))))
    assert not reports.began_by_nodes_alone((1, 4))
    reports.tell(1, Report(True, frozenset((1, 2))))
    assert not reports.began_by_nodes_alone((1, 4))


def test_bounds_follow_the_timeouts() -> None:
    assert liveness_s(Setup()) < 90.0
    usual = wait_s(Schedule(1, Setup(), (), 1.0))
    assert 18.0 < usual < 33.0
    assert wait_s(Schedule(1, Setup(), (KillDaemon(1.0, 1),), 1.0)) > 30.0
    assert wait_s(Schedule(1, Setup(timeout_ms=1_250), (), 1.0)) < usual / 2


def test_where_there_is_no_ledger_none_is_asked_for() -> None:
    assert keeps_a_ledger(Setup())
    assert not keeps_a_ledger(Setup(handover=Handover.STOCK))
    assert not keeps_a_ledger(replace(Setup(), algorithm=Algorithm.TEST))
