"""What the enrolment has to say: events in lines of JSON on standard output, which the voter puts into its log and its history.

What the network can cause is bounded here: too many lines of one kind from one address are counted instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from thirdvote.net.ratelimit import RateLimit

BURST = 20
PER_SECOND = 1.0
"""Lines of one kind from one address."""

TEXT_LENGTH_MAX = 2_000
"""Characters; the longest of ours has a few hundred."""

ENROLMENT = "enrolment"
"""The name of all its events."""


class Reporter:
    """`write` takes a line and never waits; `now` is a clock that only goes on."""

    def __init__(self, write: Callable[[str], None], now: Callable[[], float]) -> None:
        self._write = write
        self._now = now
        self._limit = RateLimit(BURST, PER_SECOND)

    def info(self, text: str, cluster: str | None = None, address: str | None = None) -> None:
        self._tell("info", text, cluster, address)

    def warning(self, text: str, cluster: str | None = None, address: str | None = None) -> None:
        self._tell("warning", text, cluster, address)

    def error(self, text: str) -> None:
        self._tell("error", text, None, None)

    def tell_suppressed(self) -> None:
        """To be called now and then."""
        for key, count in self._limit.take_suppressed(self._now()):
            assert isinstance(key, tuple)
            level, host = key
            self._send(level, f"{count} more like this were not written", None, host)

    def _tell(self, level: str, text: str, cluster: str | None, address: str | None) -> None:
        host = address.rpartition(":")[0] if address else None
        if host is None or self._limit.allows((level, host), self._now()):
            self._send(level, text, cluster, address)

    def _send(self, level: str, text: str, cluster: str | None, address: str | None) -> None:
        event = {"level": level, "event": ENROLMENT, "text": text[:TEXT_LENGTH_MAX], "cluster": cluster, "address": address}
        self._write(json.dumps({name: value for name, value in event.items() if value is not None}))
