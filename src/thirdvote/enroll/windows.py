"""Enrolment windows: who may log in, until when, after how many tries, and what for. Pure: time is an argument, in seconds that only go on.

A window is open from `open` until its time is over, it is closed, or its cluster has what it came for: a signed certificate
that was fetched. Then it lingers for a moment, for what a program still has to do (crmsh takes its lock away), and lets nobody
new in. A window for a cluster takes only that one; any other takes the first that asks. A lasting window (a password of the
operator's, by a setting of its own) has no end and takes as many as come.

Who has logged in has an `Access`: the windows that the password, or the key that was left in them, belongs to. A wrong password
belongs to no window, so it counts for the address it came from, and for all windows together.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from thirdvote.errors import UserError

WINDOWS_MAX = 16
"""Open at the same time: an operator with more clusters than that at once uses a lasting window."""

TRIES_OF_ADDRESS = 5
PAUSE_S = 60.0
PAUSE_S_MAX = 900.0
"""After the first tries of an address; each further pause is twice as long, up to the most."""

TRIES_OF_ALL = 20
TRIES_AFTER_PAUSE = 5
"""Wrong passwords of all addresses together, before and after a pause of `PAUSE_S` for all: a password of a person's choice may be weak."""

ADDRESSES_MAX = 1_024
"""Remembered with their tries; the one that was silent for longest is forgotten first."""

LINGER_S = 180.0
"""For a crmsh that writes its configuration to all nodes before it comes back."""

KEYS_MAX = 32
"""Of one window: one for each node of a large cluster."""

KEY_S = 3_600.0
"""How long a key lasts in a window that has no end."""

SIGNED_MAX = 20
"""Certificates of one window; a cluster needs one."""

SIGNED_PER_HOUR_MAX = 240
"""Of a lasting window."""

IPV6_PREFIX = 64
"""One customer has at least that many addresses."""

LASTING = "lasting"
"""What the id of the lasting window is shown as."""

Access = frozenset[int]


