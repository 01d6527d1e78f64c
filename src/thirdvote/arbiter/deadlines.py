"""One deadline for many connections, without touching a timer for each message.

A deadline that only moves later, as it does with every message, costs nothing: the entry made for the earlier time is
looked at when that time comes, and put back for the later one. Entries that no longer count are dropped when they come
up, or all at once when there are more of them than of those that do.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Generic, TypeVar

from thirdvote.domain import ClusterName

Key = TypeVar("Key", int, ClusterName)


class Deadlines(Generic[Key]):
    """`Key` names what comes up."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, Key]] = []
        self._scheduled: dict[Key, float] = {}

    def schedule(self, key: Key, when: float | None) -> None:
        """See to it that `key` comes up at `when` or before; an earlier time that is already set stays."""
        if when is None or self._scheduled.get(key, float("inf")) <= when:
            return
        self._scheduled[key] = when
        heapq.heappush(self._entries, (when, key))
        if len(self._entries) > 2 * len(self._scheduled) + 64:
            self._entries = [(at, each) for each, at in self._scheduled.items()]
            heapq.heapify(self._entries)

    def forget(self, key: Key) -> None:
        self._scheduled.pop(key, None)

    def earliest(self) -> float | None:
        while self._entries and self._scheduled.get(self._entries[0][1]) != self._entries[0][0]:
            heapq.heappop(self._entries)
        return self._entries[0][0] if self._entries else None

    def due(self, now: float) -> Iterator[Key]:
        """Those whose time has come; each is no longer scheduled when it is given."""
        while (earliest := self.earliest()) is not None and earliest <= now:
            _, key = heapq.heappop(self._entries)
            self.forget(key)
            yield key
