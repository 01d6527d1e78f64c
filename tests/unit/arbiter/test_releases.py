"""The table of when a lost node can no longer report quorum, row by row. In `properties` a model of the node tries to break it.

Times are in seconds; the node's last answered echo came at 100, with the default timeouts: H 8, T 10, C 5, S 30.
"""

from __future__ import annotations

from math import inf

import pytest

from thirdvote.arbiter.releases import MARGIN_S, SKEW_S, Absence, Manner, Mates, Ring, RingChange, Timing, released_at, timing
from thirdvote.config import ClusterPolicy
from thirdvote.domain import Algorithm, Handover

SAFE = ClusterPolicy(Handover.SAFE, late_answers=True)
H, T, C, S = 8.0, 10.0, 5.0, 30.0
A = 100.0


def timed(
    algorithm: Algorithm = Algorithm.FFSPLIT,
    heartbeat_ms: int = 8000,
    *,
    heuristics: bool = False,
    policy: ClusterPolicy = SAFE,
    nodes: int = 2,
) -> Timing:
    return timing(heartbeat_ms, algorithm, nodes, heuristics, policy)


def policy(token_ms: int | None = None, timeout_ms: int | None = None, *, wait_for_all: bool = False) -> ClusterPolicy:
    return ClusterPolicy(Handover.SAFE, late_answers=True, timeout_ms=timeout_ms, token_ms=token_ms, wait_for_all=wait_for_all)


def lost(manner: Manner, at: float, *, answered: float = A, echoed: float = A, alive: float | None = A) -> Absence:
    return Absence(manner, at, answered, echoed, alive)


def released(absence: Absence, ring: Ring | None = None, timing: Timing | None = None) -> float:
    found = released_at(absence, ring or Ring(), timing or timed())
    assert found is not None
    return found


def gone(at: float, *, witnessed: bool = True) -> Ring:
    return Ring(at, (RingChange(at, at if witnessed else -inf),))


class TestTiming:
    def test_the_timeout_is_the_longest_that_gives_the_heartbeat(self) -> None:
        assert timed(heartbeat_ms=8000).timeout == pytest.approx(10.0, abs=0.002)
        assert timed(heartbeat_ms=8000).timeout >= 10.0

    def test_the_setting_tells_the_timeout_where_the_heartbeat_can_not(self) -> None:
        """A heartbeat of 1 s is that of every timeout up to 1,250 ms; 500 ms is one of them, 10 s is not."""
        assert timed(heartbeat_ms=1000, policy=policy(timeout_ms=500)).timeout == 0.5
        assert timed(heartbeat_ms=1000, policy=policy(timeout_ms=10_000)).timeout == pytest.approx(1.25, abs=0.002)
        assert timed(heartbeat_ms=120_000, policy=policy(timeout_ms=600_000)).timeout == 600

    def test_the_token_timeout_is_that_of_corosync_for_as_many_nodes_unless_the_setting_tells_it(self) -> None:
        assert timed().token == 3.0
        assert timed(nodes=4).token == pytest.approx(4.3)
        assert timed(policy=policy(token_ms=1000)).token == 1.0

    def test_who_goes_on_casting_without_an_arbitrator(self) -> None:
        assert timed(Algorithm.TWO_NODE_LMS).keeps_casting
        assert timed(Algorithm.LMS, policy=policy(wait_for_all=True)).keeps_casting
        assert not timed(Algorithm.LMS).keeps_casting
        assert not timed(Algorithm.FFSPLIT, policy=policy(wait_for_all=True)).keeps_casting


