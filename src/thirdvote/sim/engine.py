"""The one clock of a simulated world: what is due next happens next, and nothing else makes time go by."""

from __future__ import annotations

import heapq
from collections.abc import Callable

Callback = Callable[[], None]


class Timer:
    """Something that will happen, unless it is cancelled."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        self.callback = None


class Engine:
    """`now` is the true time in seconds; `steps` how many things have happened."""

    __slots__ = ("_heap", "_sequence", "now", "steps", "stopped")

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        self.stopped = False
        self._sequence = 0
        self._heap: list[tuple[float, int, Timer]] = []

    def at(self, when: float, callback: Callback) -> Timer:
        """What is set for the same time happens in the order in which it was set; the past is now."""
        timer = Timer(callback)
        self._sequence += 1
        heapq.heappush(self._heap, (when if when > self.now else self.now, self._sequence, timer))
        return timer

    def after(self, seconds: float, callback: Callback) -> Timer:
        return self.at(self.now + seconds, callback)

    def stop(self) -> None:
        """`run` returns after the callback that is running."""
        self.stopped = True

    def run(self, until: float) -> None:
        """Up to and including `until`, or to `stop`."""
        heap = self._heap
        self.stopped = False
        while heap and heap[0][0] <= until and not self.stopped:
            when, _, timer = heapq.heappop(heap)
            callback = timer.callback
            if callback is not None:
                timer.callback = None
                self.now = when
                self.steps += 1
                callback()
        if not self.stopped:
            self.now = until


class Clock:
    """A host's monotonic clock: it starts anywhere, and is a little too fast or too slow."""

    __slots__ = ("_engine", "_offset", "_rate")

    def __init__(self, engine: Engine, rate: float, offset: float) -> None:
        self._engine = engine
        self._rate = rate
        self._offset = offset

    def now(self) -> float:
        return self._engine.now * self._rate + self._offset

    def true(self, local: float) -> float:
        """The true time at which this clock shows `local`."""
        return (local - self._offset) / self._rate

    def after(self, seconds: float, callback: Callback) -> Timer:
        """When `seconds` of this clock have gone by."""
        return self._engine.after(seconds / self._rate, callback)
