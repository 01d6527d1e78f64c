from __future__ import annotations

from typing import Any

import pytest

from thirdvote.pki.needed import who_needs_it


def node(number: int, configured: int, members: list[int], has_vote: bool = True) -> dict[str, Any]:
    return {
        "node": number,
        "has_vote": has_vote,
        "config_list": [{"node": each + 1} for each in range(configured)],
        "membership_list": [{"node": each} for each in members],
    }


def cluster(*nodes: dict[str, Any], algorithm: str = "ffsplit") -> dict[str, Any]:
    return {"algorithm": algorithm, "nodes": list(nodes)}


def test_a_whole_cluster_needs_no_vote() -> None:
    assert who_needs_it(cluster(node(1, 2, [1, 2]), node(2, 2, [1, 2]))) == []


def test_a_survivor_does() -> None:
    assert who_needs_it(cluster(node(1, 2, [1]))) == [1]


def test_one_that_has_no_vote_has_nothing_to_lose() -> None:
    assert who_needs_it(cluster(node(1, 2, [1]), node(2, 2, [2], has_vote=False))) == [1]


def test_only_those_that_show_the_certificate() -> None:
    split = cluster(node(1, 4, [1, 2]), node(2, 4, [1, 2]))
    assert who_needs_it(split) == [1, 2]
    assert who_needs_it(split, [2, 3]) == [2]
    assert who_needs_it(split, []) == []


def test_a_majority_of_nodes_goes_on_by_itself() -> None:
    three_of_four = [node(number, 4, [1, 2, 3]) for number in (1, 2, 3)]
    assert who_needs_it(cluster(*three_of_four)) == []


@pytest.mark.parametrize(("members", "needing"), [([1, 2, 3], []), ([1, 2], [1, 2]), ([1], [1])])
def test_under_lms_nobody_may_miss_a_node_without_the_device(members: list[int], needing: list[int]) -> None:
    assert who_needs_it(cluster(*(node(number, 3, members) for number in members), algorithm="lms")) == needing


def test_nothing_is_known_of_nodes_that_have_reported_nothing() -> None:
    assert who_needs_it(cluster(node(1, 0, [], has_vote=False))) == []
