"""When a node that was given the vote can no longer report quorum: all that is known of it, in one function.

A node *reports quorum* from the moment Corosync tells its services so until it tells them otherwise. What the arbitrator
takes back it may go on reporting, and what it reports can be asked for only while it answers. Of a node that does not,
everything follows from how its daemon (corosync-qdevice) and its Corosync keep time, measured on the real ones:

    H  heartbeat: the daemon sends an echo every H; if the one before is unanswered then, it gives its connection up
    T  quorum.device.timeout: Corosync drops a device's vote T after the daemon's last poll
    C  T / 2, the time between two polls of a daemon that has a vote, or was refused one
    S  quorum.device.sync_timeout: after a change of its ring, Corosync waits that long for a poll with the new ring. Until
       then it reports what it reported before: the node is *frozen*
    D  Corosync works out its quorum in steps of a fifth of its token timeout: two steps after a change of the ring at most
    P  the pause of the daemon's polls after a change of the ring, while its heuristics run, or D if that is longer

and from what we have seen, in our clock, where a message is seen no sooner than it was sent:

    a  when the last echo came that was answered: what it hears of us afterwards it can not have heard
    e  when the last echo came
    R  when its ring changed; the nodes that it lost report it, and notice it within SKEW of it. A report may be read late, but it left
       after the echo before it, and after we had asked what was answered before it (`RingChange.earliest`)

The token timeout is not known, and Corosync's default is assumed. But it takes Corosync two of them to notice a loss; so if a
node fell silent and lost its ring by one fault, it is at most half of the time between its last sign of life and R.

How a node can be lost, and what it does then:

SILENT: nothing comes. Either it runs and hears nothing. Then it gives up at g = a + 2H, where it casts "no" at once; or at
a + H, if its kernel had not acknowledged our last answer when it was asked something else. If its ring changed before, that
poll is also the first one for the new ring, so it is over then, frozen or not. If its ring changes only after it has given up, a
poll for the new ring comes with its timer, C + P after the change at the latest; or later if it is asleep: after giving up it
sleeps for up to 0.9 C before it connects anew, and does nothing meanwhile. Or, in a ring that is its own still, the daemon hangs; it
does so before e + H, when its next echo was due, and polls no more: T later the vote is dropped.

HANGS: nothing comes, but the node's kernel has acknowledged what we asked: the host is there, and its daemon stands still.
Its last poll was before e + H. A ring that changes within T of that finds the device alive, and Corosync waits for it: until
R + S. A daemon that hangs on a host that can not be reached, too, looks like SILENT; that case is given up, and said so in
docs/safety.md, as it can not be told from a node that lost its power, whose survivor must not wait for S.

CLOSED: the connection ended without a goodbye, at c. The daemon was killed. Its last poll may have been just before, so
until c + T. A ring that changes within that time finds the device alive, and Corosync waits for it: until R + S; and anew
with each change before that. So it does when the ring had changed before c, and no vote for the new one had come yet. If it was
started again, on a host that can not reach us, it has no vote, and is alive: a ring that changes is over when its timer polls.

GAVE_UP: a goodbye came from a daemon that goes on. It had cast "no" before it said it. A ring that changes after that
finds it alive: until its timer polls, as above. In a ring with others the token may have been lost just before.

ENDED: a goodbye came from a daemon that ends by itself: before its next echo was due, with every answer to it delivered, it
had no reason to give up. It has unregistered the device, and Corosync waits for nothing: D after a change of the ring, or after
the end if that came later. A node that is shut down leaves its ring within a moment of that, and is not waited for. In a ring with
others that are not heard of to have left it, the token may have been lost, and it does not get over that before its ring has changed.
If its ring changes long after, it may have been started again, as after a kill.

DROPPED: we ended the connection, and it may have given up at any time from then until g. Or we were not there ourselves
(`at`, `a` and `e` are our start then): the same, or a daemon that hangs.

A ring of several nodes may have lost its token unseen, once more if it had changed before, just before the node was to stop; then
what its daemon casts is not heard before the ring has changed, and its timer polls in the new one. So that time is added, where it
has mates that are not connected; or that are, if no change is known: they report it when it is too late. Two that are lost one after
the other may come together, too, where nobody hears them; then Corosync on each waits for the daemons of both. So a node without a vote
that is lost is kept in mind like a holder, as a bystander (`holders`).

A vote that was given while the token was lost already waits in Corosync's queue, and comes into force in the new ring, after the
first poll there: until the next poll, C later (`in_flight`).

Some nodes go on casting with no arbitrator at all: 2nodelms always, lms while the node has quorum and wait_for_all is on.
Only a change of their ring stops them: it takes their vote away, and if the daemon still believed itself connected then,
it polls no more, so until R + S, and S longer where the ring may change again unseen; if it had given up before, its timer polls.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from math import inf
from typing import assert_never

from thirdvote.config import ClusterPolicy
from thirdvote.domain import Algorithm

SKEW_S = 0.05
"""Two nodes that lose each other form their new rings within 2 ms of each other. One that hears the others but is heard by nobody forms its
own a token timeout later: where the setting tells the token timeout, that is waited for, too."""

HEURISTICS_S = 0.3
"""The daemon looks for the end of its heuristics every 0.25 s."""

MARGIN_S = 0.2
"""For clocks that do not run alike, and for a daemon that is scheduled late."""

TOKENS_TO_NOTICE = 2.03
TOKENS_TO_NOTICE_MAX = 2.25
"""Token timeouts from the loss of a node to the new ring, at least and at most: one without a token, and 1.2 for the consensus on who is
left; less the age of the last token.
"""

STEPS_OF_TOKEN = 0.36
"""D, in token timeouts."""

TOKEN_S_MIN = 1.0
"""The shortest that is believed: a node may also have been lost some time after its ring, though before R."""

LEAVES_S = 2.0
"""A ring that ends sooner after the end of a daemon is one that the node has left in order: Corosync does not notice a loss so fast."""

TOKEN_S = 3.0
TOKEN_PER_NODE_S = 0.65
"""Corosync's default for two nodes, and what it adds for each one above."""

