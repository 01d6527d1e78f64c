"""The measure of all cluster tests, on made-up reports."""

from __future__ import annotations

from tests.e2e.lab.watch import Change, State, overlaps

BOTH = frozenset({1, 2})


def quorate(*members: int) -> State:
    return State(quorate=True, members=frozenset(members))


def without_quorum(*members: int) -> State:
    return State(quorate=False, members=frozenset(members))


TOGETHER = [Change(0.0, 1, quorate(1, 2)), Change(0.0, 2, quorate(1, 2))]


def test_one_ring_is_no_overlap() -> None:
    assert overlaps(TOGETHER, 9.0) == []


def test_the_vote_moves_before_the_other_side_knows() -> None:
    changes = [*TOGETHER, Change(2.0, 1, quorate(1)), Change(5.5, 2, without_quorum(2)), Change(6.0, 2, without_quorum(2))]
    assert overlaps(changes, 9.0) == [(2.0, 5.5)]


def test_the_other_side_has_given_up_first() -> None:
    changes = [*TOGETHER, Change(2.0, 2, without_quorum(2)), Change(2.1, 1, quorate(1))]
    assert overlaps(changes, 9.0) == []


def test_both_sides_are_quorate_until_the_end() -> None:
    assert overlaps([*TOGETHER, Change(2.0, 1, quorate(1)), Change(3.0, 2, quorate(2))], 9.0) == [(2.0, 9.0)]


def test_two_sides_that_are_in_one_ring_again_are_one() -> None:
    alone = State(quorate=True, members=frozenset({1}), ring=BOTH)
    joining = State(quorate=True, members=BOTH, ring=BOTH)
    assert overlaps([Change(0.0, 1, alone), Change(0.0, 2, without_quorum(2)), Change(1.0, 2, joining)], 9.0) == []
    apart = State(quorate=True, members=frozenset({1}), ring=frozenset({1}))
    assert overlaps([Change(0.0, 1, apart), Change(0.0, 2, without_quorum(2)), Change(1.0, 2, joining)], 9.0) == [(1.0, 9.0)]


def test_a_node_without_power_reports_nothing() -> None:
    assert overlaps([*TOGETHER, Change(2.0, 2, State()), Change(3.0, 1, quorate(1))], 9.0) == []


def test_every_stretch_counts() -> None:
    changes = [
        *TOGETHER,
        Change(1.0, 1, quorate(1)),
        Change(2.0, 1, without_quorum(1)),
        Change(3.0, 1, quorate(1)),
        Change(4.0, 1, quorate(1, 2)),
    ]
    assert overlaps(changes, 9.0) == [(1.0, 2.0), (3.0, 4.0)]


def test_the_lines_of_the_monitor_build_up_a_state() -> None:
    state = State()
    for event in (
        {"kind": "ring", "members": [1, 2]},
        {"kind": "quorum", "quorate": True, "members": [1, 2]},
        {"kind": "votes", "total": 3, "expected": 3, "quorum": 2, "device": True, "cast": True},
        {"kind": "ring", "members": [1]},
    ):
        state = state.after(event)
    assert state == State(True, BOTH, frozenset({1}), 3, 3, device=True, cast=True)
    assert state.after({"kind": "gone"}) == State()
