"""One run of the simulator as a value: what the cluster is like, and what happens to it when.

Times are in seconds after the moment at which all daemons were started. Hosts are node ids; `ARBITRATOR` is the arbitrator's.
`literal` gives a schedule in a form that can be pasted into a test.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from thirdvote.config import SYNC_TIMEOUT_MS
from thirdvote.domain import Algorithm, Handover, TieBreakerMode

ARBITRATOR = 0

HEARTBEAT_MS_MIN = 1_000
HEARTBEAT_MS_MAX = 120_000
"""The stock client's bounds of its heartbeat."""


@dataclass(frozen=True, slots=True)
class Setup:
    """`timeout_ms` and `sync_timeout_ms` are quorum.device.timeout and .sync_timeout. `heuristics_s` is what one run of the heuristics may
    take, 0 for none. `latency_s` is one way, `persist_s` what the arbitrator's disk takes; both are drawn anew each time, up to this.
    `drift` is by how much a host's clock may be too fast or too slow. `token_ms` is totem.token, on which corosync's own pace depends;
    `tells_token`: the arbitrator's settings name it.
    """

    nodes: int = 2
    algorithm: Algorithm = Algorithm.FFSPLIT
    handover: Handover = Handover.SAFE
    timeout_ms: int = 10_000
    sync_timeout_ms: int = SYNC_TIMEOUT_MS
    token_ms: int = 1_000
    tells_token: bool = False
    tie_breaker: TieBreakerMode = TieBreakerMode.LOWEST
    keep_active_partition: bool = True
    wait_for_all: bool = False
    tls: bool = True
    late_answers: bool = True
    heuristics_s: float = 0.0
    latency_s: float = 0.002
    persist_s: float = 0.02
    drift: float = 2e-4

    @property
    def heartbeat_s(self) -> float:
        """H, as corosync-qdevice derives it."""
        return min(max(self.timeout_ms * 8 // 10, HEARTBEAT_MS_MIN), HEARTBEAT_MS_MAX) / 1000

    @property
    def timeout_s(self) -> float:
        """T: corosync drops the device's vote that long after the last poll."""
        return self.timeout_ms / 1000

    @property
    def poll_s(self) -> float:
        """C: between two polls."""
        return self.timeout_ms // 2 / 1000

    @property
    def sync_timeout_s(self) -> float:
        return self.sync_timeout_ms / 1000

    @property
    def token_s(self) -> float:
        return self.token_ms / 1000

    @property
    def device_votes(self) -> int:
        return self.nodes - 1 if self.algorithm is Algorithm.LMS else 1

    @property
    def gives_up_its_vote(self) -> bool:
        """Whether a daemon without its arbitrator stops casting the vote."""
        return self.algorithm is Algorithm.FFSPLIT or (self.algorithm is Algorithm.LMS and not self.wait_for_all)


# ---- faults


@dataclass(frozen=True, slots=True)
class Split:
    """Hosts of different sides do not hear each other, a host on no side hears all; replaces an earlier split, so no sides heal it."""

    at: float
    sides: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class OneWayLoss:
    """Nothing from `source` arrives at `target` any more, until `Heal`."""

    at: float
    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Delay:
    """Everything between two hosts takes longer, until `Heal`."""

    at: float
    host: int
    other: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Heal:
    """The network is whole and fast again."""

    at: float


@dataclass(frozen=True, slots=True)
class PowerCut:
    at: float
    host: int


@dataclass(frozen=True, slots=True)
class PowerOn:
    """Starts what does not run on the host: corosync and the daemon of a node, the arbitrator. `disk_lost` is for the arbitrator's."""

    at: float
    host: int
    disk_lost: bool = False


@dataclass(frozen=True, slots=True)
class Shutdown:
    """A node's host goes down in order: the daemon ends, corosync leaves its ring, the power goes."""

    at: float
    node: int


@dataclass(frozen=True, slots=True)
class KillDaemon:
    """SIGKILL; systemd starts it again after `restart_s`, or never."""

    at: float
    node: int
    restart_s: float | None = None


@dataclass(frozen=True, slots=True)
class StopDaemon:
    """SIGTERM."""

    at: float
    node: int


@dataclass(frozen=True, slots=True)
class HangDaemon:
    """SIGSTOP, and SIGCONT after `seconds`."""

    at: float
    node: int
    seconds: float


@dataclass(frozen=True, slots=True)
class KillCorosync:
    at: float
    node: int


@dataclass(frozen=True, slots=True)
class KillArbitrator:
    """SIGKILL; it is started again after `restart_s`, or never."""

    at: float
    restart_s: float | None = None
    disk_lost: bool = False


@dataclass(frozen=True, slots=True)
class HangArbitrator:
    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class SlowArbitrator:
    """For `seconds`, each of its turns comes up to `late_s` late."""

    at: float
    seconds: float
    late_s: float


@dataclass(frozen=True, slots=True)
class DiskFails:
    """For `seconds`, nothing that the arbitrator writes is kept, and it hears so."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class JumpClock:
    """The arbitrator's wall clock jumps; its monotonic clock does not."""

    at: float
    seconds: float


Fault: TypeAlias = (
    Split
    | OneWayLoss
    | Delay
    | Heal
    | PowerCut
    | PowerOn
    | Shutdown
    | KillDaemon
    | StopDaemon
    | HangDaemon
    | KillCorosync
    | KillArbitrator
    | HangArbitrator
    | SlowArbitrator
    | DiskFails
    | JumpClock
)

OF_THE_ARBITRATOR = (KillArbitrator, HangArbitrator, SlowArbitrator, DiskFails, JumpClock)


def is_of_the_arbitrator(fault: Fault) -> bool:
    """Whether it touches no node, and no path between nodes."""
    match fault:
        case PowerCut(host=host) | PowerOn(host=host):
            return host == ARBITRATOR
        case Split(sides=sides):
            return sum(any(host != ARBITRATOR for host in side) for side in sides) < 2
        case OneWayLoss(source=first, target=second) | Delay(host=first, other=second):
            return ARBITRATOR in (first, second)
        case Heal():
            return True
        case _:
            return isinstance(fault, OF_THE_ARBITRATOR)


@dataclass(frozen=True, slots=True)
class Schedule:
    """`seed` draws everything that is not said here: latencies, phases, jitter. After `until` everything is repaired."""

    seed: int
    setup: Setup
    faults: tuple[Fault, ...]
    until: float


def literal(value: Any) -> str:
    """The value as Python, without what is as by default."""
    if isinstance(value, tuple):
        inner = ", ".join(literal(item) for item in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, Algorithm | Handover | TieBreakerMode):
        return f"{type(value).__name__}.{value.name}"
    if not hasattr(value, "__dataclass_fields__"):
        return repr(value)
    default = Setup() if isinstance(value, Setup) else None
    parts = [
        f"{item.name}={literal(getattr(value, item.name))}"
        for item in fields(value)
        if default is None or getattr(value, item.name) != getattr(default, item.name)
    ]
    return f"{type(value).__name__}({', '.join(parts)})"
