from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.doctor_here import arbitrator, cluster, ids, only
from thirdvote.doctor.judge_clusters import judge


def found(**changes: Any) -> list[str]:
    return ids(judge(arbitrator(clusters=(cluster(**changes),))))


def with_first_node(**changes: Any) -> list[str]:
    first, second = cluster().nodes
    return found(nodes=(replace(first, **changes), second))


def test_nothing_is_wrong() -> None:
    assert found() == []


def test_nobody_is_connected() -> None:
    finding = only(judge(arbitrator(clusters=())), "no-cluster-connected")
    assert "192.0.2.20" in finding.evidence


def test_a_node_that_is_missing_or_has_no_vote() -> None:
    assert found(missing=(2,)) == ["node-not-connected"]
    assert with_first_node(has_vote=False, because="the other half has it") == ["node-without-vote"]


def test_a_vote_that_waits_is_told_once() -> None:
    first, second = cluster().nodes
    waiting = "until 12:02:48 for node 2"
    nodes = (replace(first, has_vote=False, because=f"the vote waits {waiting}"), second)
    assert found(nodes=nodes, waiting=waiting) == ["vote-waits"]


def test_a_slow_way() -> None:
    assert with_first_node(round_trip_s=0.8) == ["path-slow"]
    assert with_first_node(round_trip_s=None) == []


@pytest.mark.parametrize(("overlap_s", "words"), [(3.2, "for 3.2 s"), (None, "without end")])
def test_an_overlap_that_the_policy_allows(overlap_s: float | None, words: str) -> None:
    finding = only(judge(arbitrator(clusters=(cluster(overlap_s=overlap_s, advice="set it"),))), "overlap-possible")
    assert words in finding.what
    assert finding.remedy == ("# set it",)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:192.0.2.20", "192.0.2.20"])
def test_a_node_on_the_arbitrators_own_host(address: str) -> None:
    assert with_first_node(address=address) == ["arbitrator-on-its-node"]
