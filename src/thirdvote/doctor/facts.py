"""What was seen, before anybody judges it: on this host, on nodes, and on the way between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum, auto
from typing import Any

from thirdvote.config import ClusterPolicy
from thirdvote.device.quorum_text import Quorum
from thirdvote.doctor.device_text import Device


@dataclass(frozen=True, slots=True)
class Certificate:
    subject: str
    issuer: str
    """Common names."""
    valid_from: datetime
    valid_until: datetime
    fingerprint: str
    """SHA-256, hexadecimal."""
    serial_number: str = ""
    """Hexadecimal, lower case."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A service, as systemd has it."""

    name: str
    is_active: bool
    is_enabled: bool
    exists: bool = True


@dataclass(frozen=True, slots=True)
class File:
    path: str
    mode: int
    """Permission bits."""
    user: int
    is_folder: bool
    is_secret: bool
    """A key is in it, or it lets its reader rule the arbitrator."""


# ---- the arbitrator


class Answer(Enum):
    ANSWERS = auto()
    NOT_RUNNING = auto()
    CLOSED = auto()
    """The control socket is not for this user."""
    SILENT = auto()


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A connected node, as its arbitrator sees it."""

    number: int
    address: str
    has_vote: bool
    because: str
    round_trip_s: float | None
    heartbeat_ms: int | None


@dataclass(frozen=True, slots=True)
class ClusterSeen:
    name: str
    nodes: tuple[NodeSeen, ...]
    missing: tuple[int, ...]
    waiting: str = ""
    overlap_s: float | None = 0.0
    """None: without end."""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class FileSystem:
    free_bytes: int
    kind: str
    is_read_only: bool


@dataclass(frozen=True, slots=True)
class Arbitrator:
    """One on this host, whoever's; `stock` where it is a corosync-qnetd of others, of which less is known."""

    where: str
    stock: bool
    data: str
    answer: Answer
    said: str = ""
    """Why it does not answer, in the words of whoever asked."""
    hint: str = ""
    status: Mapping[str, Any] = field(default_factory=dict)
    clusters: tuple[ClusterSeen, ...] = ()
    listen_host: str | None = None
    listen_port: int = 0
    port_problem: str = ""
    """Why it does not answer where nodes look for it; empty when it does."""
    holder: int | None = None
    """The process that holds the data directory's lock."""
    port_user: str = ""
    """Another program that has the port, when the arbitrator does not run."""
    files: tuple[File, ...] = ()
    user: int = 0
    """Whose the data directory is."""
    file_system: FileSystem | None = None
    """None: the data directory is not there."""
    ledger_problem: str = ""
    certificates: tuple[Certificate, ...] = ()
    certificates_problem: str = ""
    certificates_hint: str = ""
    certificates_ending: tuple[str, ...] = ()
    authorities: tuple[str, ...] = ()
    """Fingerprints of those whose certificates are let in."""
    revoked: tuple[str, ...] = ()
    """Serial numbers of revoked certificates of clusters."""
    units: tuple[Unit, ...] = ()
    addresses: tuple[str, ...] = ()
    """Of this host."""
    told: Mapping[str, ClusterPolicy] = field(default_factory=dict)
    """What the settings say of the clusters of which nodes were looked at."""
    installed: str = ""
    """The version that a restart would run."""


# ---- a node


class Passed(IntEnum):
    """How far a connection to the arbitrator came."""

    NOTHING = 0
    TCP = 1
    PREINIT = 2
    TLS = 3
    ALL = 4
    """It answered within TLS, so it takes the certificate that it was shown."""


@dataclass(frozen=True, slots=True)
class Probe:
    passed: Passed
    problem: str = ""
    """Why it did not come further."""
    server_tls: str = ""
    """off, on or required: what the arbitrator says of itself."""
    used_tls: bool = False
    round_trip_s: float | None = None
    server: Certificate | None = None
    server_is_of_authority: bool = False
    """Signed by the one that the node trusts."""


@dataclass(frozen=True, slots=True)
class Database:
    """The certificates of a node."""

    exists: bool
    mode: int = 0
    problem: str = ""
    hint: str = ""
    authorities: tuple[Certificate, ...] = ()
    """Those that are trusted."""
    cluster: Certificate | None = None
    has_key: bool = False
    is_of_authority: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    where: str
    conf: str
    """Path of the file that a person edits."""
    conf_text: str | None = None
    missing_programs: tuple[str, ...] = ()
    has_systemd: bool = False
    units: tuple[Unit, ...] = ()
    in_force: Mapping[str, str] = field(default_factory=dict)
    """Corosync's map of keys and values; empty where it does not run."""
    quorum: Quorum | None = None
    quorum_problem: str = ""
    quorum_hangs: bool = False
    device: Device | None = None
    device_problem: str = ""
    device_hangs: bool = False
    device_log: str = ""
    """The last line of it, where it does not run."""
    database: Database | None = None
    addresses: tuple[str, ...] = ()
    """Of its interfaces."""
    resolved: tuple[str, ...] = ()
    """Addresses of quorum.device.net.host, as this node looks it up."""
    resolve_problem: str = ""
    probe: Probe | None = None
    clock_ahead_s: float | None = None
    """Of this host's; None on this host itself."""
    clock_synchronized: bool | None = None
    """None where nobody knows."""


@dataclass(frozen=True, slots=True)
class NotReached:
    where: str
    problem: str
    hint: str


@dataclass(frozen=True, slots=True)
class Facts:
    now: datetime
    arbitrators: tuple[Arbitrator, ...] = ()
    nodes: tuple[Node, ...] = ()
    not_reached: tuple[NotReached, ...] = ()
    clock_synchronized: bool | None = None
    where: str = "this host"
