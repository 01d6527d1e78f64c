"""Who is asked to answer, who does not, and whether at least its kernel does."""

from __future__ import annotations

import pytest

from tests.unit.arbiter.test_holders import node
from tests.world import LOWEST, ring
from thirdvote.arbiter.node import Node
from thirdvote.arbiter.presence import (
    HEARD_S,
    INSPECTED_S,
    PROBE_AGAIN_S,
    PROBE_S_MAX,
    PROBE_S_MIN,
    Presence,
    overdue_at,
    patience,
    silence,
)
from thirdvote.arbiter.referee import Board
from thirdvote.arbiter.releases import Manner
from thirdvote.decide.view import Verdict
from thirdvote.domain import NodeId


class Asked:
    """Remembers who was probed and who was looked at."""

    def __init__(self) -> None:
        self.probed: list[int] = []
        self.inspected: list[int] = []

    def probe(self, node: Node) -> int:
        self.probed.append(node.node_id)
        node.vote_info_number += 1
        return node.vote_info_number

    def inspect(self, node: Node) -> None:
        self.inspected.append(node.node_id)


def tell(node: Node, verdict: Verdict) -> int:
    raise AssertionError(f"nobody is told {verdict} here")


def present(*nodes: Node) -> tuple[Presence, Asked, Board]:
    board = Board({each.node_id: each for each in nodes}, LOWEST, tell, now=100.0)
    asked = Asked()
    return Presence(board, asked), asked, board


def test_whoever_is_in_an_older_ring_than_one_that_knows_it_is_asked() -> None:
    presence, asked, _ = present(node(1, ring(1, 14), 1), node(2, ring(1, 10), 1, 2))
    presence.probe_who_is_behind()
    assert asked.probed == [2]


def test_nobody_is_asked_in_one_ring_or_by_strangers() -> None:
    for nodes in ((node(1, ring(1, 14), 1, 2), node(2, ring(1, 14), 1, 2)), (node(1, ring(1, 14), 1), node(2, ring(2, 10), 2))):
        presence, asked, _ = present(*nodes)
        presence.probe_who_is_behind()
        assert asked.probed == []


def test_one_that_answers_and_reports_nothing_is_asked_again_after_a_while() -> None:
    two = node(2, ring(1, 10), 1, 2)
    presence, asked, board = present(node(1, ring(1, 14), 1), two)
    presence.probe_who_is_behind()
    presence.answered(two, two.vote_info_number)
    board.now += PROBE_AGAIN_S - 0.01
    presence.probe_who_is_behind()
    assert asked.probed == [2]
    board.now += 0.02
    presence.probe_who_is_behind()
    assert asked.probed == [2, 2]


def test_one_that_does_not_answer_is_absent_after_some_round_trips() -> None:
    two = node(2, ring(1, 10), 1, 2)
    two.round_trip = 0.05
    presence, _, board = present(node(1, ring(1, 14), 1), two)
    presence.probe_who_is_behind()
    assert not presence.is_absent(two)
    board.now += patience(two)
    assert presence.is_absent(two)
    presence.answered(two, two.vote_info_number)
    assert not presence.is_absent(two)
    assert two.answered_probe


def test_an_answer_to_an_older_message_is_a_sign_of_life_and_the_time_begins_anew() -> None:
    two = node(2, ring(1, 10), 1, 2)
    presence, _, board = present(two)
    presence.ask(two)
    two.vote_info_number += 1
    presence.asked(two)
    board.now += 0.9
    presence.answered(two, 1)
    board.now += 0.9
    assert not presence.is_unresponsive(two)
    board.now += 0.2
    assert presence.is_unresponsive(two)


def test_its_kernel_is_looked_at_when_it_has_had_the_time_to_answer_and_the_look_counts_for_a_moment() -> None:
    two = node(2, ring(1, 10), 1, 2)
    presence, asked, board = present(two)
    presence.ask(two)
    presence.look(two)
    assert asked.inspected == []
    board.now += PROBE_S_MAX
    presence.look(two)
    assert asked.inspected == [2]
    two.inspected_at = board.now
    assert presence.is_seen(two)
    presence.look(two)
    assert asked.inspected == [2]
    board.now += INSPECTED_S
    assert presence.was_looked_at(two)
    assert not presence.is_seen(two)


def test_a_node_that_is_asked_nothing_has_to_be_heard_shortly_after_its_next_echo() -> None:
    two = node(2, ring(1, 10), 1, 2)
    two.session.last_heard = 100.0
    overdue = overdue_at(two)
    assert overdue is not None
    assert 108.0 < overdue < 112.0
    two.asked_at = 101.0
    assert overdue_at(two) is None


def test_what_a_node_says_after_an_answer_it_says_since_it_was_asked() -> None:
    two = node(2, ring(1, 10), 1, 2)
    presence, _, board = present(two)
    two.ticked_at = board.now - 5.0
    assert two.speaks_since == board.now - 5.0
    presence.ask(two)
    sent_at, two.vote_info_number = board.now, 1
    board.now += 3.0
    presence.answered(two, 1)
    assert two.speaks_since == sent_at


def test_who_has_spoken_since_is_not_asked_again() -> None:
    one, two = node(1, ring(1, 10), 1, 2), node(2, ring(1, 10), 1, 2)
    presence, asked, board = present(one, two)
    one.answered_since, two.answered_since = board.now - 0.1, board.now - 0.3
    presence.ask_again(0.2)
    assert asked.probed == [2]


def test_an_echo_after_a_late_answer_tells_that_it_was_heard() -> None:
    two = node(2, ring(1, 10), 1, 2)
    two.answered_at, two.echoed_at, two.answer_in_doubt = 100.0, 100.0, True
    assert silence(two).in_doubt
    two.echoed_at = 108.0
    assert not silence(two).in_doubt


def test_a_node_that_has_reported_nothing_is_not_asked() -> None:
    two = node(2, ring(1, 10), 1, 2)
    two.membership_list = None
    presence, asked, _ = present(two)
    assert not presence.ask(two)
    assert asked.probed == []
    assert overdue_at(two) is None


def test_a_partition_is_heard_of_by_a_word_of_just_now_and_is_asked_for_one_else() -> None:
    one, two = node(1, ring(1, 14), 1), node(2, ring(2, 14), 2)
    presence, asked, board = present(one, two)
    one.session.last_heard = board.now - HEARD_S
    assert not presence.is_heard_of(frozenset({NodeId(1)}))
    assert asked.probed == [1]
    one.session.last_heard = board.now
    assert presence.is_heard_of(frozenset({NodeId(1)}))


@pytest.mark.parametrize(("acknowledged", "manner"), [(True, Manner.HANGS), (False, Manner.SILENT)])
def test_a_daemon_hangs_when_its_kernel_has_what_it_was_asked(acknowledged: bool, manner: Manner) -> None:
    two = node(2, ring(1, 10), 1, 2)
    presence, _, _ = present(two)
    presence.ask(two)
    two.acknowledged = acknowledged
    assert silence(two).manner is manner


@pytest.mark.parametrize(("round_trip", "seconds"), [(None, PROBE_S_MAX), (0.0, PROBE_S_MIN), (0.05, 0.4), (5.0, PROBE_S_MAX)])
def test_patience(round_trip: float | None, seconds: float) -> None:
    found = node(1, ring(1, 10), 1)
    found.round_trip = round_trip
    assert patience(found) == pytest.approx(seconds)


def test_the_next_look_at_a_node_that_was_asked_nothing_is_none() -> None:
    presence, _, _ = present()
    assert presence.next_look(node(1, ring(1, 10), 1)) == []
    assert NodeId(1) not in presence.board.nodes
