"""What goes into the arbiter and what comes out: plain values, so that a server, a test and a simulator can run the same core.

Time is a float in seconds of a clock that never goes back; its zero means nothing. A connection is a number that the
shell picks and never uses again.

Effects are carried out in the order in which they were returned. An effect on a connection that is closed meanwhile
is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

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


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone, whoever ended it. `orderly`: the peer said goodbye (TLS close_notify; without TLS, end of stream)."""

    connection: int
    orderly: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Elapsed:
    """Nothing happened but time: the deadline that was asked for has come."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The server is going down: connections end without any decision."""


Input = Connected | Received | Secured | Disconnected | Elapsed | Stopping

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


Effect = Send | StartTls | Close | Note
