"""Who may connect: connections in all, of those that have not joined a cluster yet, and by address.

Nodes that have joined are never put out for newcomers; what does not fit is closed as soon as it is accepted.
"""

from __future__ import annotations

import socket
from collections import Counter

from thirdvote.config import Limits


class Admission:
    """`most` is the bound in all that follows from the limits and from how many files the process may open."""

    def __init__(self, limits: Limits, most: int) -> None:
        self.limits = limits
        self.most = most
        self.connections = 0
        self.before_init = 0
        self._by_group: Counter[bytes] = Counter()
        self._before_init_by_group: Counter[bytes] = Counter()

    def refusal(self, group: bytes) -> str | None:
        """Why one more connection of that group does not fit; None when it does."""
        limits = self.limits
        if self.connections >= self.most:
            return f"there are {self.connections} connections, and no more are allowed"
        if self.before_init >= limits.connections_before_init:
            return f"{self.before_init} connections have not joined a cluster yet, and no more are allowed"
        if self._by_group[group] >= limits.connections_per_address:
            return f"its address has {self._by_group[group]} connections, and no more are allowed"
        if self._before_init_by_group[group] >= limits.before_init_per_address:
            return f"its address has {self._before_init_by_group[group]} connections that have not joined a cluster yet"
        return None

    def entered(self, group: bytes) -> None:
        self.connections += 1
        self.before_init += 1
        self._by_group[group] += 1
        self._before_init_by_group[group] += 1

    def joined(self, group: bytes) -> None:
        self.before_init -= 1
        _decrement(self._before_init_by_group, group)

    def left(self, group: bytes, joined: bool) -> None:
        if not joined:
            self.joined(group)
        self.connections -= 1
        _decrement(self._by_group, group)


def _decrement(counts: Counter[bytes], group: bytes) -> None:
    counts[group] -= 1
    if not counts[group]:
        del counts[group]


def group_of(host: str) -> bytes:
    """What is counted as one address: an IPv4 address, or the /64 network of an IPv6 address, which one host has whole."""
    plain = host.partition("%")[0]
    if ":" not in plain:
        return socket.inet_pton(socket.AF_INET, plain)
    packed = socket.inet_pton(socket.AF_INET6, plain)
    mapped = packed.startswith(bytes(10) + b"\xff\xff")
    return packed[12:] if mapped else packed[:8]
