"""One node that is lost, second by second: its daemon, its Corosync, and what the arbitrator sees of them.

It is written from what the real programs do, and knows none of the formulas of `arbiter.releases`, which it is there to break. All
times are in seconds; the node's echoes are sent at 0, H, 2H and so on, each unless the one before is unanswered: then
it gives up. It has the vote at 0. A `Life` says everything that happens to it; a `Story` is what becomes known of it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from enum import Enum, auto
from math import inf

from thirdvote.arbiter.releases import LEAVES_S, Absence, Manner, Ring, RingChange

HOLD_OF_TOKEN = 0.18
"""Corosync works out its quorum in steps of this, two of them after a change at the most."""

LOOKS_AGAIN_S = 0.25
"""A daemon without heuristics sees that often that they are over."""

TICK_S = 0.05
"""A goodbye that comes so long before the next echo is due is not that of a daemon that gives up."""

TICKS_MAX = 80


class End(Enum):
    """What becomes of the daemon itself."""

    NONE = auto()
    KILLED = auto()
    HANGS = auto()
    STOPPED = auto()
    """In order."""


@dataclass(frozen=True)
class Life:
    """`deaf_from`: what we send from then on does not reach the node; `mute_from`: what it sends does not reach us. `ring`: when its
    ring changes, inf if it does not; `reported`: how long after that the others tell us; `steps`: the share of two steps that its
    Corosync takes then. `late`: the share of a heartbeat after which we answer an echo while the ring is whole. `poll`, `sleep`,
    `pause`: of the poll interval, of the longest sleep, of the longest pause, as shares. `breaks_at`: its connection breaks, and
    it notices. `closes_after`: heartbeats of silence after which we close the connection.
    """

    timeout: float
    sync_timeout: float
    token: float
    keeps_casting: bool
    heuristics: float
    needs_vote: bool
    deaf_from: float
    mute_from: float
    ring: float
    steps: float
    end: End
    end_at: float
    late: float
    poll: float
    sleep: float
    pause: float
    delay: float
    breaks_at: float
    reported: float
    closes_after: float

    @property
    def heartbeat(self) -> float:
        return max(1.0, int(800 * self.timeout) / 1000)

    @property
    def stops_at(self) -> float:
        """The daemon does nothing of its own from then on."""
        return self.end_at

    @property
    def interval(self) -> float:
        """Between two polls, the first one at `poll` of it."""
        return self.timeout / 2

    @property
    def stepping(self) -> float:
        return self.steps * 2 * HOLD_OF_TOKEN * self.token

    @property
    def pausing(self) -> float:
        return self.pause * max(self.heuristics, LOOKS_AGAIN_S)


@dataclass(frozen=True)
class Echoes:
    """`gave_up` is inf for a daemon that did not; `answered` and `echoed` are when the last such echo came to us."""

    gave_up: float
    answered: float
    echoed: float
    in_doubt: bool


def echoes(life: Life) -> Echoes:
    answered = echoed = life.delay - life.heartbeat
    heard, in_doubt = -inf, False
    for number in range(TICKS_MAX):
        sent = number * life.heartbeat
        if sent >= min(life.stops_at, life.breaks_at):
            break
        if heard > sent:
            return Echoes(sent, answered, echoed, in_doubt)
        heard = inf
        if sent < life.mute_from:
            echoed = sent + life.delay
            leaves = echoed + (life.late * life.heartbeat if echoed < life.ring else 0.0)
            if leaves < life.deaf_from:
                heard = leaves + life.delay
            if leaves < max(life.deaf_from, life.ring + life.reported):  # one that is behind and does not answer is not answered
                acknowledged = leaves < life.deaf_from and leaves + 2 * life.delay < life.mute_from  # by its kernel, and we know it
                answered, in_doubt = echoed, not acknowledged
    return Echoes(life.breaks_at if life.breaks_at < life.stops_at else inf, answered, echoed, in_doubt)


@dataclass(frozen=True)
class Story:
    """A life, what is seen of it, and until when the node reports quorum."""

    life: Life
    absence: Absence
    ring: Ring
    until: float


def story(life: Life) -> Story | None:
    """None: it is not lost, or in a way that is given up: see `_is_given_up`."""
    found = echoes(life)
    absence = None if _is_given_up(life, found) else _goodbye(life, found) or _silence(life, found)
    if absence is None:
        return None
    if absence.manner is Manner.SILENT and life.closes_after < inf:
        absence = replace(absence, manner=Manner.DROPPED, at=found.echoed + life.closes_after * life.heartbeat)
        if life.deaf_from == inf and absence.at + life.delay < life.stops_at:
            found = replace(found, gave_up=min(found.gave_up, absence.at + life.delay))
    return Story(life, absence, _ring(life, found), reports_until(life, found.gave_up))


def story_of_restart(life: Life, start: float) -> Story | None:
    """The same when we are not there any more at `start`, and begin anew at once; whoever is not cut off notices with its next echo."""
    cut_off = life.mute_from < inf
    noticed = inf if cut_off else min(life.breaks_at, (start // life.heartbeat + 1) * life.heartbeat)
    forgotten = replace(life, deaf_from=min(start, life.deaf_from), mute_from=min(start, life.mute_from), breaks_at=max(start, noticed))
    if life.end in (End.KILLED, End.STOPPED) or (life.end is End.HANGS and (cut_off or life.ring < inf)):
        return None
    gave_up = min(echoes(forgotten).gave_up, inf if life.end_at < noticed else noticed)
    away = Absence(Manner.DROPPED, start, start, start, alive=None)
    changed_at = life.ring + life.reported
    ring = Ring() if life.ring == inf else Ring(changed_at, (RingChange(changed_at, -inf),))
    return Story(forgotten, away, ring, reports_until(forgotten, gave_up))


# ---- until when it reports quorum


def reports_until(life: Life, gave_up: float) -> float:
    return _in_its_ring(life, gave_up) if life.ring == inf else _in_a_changed_ring(life, gave_up)


def _in_its_ring(life: Life, gave_up: float) -> float:
    """It says no when it gives up or is stopped; else Corosync drops its vote when nobody polls any more."""
    refuses = min(life.end_at if life.end is End.STOPPED else inf, inf if life.keeps_casting else gave_up)
    if life.end in (End.KILLED, End.HANGS):
        return min(refuses, _last_poll_before(life, life.end_at) + life.timeout)
    return refuses


def _last_poll_before(life: Life, time: float) -> float:
    first = (life.poll - 1) * life.interval
    return first + ((time - first) // life.interval) * life.interval


def _in_a_changed_ring(life: Life, gave_up: float) -> float:
    if life.needs_vote and _in_its_ring(life, gave_up) <= life.ring:
        return _in_its_ring(life, gave_up)
    if life.end_at <= life.ring:
        waits = life.end is not End.STOPPED and _last_poll_before(life, life.end_at) + life.timeout > life.ring
        return life.ring + life.sync_timeout if waits else life.ring + life.stepping
    return max(life.ring + life.stepping, _first_poll_for_its_ring(life, gave_up))


def _first_poll_for_its_ring(life: Life, gave_up: float) -> float:
    """Of a daemon that is there when its ring changes. Nobody has told it what to poll, before it gives up."""
    frozen = life.ring + life.sync_timeout
    polls = _by_its_timer(life, gave_up) if gave_up < life.ring else frozen if life.keeps_casting else gave_up
    if life.end is End.STOPPED:
        return min(polls, frozen, life.end_at)
    return min(polls, frozen) if polls < life.end_at else frozen


def _by_its_timer(life: Life, gave_up: float) -> float:
    awake = max(life.ring, gave_up + life.sleep * 0.9 * life.interval)
    return max(awake + life.pausing, life.ring + life.stepping) + life.poll * life.interval


# ---- what is seen of it


def _ring(life: Life, found: Echoes) -> Ring:
    """Its own report, if it came to make one; else that of others."""
    if life.ring == inf:
        return Ring()
    reports = life.ring + life.pausing
    if reports < min(found.gave_up, life.stops_at, life.mute_from):
        return Ring(unpolled_since=reports + life.delay, unpublished_since=reports + life.delay)
    changed_at = life.ring + life.reported
    return Ring(changed_at, (RingChange(changed_at, changed_at),))


def _goodbye(life: Life, found: Echoes) -> Absence | None:
    ended = life.end_at if life.end in (End.KILLED, End.STOPPED) else inf
    at = min(found.gave_up, ended)
    if at >= life.mute_from or at == inf:
        return None
    came = at + life.delay
    manner = Manner.CLOSED if life.end is End.KILLED and ended == at else Manner.GAVE_UP
    if life.end is End.STOPPED and ended == at and came < found.echoed + life.heartbeat - TICK_S - 2 * life.delay:
        manner = Manner.ENDED
    return Absence(manner, came, found.answered, found.echoed, came, found.in_doubt)


def _silence(life: Life, found: Echoes) -> Absence | None:
    reachable = life.mute_from == life.deaf_from == inf
    if reachable and life.end is not End.HANGS:
        return None
    manner = Manner.HANGS if reachable else Manner.SILENT
    return Absence(manner, found.echoed, found.answered, found.echoed, found.echoed, found.in_doubt)


def _is_given_up(life: Life, found: Echoes) -> bool:
    """Two things at once of which we see one: its connection breaks while nothing of it reaches us; its daemon hangs or dies while it is
    cut off, or after it has given up; it hangs, is cut off, and its ring changes; it is stopped in order when its ring changes.
    """
    cut_off = min(life.mute_from, life.deaf_from)
    if life.mute_from <= life.breaks_at < inf:
        return True
    if life.end is End.STOPPED and -LEAVES_S < life.ring - life.end_at < LEAVES_S:
        return True  # as if the whole node were shut down
    if life.end is End.HANGS and cut_off < inf and life.ring < inf:
        return True
    return life.end is not End.NONE and min(cut_off, found.gave_up) <= life.end_at and not _says_goodbye(life, found)


def _says_goodbye(life: Life, found: Echoes) -> bool:
    return life.end in (End.KILLED, End.STOPPED) and life.end_at < min(life.mute_from, found.gave_up)


# ---- lives at random, and at the edges


def a_life(dice: random.Random) -> Life:
    def share() -> float:
        return dice.choice((0.0, 1.0, dice.random()))

    timeout = dice.choice((1.25, 4.0, 10.0, 30.0))
    token = dice.choice((1.0, 3.0))
    span = 2.5 * timeout
    lost = dice.uniform(0.0, span)
    ring = dice.choice((inf, lost + 2.03 * token, lost + 2.2 * token, lost + dice.uniform(2.03, 14.0) * token))
    end = dice.choice((End.NONE, End.NONE, End.KILLED, End.HANGS, End.STOPPED))
    heuristics = dice.choice((0.0, 0.0, 5.0))
    cut = dice.choice((lost, lost, inf, dice.uniform(0.0, lost)))
    return Life(
        timeout=timeout,
        sync_timeout=dice.choice((30.0, 12.0)),
        token=token,
        keeps_casting=dice.random() < 0.2,
        heuristics=heuristics,
        needs_vote=dice.random() < 0.5,
        deaf_from=dice.choice((cut, inf)),
        mute_from=dice.choice((cut, inf)),
        ring=ring,
        steps=share(),
        end=end,
        end_at=inf if end is End.NONE else dice.choice((lost, dice.uniform(0.0, span))),
        late=dice.choice((0.0, 0.7, 0.9)),
        poll=share(),
        sleep=share(),
        pause=share(),
        delay=dice.uniform(0.0, 0.01),
        breaks_at=dice.choice((inf, inf, inf, lost)),
        reported=dice.choice((0.0, 0.02, 0.3)),
        closes_after=dice.choice((inf, 1.5)),
    )
