"""The words for what a vote waits for."""

from __future__ import annotations

from math import inf

import pytest

from thirdvote.arbiter.releases import Absence, Manner
from thirdvote.arbiter.waits import Wait, end_of, how_lost, sentence
from thirdvote.domain import NodeId


def at(time: float) -> str:
    return f"{time:.0f} s"


class TestSentence:
    def test_it_names_the_node_that_is_waited_for_longest_why_and_until_when(self) -> None:
        waits = [Wait(NodeId(1), "silent since 3 s", 9.0), Wait(NodeId(2), "its daemon hangs since 4 s", 30.0)]
        expected = "until 30 s for node 2, which may still report quorum: its daemon hangs since 4 s; also for node 1"
        assert sentence(waits, at) == expected

    def test_what_only_an_event_ends_is_the_longest_and_has_no_time(self) -> None:
        waits = [Wait(NodeId(1), "silent since 3 s", 9.0), Wait(NodeId(2), "it has not answered yet that it has no vote", None)]
        assert sentence(waits, at).startswith("for node 2,")
        assert end_of(waits) == inf
        assert end_of(waits[:1]) == 9.0


class TestHowLost:
    @pytest.mark.parametrize("manner", Manner)
    def test_each_manner_has_its_words_with_a_time(self, manner: Manner) -> None:
        absence = Absence(manner, 10.0, 9.0, 9.0, alive=8.0)
        found = how_lost(absence, False, at)
        assert "10 s" in found
        assert [how_lost(Absence(other, 10.0, 9.0, 9.0, alive=8.0), False, at) for other in Manner].count(found) == 1

    def test_a_node_that_was_dropped_has_been_silent_before(self) -> None:
        assert "silent since 8 s" in how_lost(Absence(Manner.DROPPED, 10.0, 9.0, 9.0, alive=8.0), False, at)
        assert "since the arbitrator began at 10 s" in how_lost(Absence(Manner.DROPPED, 10.0, 9.0, 9.0, alive=None), False, at)

    def test_one_that_never_came_is_known_by_a_node_that_did(self) -> None:
        assert "in the ring of a node that is" in how_lost(Absence(Manner.GAVE_UP, 10.0, 9.0, 9.0, alive=8.0), True, at)