HEARTBEAT_SHARE = 0.8
"""H of T, in corosync-qdevice, which then keeps it within these bounds."""
HEARTBEAT_MS_MIN = 1_000
HEARTBEAT_MS_MAX = 120_000


class Manner(Enum):
    """How a node was lost; see above."""

    SILENT = auto()
    HANGS = auto()
    CLOSED = auto()
    GAVE_UP = auto()
    ENDED = auto()
    DROPPED = auto()


@dataclass(frozen=True, slots=True)
class Absence:
    """`at`: when it was lost, or last heard if it is silent; `answered` is a, `echoed` is e. `alive`: its last sign of life, if known.
    `in_doubt`: nothing tells that it has heard the last answer.
    """

    manner: Manner
    at: float
    answered: float
    echoed: float
    alive: float | None
    in_doubt: bool = False


def unheard(since: float, manner: Manner = Manner.DROPPED) -> Absence:
    """Of a node of which nothing is known but that it has not been heard since."""
    return Absence(manner, since, since, since, alive=None)


@dataclass(frozen=True, slots=True)
class RingChange:
    """`at` is when it was reported; `earliest`: it was not before that, as the node that reports it was there, in that ring; -inf: it was
    not, or was not heard before. A report may be read late, but it left after what it had said before. Not `certain`: it may be of a
    change from before the node was given the vote.
    """

    at: float
    earliest: float
    certain: bool = True


class Mates(Enum):
    """Other nodes in the ring of a lost node: none, some of whom one is connected and would report a change, or only such as are not. Or
    none, but strangers who are not heard either, and with whom it may come together.
    """

    NONE = auto()
    WATCHING = auto()
    AWAY = auto()
    STRANGERS = auto()

    @property
    def are_unheard(self) -> bool:
        return self in (Mates.AWAY, Mates.STRANGERS)


_IN_ITS_RING = (Mates.WATCHING, Mates.AWAY)


@dataclass(frozen=True, slots=True)
class Ring:
    """`changes` since the node was heard, and no vote was given in the new ring since; `changed_at` the last one, None: no change is known.
    `mates` of the ring that it is in now as far as is known. `unpolled_since`: the node itself had reported a new ring then, and has not
    answered a vote for it; `given`: though it was given one. `unpublished_since`: nor has its Corosync told whether it has quorum in it.
    `in_flight`: it was given a vote so shortly before its ring changed that the token may have been lost already.
    """

    changed_at: float | None = None
    changes: tuple[RingChange, ...] = ()
    mates: Mates = Mates.NONE
    unpolled_since: float | None = None
    given: bool = False
    unpublished_since: float | None = None
    in_flight: bool = False