class TestSilent:
    def test_with_its_ring_gone_before_it_gives_up_it_is_released_when_it_does(self) -> None:
        assert released(lost(Manner.SILENT, A), gone(A + 9)) == pytest.approx(A + 2 * H + MARGIN_S)

    def test_one_that_may_not_have_heard_a_late_answer_may_have_given_up_a_heartbeat_before(self) -> None:
        """Its last answer left late. It gave up at a + 8, sleeps until a + 12.5 at the most, and its timer polls."""
        late = Absence(Manner.SILENT, A, A, A, A, in_doubt=True)
        assert released(late, gone(A + 7)) == pytest.approx(A + 2 * H + MARGIN_S)
        assert A + H + 0.9 * C + C < released(late, gone(A + 11)) < A + 20

    def test_with_its_ring_gone_after_that_its_timer_has_to_poll_first_and_it_may_sleep(self) -> None:
        """It gave up at a + 16, sleeps until a + 20.5 at the most, and polls 5 s after it has seen that its heuristics are over."""
        found = released(lost(Manner.SILENT, A), gone(A + 16.5))
        assert A + 2 * H + 0.9 * C + C < found <= A + 2 * H + 0.9 * C + C + 1.08 + 2 * MARGIN_S

    def test_a_ring_that_goes_long_after_that_finds_it_awake(self) -> None:
        found = released(lost(Manner.SILENT, A), gone(A + 60))
        assert A + 60 + SKEW_S + C < found <= A + 60 + SKEW_S + C + 1.08 + MARGIN_S + 0.01

    def test_in_an_unchanged_ring_a_daemon_that_hangs_has_its_vote_until_corosync_drops_it(self) -> None:
        assert released(lost(Manner.SILENT, A + 4, echoed=A + 4)) == pytest.approx(A + 4 + H + T + MARGIN_S, abs=0.01)

    def test_an_echo_that_was_not_answered_does_not_count_as_heard(self) -> None:
        answered = released(lost(Manner.SILENT, A + 8, answered=A + 8, echoed=A + 8), gone(A + 9))
        unanswered = released(lost(Manner.SILENT, A + 8, answered=A, echoed=A + 8), gone(A + 9))
        assert answered - unanswered == pytest.approx(H)

    def test_a_ring_that_nobody_watches_may_have_gone_when_it_gave_up(self) -> None:
        watched, unwatched = released(lost(Manner.SILENT, A)), released(lost(Manner.SILENT, A), Ring(mates=Mates.AWAY))
        assert unwatched > watched
        assert unwatched > A + 2 * H + 0.9 * C + C

    @pytest.mark.parametrize("manner", [Manner.SILENT, Manner.DROPPED, Manner.GAVE_UP])
    def test_a_changed_ring_of_several_that_nobody_watches_may_have_lost_its_token_once_more(self, manner: Manner) -> None:
        changed = gone(A + 6)
        alone = released(lost(manner, A + 4), changed)
        with_mates = released(lost(manner, A + 4), Ring(changed.changed_at, changed.changes, Mates.AWAY))
        watched = released(lost(manner, A + 4), Ring(changed.changed_at, changed.changes, Mates.WATCHING))
        assert watched == alone
        assert with_mates > alone + timed().notice + C


class TestKilled:
    def test_corosync_drops_its_vote_in_an_unchanged_ring(self) -> None:
        assert released(lost(Manner.CLOSED, A + 3)) == pytest.approx(A + 3 + T + MARGIN_S, abs=0.01)

    @pytest.mark.parametrize("gone_at", [A + 2, A + 5, A + 12.9])
    def test_a_ring_that_goes_before_that_is_waited_for_by_corosync(self, gone_at: float) -> None:
        found = released(lost(Manner.CLOSED, A + 3), gone(gone_at))
        assert gone_at + S < found <= gone_at + S + 1.2 + MARGIN_S

    def test_one_that_goes_after_it_is_not_but_it_may_have_been_started_again(self) -> None:
        assert released(lost(Manner.CLOSED, A + 3), gone(A + 30)) == pytest.approx(A + 30 + 1.08 + C + SKEW_S + MARGIN_S, abs=0.01)

    def test_unless_nobody_was_there_when_it_went(self) -> None:
        """The report says only that it went some time before."""
        assert released(lost(Manner.CLOSED, A + 3), gone(A + 30, witnessed=False)) >= A + 30 + S

    def test_each_change_before_the_wait_is_over_begins_it_anew(self) -> None:
        flapping = Ring(A + 40, (RingChange(A + 5, A + 5), RingChange(A + 7, A + 7), RingChange(A + 36, A + 36)))
        assert released(lost(Manner.CLOSED, A + 3), flapping) >= A + 36 + S

    def test_one_that_had_reported_a_new_ring_and_heard_no_vote_for_it_is_frozen(self) -> None:
        assert released(lost(Manner.CLOSED, A + 3), Ring(unpolled_since=A + 2)) == pytest.approx(A + 2 + S + MARGIN_S, abs=0.2)

    def test_in_a_ring_that_nobody_watches_a_change_is_presumed(self) -> None:
        assert released(lost(Manner.CLOSED, A + 3), Ring(mates=Mates.AWAY)) == pytest.approx(A + 3 + T + S + MARGIN_S, abs=0.01)

    def test_in_one_that_is_watched_the_time_that_it_takes_to_notice_a_change_is_added(self) -> None:
        watched = released(lost(Manner.CLOSED, A + 3), Ring(mates=Mates.WATCHING))
        assert watched == pytest.approx(A + 3 + T + 3.0 * 2.61 + MARGIN_S, abs=0.01)

    def test_a_longer_sync_timeout_is_waited_for(self) -> None:
        longer = ClusterPolicy(Handover.SAFE, late_answers=True, sync_timeout_ms=60_000)
        absence, ring = lost(Manner.CLOSED, A + 3), gone(A + 4)
        assert released(absence, ring, timed(policy=longer)) - released(absence, ring) == pytest.approx(30)


