"""What goes into the arbiter and what comes out: plain values, so that a server, a test and a simulator can run the same core.

Time is a float in seconds of a clock that never goes back; its zero means nothing. A connection is a number that the
shell picks and never uses again.

Effects are carried out in the order in which they were returned. An effect on a connection that is closed meanwhile
is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum, auto

from thirdvote.arbiter.record import ClusterRecord
from thirdvote.config import Settings
from thirdvote.domain import ClusterName, NodeId

# ---- in


@dataclass(frozen=True, slots=True)
class Connected:
    """`address` is for people: "192.0.2.1:40122"."""

    connection: int
    address: str


@dataclass(frozen=True, slots=True)
class Received:
    """Bytes in the order in which they came, TLS already taken off."""

    connection: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Secured:
    """The TLS handshake ended well. `certificate_names`: the client's DNS names, else its common names; empty without a certificate."""

    connection: int
    certificate_names: tuple[bytes, ...]


class Ending(Enum):
    """GOODBYE: TLS close_notify, which a process sends that ends its connection by itself. CLOSED: the peer's kernel ended it
    without one, as it does for a process that was killed; without TLS every end is this. LOST: nothing was heard of the peer
    (a timeout of the network, a write that failed), or it was we who ended it.
    """

    GOODBYE = auto()
    CLOSED = auto()
    LOST = auto()


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone. `delivered`: the peer's kernel had acknowledged every byte that was sent to it."""

    connection: int
    ending: Ending
    reason: str
    delivered: bool = True


@dataclass(frozen=True, slots=True)
class Persisted:
    """What `Persist` asked for under these tickets is on the disk; or is not, when `problem` says why (a clause for a person)."""

    tickets: tuple[int, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Inspected:
    """A kernel acknowledges for a process that hangs, too; one without power or network does not."""

    connection: int
    acknowledged: bool


@dataclass(frozen=True, slots=True)
class Release:
    """The operator's word that these nodes are off, and can not report quorum. Nodes that are connected, and answer, are not touched."""

    cluster: ClusterName
    node_ids: frozenset[NodeId]


@dataclass(frozen=True, slots=True)
class Reconfigure:
    """For what happens from now on; connections keep the limits with which they began."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class Elapsed:
    """Nothing happened but time: the deadline that was asked for has come."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The server is going down: connections end without any decision."""


Input = Connected | Received | Secured | Disconnected | Persisted | Inspected | Release | Reconfigure | Elapsed | Stopping

# ---- out


@dataclass(frozen=True, slots=True)
class Send:
    connection: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """From here on both directions are TLS. `early` is what the client had already sent of it."""

    connection: int
    early: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Send what is queued, then close."""

    connection: int
    reason: str


@dataclass(frozen=True, slots=True)
class Persist:
    """Keep `record` for the cluster, None: nothing; answered by `Persisted` with `ticket`. A later one of the same cluster replaces it.

    The order of tickets is the order in which records count; several may be written at once, and answered at once.
    """

    ticket: int
    cluster: ClusterName
    record: ClusterRecord | None


@dataclass(frozen=True, slots=True)
class Inspect:
    """Look whether the peer's kernel has acknowledged all that was sent to it; answered by `Inspected` at once."""

    connection: int


class Level(IntEnum):
    """ERROR: a person has to act. WARNING: a cluster may be without its vote. INFO: votes and nodes come and go. DEBUG: each message."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class NoteKind(StrEnum):
    """The stable name of what happened; logs and subscribers may rely on it."""

    CONNECTED = "connected"
    REFUSED = "refused"
    PROTOCOL_ERROR = "protocol-error"
    JOINED = "joined"
    LEFT = "left"
    CHANGED = "changed"
    WAITING = "waiting"
    VOTE_SENT = "vote-sent"
    DECIDED = "decided"
    HELD_BACK = "held-back"
    RELEASED = "released"
    LEDGER = "ledger"


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a person may want to know, with its reason."""

    level: Level
    kind: NoteKind
    text: str
    cluster: ClusterName | None = None
    node: NodeId | None = None
    connection: int | None = None
    address: str | None = None


Effect = Send | StartTls | Close | Persist | Inspect | Note