@dataclass(frozen=True, slots=True)
class Timing:
    """Of one node's daemon and Corosync, in seconds: H, T, S, how long heuristics take, and the token timeout, or the longest it may
    be unless `token_known`. `keeps_casting`: it does not stop for want of an arbitrator.
    """

    heartbeat: float
    timeout: float
    sync_timeout: float
    heuristics: float
    token: float
    token_known: bool
    keeps_casting: bool

    @property
    def poll(self) -> float:
        return self.timeout / 2

    @property
    def sleep(self) -> float:
        return 0.9 * self.poll

    @property
    def skew(self) -> float:
        return SKEW_S + (self.token if self.token_known else 0.0)

    def steps(self, changed: float, absence: Absence) -> float:
        """D, for a ring that changed then. A word or an end has come over a path that worked: then the ring was lost by another fault."""
        believed = absence.manner in (Manner.SILENT, Manner.DROPPED) and absence.alive is not None and absence.alive <= changed
        leaves = absence.manner is Manner.ENDED and 0 <= changed - absence.at < LEAVES_S
        if self.token_known or not (believed or leaves):
            return self.steps_at_most
        return STEPS_OF_TOKEN * self.token_before(changed, absence.alive)

    def token_before(self, changed: float, alive: float | None) -> float:
        """The token timeout at most, if a sign of life came before the ring was lost that changed then."""
        if self.token_known or alive is None:
            return self.token
        return min(self.token, max(TOKEN_S_MIN, (changed - alive) / TOKENS_TO_NOTICE))

    @property
    def steps_at_most(self) -> float:
        return STEPS_OF_TOKEN * self.token

    @property
    def notice(self) -> float:
        """From the loss of the token to a new ring, at most."""
        return (TOKENS_TO_NOTICE_MAX + STEPS_OF_TOKEN) * self.token


def timing(heartbeat_ms: int, algorithm: Algorithm, nodes: int, uses_heuristics: bool, policy: ClusterPolicy) -> Timing:
    """T is the longest that gives this heartbeat, or the setting's if that gives it, too. Heuristics may take half of S."""
    timeout_ms = (heartbeat_ms + 1) / HEARTBEAT_SHARE
    if policy.timeout_ms is not None and _heartbeat_ms(policy.timeout_ms) == heartbeat_ms:
        timeout_ms = policy.timeout_ms
    sync_timeout = policy.sync_timeout_ms / 1000
    return Timing(
        heartbeat=heartbeat_ms / 1000,
        timeout=timeout_ms / 1000,
        sync_timeout=sync_timeout,
        heuristics=HEURISTICS_S + sync_timeout / 2 if uses_heuristics else 0.0,
        token=TOKEN_S + TOKEN_PER_NODE_S * max(0, nodes - 2) if policy.token_ms is None else policy.token_ms / 1000,
        token_known=policy.token_ms is not None,
        keeps_casting=algorithm is Algorithm.TWO_NODE_LMS or (algorithm is Algorithm.LMS and policy.wait_for_all),
    )


def _heartbeat_ms(timeout_ms: int) -> int:
    return min(max(int(HEARTBEAT_SHARE * timeout_ms), HEARTBEAT_MS_MIN), HEARTBEAT_MS_MAX)


def released_at(absence: Absence, ring: Ring, timing: Timing) -> float | None:
    """From when on the node can not report quorum, `MARGIN_S` included; None: no time is known, only an event ends it."""
    found = _keeps_casting(absence, ring, timing) if timing.keeps_casting else _stops(absence, ring, timing)
    if found is None:
        return None
    if ring.changed_at is not None:
        found = max(found, ring.changed_at + timing.skew + timing.steps(ring.changed_at, absence))
    if ring.unpublished_since is not None:
        found = max(found, ring.unpublished_since + timing.steps_at_most)
    if ring.in_flight and absence.manner is not Manner.ENDED:
        found += timing.poll + timing.steps_at_most
    return found if absence.manner is Manner.ENDED else found + MARGIN_S


def _keeps_casting(absence: Absence, ring: Ring, timing: Timing) -> float | None:
    if absence.manner is Manner.ENDED:
        return _ended(absence, ring, timing)
    if ring.changed_at is None or not any(change.certain for change in ring.changes):
        return None if ring.unpolled_since is None or ring.given else _waited_again(ring.unpolled_since + timing.sync_timeout, ring, timing)
    if absence.manner is Manner.GAVE_UP and ring.changed_at - SKEW_S - max(HEURISTICS_S, timing.heuristics) > absence.at:
        return _timer_after(ring.changed_at, absence.at, absence, timing)
    changed = ring.changed_at if ring.unpolled_since is None else max(ring.changed_at, ring.unpolled_since)
    frozen = changed + timing.skew + timing.sync_timeout
    return _waited_again(frozen, ring, timing) if ring.mates.are_unheard else frozen


def _stops(absence: Absence, ring: Ring, timing: Timing) -> float:
    match absence.manner:
        case Manner.ENDED:
            return _ended(absence, ring, timing)
        case Manner.GAVE_UP:
            if ring.changed_at is None:
                return _lost_just_before(absence.at, absence, timing) if ring.mates in _IN_ITS_RING else absence.at
            return _changes_again(_timer_after(ring.changed_at, absence.at, absence, timing), absence, ring, timing)
        case Manner.CLOSED:
            return max(_unattended(absence.at + timing.timeout, absence, ring, timing), _started_again(absence, ring, timing))
        case Manner.HANGS:
            return max(_gives_up(absence, timing), _unattended(_hangs(absence, timing), absence, ring, timing))
        case Manner.SILENT:
            return _silent(absence, ring, timing)
        case Manner.DROPPED:
            return _dropped(absence, ring, timing)
        case _:
            assert_never(absence.manner)