@dataclass(slots=True)
class Window:
    """`digest` is that of its password; `until` is math.inf for a lasting one."""

    number: int
    digest: bytes
    opened_at: float
    until: float
    cluster: str | None
    replace: bool
    lasting: bool = False
    taken_by: str | None = None
    """The cluster that a certificate was signed for."""
    fetched: bool = False
    signed: int = 0
    keys: dict[str, float] = field(default_factory=dict)
    """Fingerprints, with their end."""
    signed_at: list[float] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Somebody new may log in."""
        return not self.fetched

    @property
    def name(self) -> str:
        return LASTING if self.lasting else str(self.number)


@dataclass(frozen=True, slots=True)
class Ended:
    window: Window
    why: str


@dataclass(slots=True)
class _Tries:
    wrong: int = 0
    pauses: int = 0
    paused_until: float = -math.inf


class Windows:
    def __init__(self) -> None:
        self._windows: dict[int, Window] = {}
        self._numbers = 0
        self._addresses: dict[str, _Tries] = {}
        self._all = _Tries()

    def __len__(self) -> int:
        return len(self._windows)

    def all(self) -> list[Window]:
        return list(self._windows.values())

    # ---- open and closed

    def open(self, digest: bytes, now: float, for_s: float, cluster: str | None, replace: bool) -> tuple[Window, list[Ended]]:
        """The window, and those that end by it. UserError when too many are open.

        One for the same cluster ends, and one whose work is done, unless the new one is certainly for another cluster: a node that
        tries again has its key in there, and would not leave it in the new one.
        """
        older = [window for window in self._windows.values() if _makes_way(window, cluster)]
        if len(self._windows) - len(older) >= WINDOWS_MAX:
            raise UserError(f"{WINDOWS_MAX} windows are open", "close one: thirdvote enroll close")
        ended = [self._end(window, "another one was opened") for window in older]
        window = self._add(Window(0, digest, now, now + for_s, cluster, replace))
        return window, ended

    def open_lasting(self, digest: bytes, now: float) -> Window:
        return self._add(Window(0, digest, now, math.inf, None, False, lasting=True))

    def _add(self, window: Window) -> Window:
        self._numbers += 1
        window.number = self._numbers
        self._windows[window.number] = window
        self._all = _Tries()
        return window

    def close(self, number: int | None = None, cluster: str | None = None) -> list[Ended]:
        """Those that are meant; all, when neither is given. The lasting one only ends with its setting."""
        chosen = [
            window
            for window in self._windows.values()
            if not window.lasting
            and (number is None or window.number == number)
            and (cluster is None or cluster in (window.cluster, window.taken_by))
        ]
        return [self._end(window, "it was closed") for window in chosen]

    def expire(self, now: float) -> list[Ended]:
        """Those whose time is over; keys of a lasting one go, too."""
        over = [window for window in self._windows.values() if window.until <= now]
        for window in self._windows.values():
            window.keys = {key: until for key, until in window.keys.items() if until > now}
        return [self._end(window, "its work is done" if window.fetched else "its time was over") for window in over]

    def next_end(self) -> float:
        """When `expire` has something to do; math.inf for never."""
        return min((window.until for window in self._windows.values()), default=math.inf)

    def _end(self, window: Window, why: str) -> Ended:
        del self._windows[window.number]
        return Ended(window, why)

    # ---- logging in

    def anybody_may_enter(self) -> bool:
        """With a password, or with a key from before."""
        return bool(self._windows)

    def pause_left(self, address: str, now: float) -> float:
        """Seconds in which no password from there is looked at; 0 for none."""
        until = max(self._all.paused_until, self._tries_of(address).paused_until)
        return max(0.0, until - now)

    def enter(self, digest: bytes, address: str, now: float) -> Access:
        """With a password of this digest; empty when it belongs to no window, which counts as a try."""
        access = frozenset(window.number for window in self._windows.values() if window.is_open and window.digest == digest)
        if access:
            self._addresses.pop(source_of(address), None)
        else:
            self._count_wrong(address, now)
        return access

    def enter_by_key(self, fingerprint: str, now: float) -> Access:
        return frozenset(window.number for window in self._windows.values() if window.keys.get(fingerprint, -math.inf) > now)

    def tries_left(self, address: str) -> int:
        return max(0, TRIES_OF_ADDRESS - self._tries_of(address).wrong)

    def add_keys(self, access: Access, fingerprints: Iterable[str], now: float) -> None:
        """UserError when they are too many."""
        for window in self._of(access):
            known = {key: until for key, until in window.keys.items() if until > now}
            known |= {key: min(window.until, now + KEY_S) if window.lasting else math.inf for key in fingerprints}
            if len(known) > KEYS_MAX:
                raise UserError(f"more than {KEYS_MAX} keys in one window", "leave the keys of the cluster's nodes only")
            window.keys = known

    def forget_key(self, access: Access, fingerprint: str) -> None:
        """So that whoever has come into the wrong window is asked for a password again, and can come into the right one."""
        for window in self._of(access):
            window.keys.pop(fingerprint, None)

    def still_has(self, access: Access) -> bool:
        return any(number in self._windows for number in access)

    def _tries_of(self, address: str) -> _Tries:
        return self._addresses.get(source_of(address), _Tries())

    def _count_wrong(self, address: str, now: float) -> None:
        source = source_of(address)
        tries = self._addresses.pop(source, None) or _Tries()
        if len(self._addresses) >= ADDRESSES_MAX:
            del self._addresses[next(iter(self._addresses))]
        self._addresses[source] = tries
        _count(tries, now, TRIES_OF_ADDRESS, 0, growing=True)
        _count(self._all, now, TRIES_OF_ALL, TRIES_OF_ALL - TRIES_AFTER_PAUSE, growing=False)

    # ---- what it is for

    def window_for(self, access: Access, cluster: str, now: float) -> Window:
        """The window in which a certificate for `cluster` may be signed. UserError."""
        windows = self._of(access)
        for may in (_is_for, _has_taken, _is_free):
            for window in windows:
                if may(window, cluster):
                    _check_count(window, now)
                    return window
        raise _refusal(windows, cluster)

    def has_signed(self, window: Window, cluster: str, now: float) -> None:
        window.signed += 1
        if window.lasting:
            window.signed_at.append(now)
        else:
            window.taken_by = cluster

    def has_fetched(self, access: Access, cluster: str, now: float) -> Window | None:
        """The window whose work is done by that; None when it was, or it has no end."""
        for window in self._of(access):
            if window.taken_by == cluster and window.is_open:
                window.fetched = True
                window.until = min(window.until, now + LINGER_S)
                return window
        return None

    def _of(self, access: Access) -> list[Window]:
        return [self._windows[number] for number in sorted(access) if number in self._windows]


def _makes_way(window: Window, cluster: str | None) -> bool:
    if window.lasting:
        return False
    if cluster is not None and cluster in (window.cluster, window.taken_by):
        return True
    return window.fetched and cluster is None


def _count(tries: _Tries, now: float, most: int, after: int, growing: bool) -> None:
    tries.wrong += 1
    if tries.wrong < most:
        return
    pause_s = min(PAUSE_S * 2**tries.pauses, PAUSE_S_MAX) if growing else PAUSE_S
    tries.pauses += 1
    tries.wrong = after
    tries.paused_until = now + pause_s


def _is_for(window: Window, cluster: str) -> bool:
    return window.is_open and window.cluster == cluster


def _has_taken(window: Window, cluster: str) -> bool:
    return window.is_open and window.cluster is None and window.taken_by == cluster


def _is_free(window: Window, cluster: str) -> bool:
    return window.lasting or (window.is_open and window.cluster is None and window.taken_by is None)


def _check_count(window: Window, now: float) -> None:
    if window.lasting:
        window.signed_at = [at for at in window.signed_at if at > now - 3_600]
        if len(window.signed_at) >= SIGNED_PER_HOUR_MAX:
            raise UserError(f"{SIGNED_PER_HOUR_MAX} certificates were signed in the last hour", "wait, or use thirdvote ca sign")
    elif window.signed >= SIGNED_MAX:
        raise UserError(f"{SIGNED_MAX} certificates were signed in this window", "open another one: thirdvote enroll open")


def _refusal(windows: list[Window], cluster: str) -> UserError:
    if not windows:
        return UserError("the enrolment window has ended", "on the arbitrator, open another one: thirdvote enroll open")
    window = windows[0]
    owner = window.cluster or window.taken_by
    if owner == cluster:
        return UserError(f"this window has done its work for {cluster!a}", "on the arbitrator, open another one: thirdvote enroll open")
    how = "is for" if window.cluster is not None else "was taken by"
    return UserError(
        f"this window {how} the cluster {owner!a}, not for {cluster!a}", "on the arbitrator, open one more: thirdvote enroll open"
    )


def source_of(address: str) -> str:
    """Who counts as one: an IPv4 address, or an IPv6 network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, IPV6_PREFIX), strict=False))
    return str(found)
