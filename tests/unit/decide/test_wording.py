from __future__ import annotations

from tests.small_worlds import ids, member, ring
from thirdvote.decide.wording import name_nodes, which_is_behind


def test_nodes_are_named_in_order() -> None:
    assert name_nodes(ids(2)) == "node 2"
    assert name_nodes(ids(10, 2, 1)) == "nodes 1, 2, 10"


def test_no_node_has_words_too() -> None:
    assert name_nodes(ids()) == "no node"


def test_a_long_list_is_cut() -> None:
    assert name_nodes(ids(*range(1, 9))) == "nodes 1, 2, 3, 4, 5, 6, 7, 8"
    assert name_nodes(ids(*range(1, 2700))) == "nodes 1, 2, 3, 4, 5, 6, 7, 8 and 2691 more"


def test_the_lower_sequence_number_is_the_old_ring() -> None:
    old, new = member(1, ring(1, 4)), member(2, ring(1, 8))
    assert which_is_behind(old, new) == which_is_behind(new, old) == "node 1 has not reported the new ring yet"


def test_equal_sequence_numbers_tell_nothing() -> None:
    assert which_is_behind(member(1, ring(1, 4)), member(2, ring(2, 4))) == "nodes 1, 2 report different rings"
