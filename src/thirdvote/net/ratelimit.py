"""How many lines of one kind are written before they are counted instead; pure, time is an argument."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

KEYS_MAX = 1_024
"""Sources remembered at a time, of about 300 bytes each; the one that was silent for longest is forgotten first."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float
    suppressed: int = 0


class RateLimit:
    """A bucket of `burst` tokens for each key, refilled with `per_second`; a line takes one."""

    def __init__(self, burst: int, per_second: float) -> None:
        self.burst = burst
        self.per_second = per_second
        self._buckets: dict[Hashable, _Bucket] = {}

    def allows(self, key: Hashable, now: float) -> bool:
        bucket = self._buckets.pop(key, None)
        if bucket is None:
            bucket = _Bucket(self.burst, now)
            self._make_room()
        self._buckets[key] = bucket  # behind all others: it spoke last
        self._refill(bucket, now)
        if bucket.tokens < 1:
            bucket.suppressed += 1
            return False
        bucket.tokens -= 1
        return True

    def take_suppressed(self, now: float) -> Iterator[tuple[Hashable, int]]:
        """Keys with lines that were not written since the last call; keys that have been silent long enough are forgotten."""
        for key, bucket in list(self._buckets.items()):
            if bucket.suppressed:
                count, bucket.suppressed = bucket.suppressed, 0
                yield key, count
                continue
            self._refill(bucket, now)
            if bucket.tokens >= self.burst:
                del self._buckets[key]

    def __len__(self) -> int:
        return len(self._buckets)

    def _refill(self, bucket: _Bucket, now: float) -> None:
        bucket.tokens = min(float(self.burst), bucket.tokens + (now - bucket.filled_at) * self.per_second)
        bucket.filled_at = now

    def _make_room(self) -> None:
        if len(self._buckets) >= KEYS_MAX:
            del self._buckets[next(iter(self._buckets))]