def _ended(absence: Absence, ring: Ring, timing: Timing) -> float:
    """The steps after a change of the ring are added for all."""
    if ring.mates in _IN_ITS_RING:
        return absence.at + timing.notice
    if ring.changed_at is not None and ring.changed_at >= absence.at + LEAVES_S:
        return _started_again(absence, ring, timing)
    if ring.unpolled_since is not None or (ring.changed_at is not None and ring.changed_at <= absence.at):
        return absence.at + timing.steps_at_most
    return absence.at


def _started_again(absence: Absence, ring: Ring, timing: Timing) -> float:
    """If the daemon was, on a host that can not reach us, its timer polls in a ring that changed then."""
    return absence.at if ring.changed_at is None else _timer_after(ring.changed_at, -inf, absence, timing)


def _silent(absence: Absence, ring: Ring, timing: Timing) -> float:
    gives_up = _gives_up(absence, timing)
    if ring.changed_at is None:
        unseen = gives_up if ring.mates is Mates.NONE else _lost_just_before(gives_up, absence, timing)
        return max(unseen, _hangs(absence, timing))
    may_give_up = (gives_up - timing.heartbeat, gives_up) if absence.in_doubt else (gives_up,)
    before = [time for time in may_give_up if time < ring.changed_at + timing.skew]
    stops = max(gives_up, _timer_after(ring.changed_at, max(before), absence, timing)) if before else gives_up
    return _changes_again(stops, absence, ring, timing)


def _changes_again(stops: float, absence: Absence, ring: Ring, timing: Timing) -> float:
    """A ring that is known to have changed. Mates who are there would have told us, or have yet to say that they have no quorum."""
    return _lost_just_before(stops, absence, timing) if ring.mates.are_unheard else stops


def _lost_just_before(stops: float, absence: Absence, timing: Timing) -> float:
    """The token: what was to stop the node then is not heard, but the first poll in the next ring is."""
    return _timer_after(stops + timing.notice, stops, absence, timing)


def _dropped(absence: Absence, ring: Ring, timing: Timing) -> float:
    latest = _silent(absence, ring, timing)
    if absence.alive is None:
        latest = max(latest, _hangs(absence, timing))
    if ring.changed_at is not None and ring.changed_at + timing.skew > absence.at:
        gave_up = min(ring.changed_at + timing.skew, _gives_up(absence, timing))
        return max(latest, _timer_after(ring.changed_at, gave_up, absence, timing))
    return latest


def _unattended(dropped: float, absence: Absence, ring: Ring, timing: Timing) -> float:
    """Of a device that nobody polls for, whose vote is dropped then unless a change of the ring makes Corosync wait.

    A node that does not hear the others, but is heard by them, has its new ring a token timeout before they have theirs.
    """
    alive_until = dropped
    if ring.unpolled_since is not None:
        alive_until = max(alive_until, ring.unpolled_since + timing.sync_timeout)
    for change in ring.changes:
        if change.earliest - SKEW_S - timing.heuristics - timing.token_before(change.at, absence.alive) < alive_until:
            alive_until = max(alive_until, change.at + timing.skew + timing.sync_timeout)
    return _waited_again(alive_until, ring, timing)


def _waited_again(until: float, ring: Ring, timing: Timing) -> float:
    """Its ring may change unseen until then, and Corosync wait for its device once more; a mate that is connected tells us soon."""
    match ring.mates:
        case Mates.NONE:
            return until
        case Mates.WATCHING:
            return until + timing.notice
        case Mates.AWAY | Mates.STRANGERS:
            return until + timing.sync_timeout


def _gives_up(absence: Absence, timing: Timing) -> float:
    """At the latest. A daemon that stood still for a while has moved its ticks; then the last echo tells."""
    return max(absence.answered + 2 * timing.heartbeat, absence.echoed + timing.heartbeat)


def _hangs(absence: Absence, timing: Timing) -> float:
    return absence.echoed + timing.heartbeat + timing.timeout


def _timer_after(changed: float, gave_up: float, absence: Absence, timing: Timing) -> float:
    """The first poll for a ring that changed after the daemon had given up, which may sleep then."""
    pause = max(HEURISTICS_S, timing.heuristics, timing.steps(changed, absence))
    return max(changed + timing.skew, gave_up + timing.sleep) + pause + timing.poll
