"""Plain values: what is measured of one server, and what the kernel says about a process."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    """How many clients are connected when things are measured, and how often."""

    tiers: tuple[int, ...]
    restart_tier: int
    echoes: int
    failovers: int
    seconds: float
    """For the echoes of a tier at most, and for its failovers again."""


FULL = Plan(tiers=(10, 500, 2_000, 4_000), restart_tier=2_000, echoes=2_000, failovers=60, seconds=8.0)
QUICK = Plan(tiers=(10, 500), restart_tier=500, echoes=500, failovers=20, seconds=3.0)


@dataclass(frozen=True, slots=True)
class Spread:
    """Of times in seconds."""

    median: float
    p99: float
    count: int

    @classmethod
    def of(cls, samples: list[float]) -> Spread:
        ordered = sorted(samples)
        return cls(statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], len(ordered))


@dataclass(frozen=True, slots=True)
class Memory:
    """In KiB. `proportional` counts a page that n processes share as 1/n."""

    resident: int
    proportional: int


@dataclass(frozen=True, slots=True)
class Tier:
    clients: int
    memory: Memory
    echo: Spread
    failover: Spread


@dataclass(slots=True)
class Figures:
    """`tiers` ends early for a server that did not take its clients in time."""

    name: str
    idle: Memory
    tiers: list[Tier] = field(default_factory=list)
    restart_clients: int = 0
    restart_s: float | None = None
    """From the start of the process until every client has its vote again."""

    @property
    def memory_per_client(self) -> float:
        """Resident KiB that each client of the largest tier costs over the smallest tier."""
        first, last = self.tiers[0], self.tiers[-1]
        if first is last:
            return 0.0
        return (last.memory.resident - first.memory.resident) / (last.clients - first.clients)


def memory_of(pid: int) -> Memory:
    return Memory(_field(pid, "status", "VmRSS"), _field(pid, "smaps_rollup", "Pss"))


def _field(pid: int, file: str, name: str) -> int:
    for line in Path(f"/proc/{pid}/{file}").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(f"no {name} in /proc/{pid}/{file}")