class TestHangs:
    """The node's kernel acknowledges, its daemon does nothing."""

    def test_in_an_unchanged_ring_corosync_drops_its_vote(self) -> None:
        assert released(lost(Manner.HANGS, A + 4, echoed=A + 4)) == pytest.approx(A + 4 + H + T + MARGIN_S, abs=0.01)

    def test_a_ring_that_goes_before_that_is_waited_for_by_corosync(self) -> None:
        found = released(lost(Manner.HANGS, A + 4, echoed=A + 4), gone(A + 9))
        assert A + 9 + S < found <= A + 9 + S + 1.2


class TestGoodbye:
    def test_who_ended_in_order_is_released_at_once(self) -> None:
        assert released(lost(Manner.ENDED, A + 3)) == A + 3

    def test_and_a_change_of_the_ring_right_after_it_makes_nobody_wait_for_long(self) -> None:
        """Corosync leaves 10 ms after its daemon."""
        assert released(lost(Manner.ENDED, A + 3, alive=A + 3), gone(A + 3.01)) < A + 3.5

    def test_who_gave_up_has_cast_no_before_it_said_so(self) -> None:
        assert released(lost(Manner.GAVE_UP, A + 16)) == pytest.approx(A + 16 + MARGIN_S)

    def test_but_a_ring_that_changes_after_that_is_frozen_until_its_timer_polls(self) -> None:
        found = released(lost(Manner.GAVE_UP, A + 16), gone(A + 17))
        assert A + 16 + 0.9 * C + C < found <= A + 16 + 0.9 * C + C + 1.08 + 2 * MARGIN_S

    @pytest.mark.parametrize("mates", [Mates.WATCHING, Mates.AWAY])
    def test_one_that_ended_among_others_that_may_be_lost_already_is_waited_for_until_they_have_noticed(self, mates: Mates) -> None:
        assert released(lost(Manner.ENDED, A + 3), Ring(mates=mates)) == A + 3 + timed().notice

    def test_strangers_do_not_hold_up_one_that_ended(self) -> None:
        assert released(lost(Manner.ENDED, A + 3), Ring(mates=Mates.STRANGERS)) == A + 3

    def test_one_that_ended_long_before_its_ring_changed_may_have_been_started_again(self) -> None:
        found = released(lost(Manner.ENDED, A + 3, alive=A + 3), gone(A + 30))
        assert A + 30 + C < found < A + 30 + C + 2

    def test_one_that_gave_up_among_others_may_have_lost_its_token_just_before(self) -> None:
        found = released(lost(Manner.GAVE_UP, A + 16), Ring(mates=Mates.AWAY))
        assert found > A + 16 + timed().notice + C


class TestDropped:
    def test_after_a_restart_whoever_hangs_has_its_vote_until_corosync_drops_it(self) -> None:
        absence = Absence(Manner.DROPPED, A, A, A, alive=None)
        assert released(absence) == pytest.approx(A + H + T + MARGIN_S, abs=0.01)

    def test_and_never_less_than_it_takes_to_give_up(self) -> None:
        absence = Absence(Manner.DROPPED, A, A, A, alive=None)
        assert released(absence, gone(A + 1)) >= A + 2 * H

    def test_one_that_noticed_and_sleeps_is_waited_for_when_the_ring_goes_afterwards(self) -> None:
        found = released(lost(Manner.DROPPED, A + 12), gone(A + 13))
        assert A + 12 + 0.9 * C + C < found <= A + 13 + 0.9 * C + C + 1.08 + 2 * MARGIN_S

    def test_one_whose_ring_was_gone_before_gives_up_as_if_it_were_silent(self) -> None:
        """Our end of the connection can only make it give up sooner."""
        assert released(lost(Manner.DROPPED, A + 12), gone(A + 9)) == pytest.approx(A + 2 * H + MARGIN_S)

    def test_after_a_restart_it_may_have_given_up_just_before_its_ring_changed(self) -> None:
        found = released(Absence(Manner.DROPPED, A, A, A, alive=None), gone(A + 15))
        assert found >= A + 15 + 0.9 * C + C


class TestKeepsCasting:
    timing = timed(Algorithm.TWO_NODE_LMS)

    @pytest.mark.parametrize("manner", [Manner.SILENT, Manner.CLOSED, Manner.DROPPED])
    def test_no_time_releases_it_in_its_ring(self, manner: Manner) -> None:
        assert released_at(lost(manner, A + 5), Ring(), self.timing) is None

    @pytest.mark.parametrize("manner", [Manner.SILENT, Manner.CLOSED, Manner.DROPPED])
    def test_a_change_of_its_ring_takes_its_vote_away_once_corosync_has_waited(self, manner: Manner) -> None:
        found = released(lost(manner, A + 5), gone(A + 9), self.timing)
        assert A + 9 + S < found <= A + 9 + S + 0.5

    def test_a_change_that_may_be_older_than_its_vote_does_not(self) -> None:
        older = Ring(A + 9, (RingChange(A + 9, -inf, certain=False),))
        assert released_at(lost(Manner.DROPPED, A + 5), older, self.timing) is None

    def test_one_that_gave_up_before_polls_no_by_its_timer(self) -> None:
        assert released(lost(Manner.GAVE_UP, A + 5), gone(A + 9), self.timing) < A + 9 + S

    @pytest.mark.parametrize("given", [True, False])
    def test_one_that_may_have_got_its_vote_for_its_new_ring_goes_on_in_it(self, given: bool) -> None:
        found = released_at(lost(Manner.SILENT, A + 3), Ring(unpolled_since=A + 2, given=given), self.timing)
        assert found == (None if given else pytest.approx(A + 2 + S + MARGIN_S, abs=0.1))


class TestToken:
    def test_where_it_is_known_a_node_that_nobody_hears_may_notice_that_much_later(self) -> None:
        absence, ring = lost(Manner.CLOSED, A + 3), gone(A + 4)
        known = released(absence, ring, timed(policy=policy(token_ms=2000)))
        assert known >= A + 4 + 2.0 + S

    def test_a_quick_heartbeat_waits_for_the_steps_in_which_corosync_works(self) -> None:
        """H 1 s: it has given up long before the two steps of a long token are over."""
        quick = timed(heartbeat_ms=1000, policy=policy(token_ms=10_000))
        absence = Absence(Manner.SILENT, A, A, A, A)
        assert released(absence, gone(A + 1.5), quick) >= A + 1.5 + 3.6


def test_heuristics_put_the_poll_off() -> None:
    absence, ring = lost(Manner.GAVE_UP, A + 16), gone(A + 60)
    slower = released(absence, ring, timed(heuristics=True)) - released(absence, ring)
    assert slower >= S / 2 - 1.1


class TestAVoteInFlight:
    """It waits in Corosync's queue while the token is lost, and is in force from the first poll in the new ring until the next one."""

    @pytest.mark.parametrize("manner", [Manner.SILENT, Manner.DROPPED, Manner.GAVE_UP, Manner.CLOSED, Manner.HANGS])
    def test_is_waited_for_one_poll_and_the_steps_of_corosync_longer(self, manner: Manner) -> None:
        own = Ring(unpolled_since=A + 1)
        later = released(lost(manner, A + 2), Ring(unpolled_since=A + 1, in_flight=True)) - released(lost(manner, A + 2), own)
        assert later == pytest.approx(timed().poll + timed().steps_at_most)

    def test_is_of_no_account_where_the_device_is_unregistered(self) -> None:
        ended = lost(Manner.ENDED, A + 2)
        assert released(ended, Ring(in_flight=True)) == released(ended, Ring())
