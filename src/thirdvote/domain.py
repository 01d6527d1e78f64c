"""The words of the field as types: what every room of the program talks about.

Numbers of the enumerations are those of the qdevice-net protocol, so that the wire needs no second table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NewType

NodeId = NewType("NodeId", int)
ClusterName = NewType("ClusterName", bytes)
"""Whatever bytes the node sent; two clusters are the same when these bytes are. Print it with `printable`."""


class Vote(IntEnum):
    ACK = 1
    NACK = 2
    ASK_LATER = 3
    WAIT_FOR_REPLY = 4
    NO_CHANGE = 5


class Heuristics(IntEnum):
    """UNDEFINED means that the node runs none; it is never on the wire."""

    UNDEFINED = 0
    PASS = 1
    FAIL = 2


class NodeState(IntEnum):
    MEMBER = 1
    DEAD = 2
    LEAVING = 3


class Algorithm(IntEnum):
    TEST = 0
    FFSPLIT = 1
    TWO_NODE_LMS = 2
    LMS = 3


class NodeListType(IntEnum):
    INITIAL_CONFIG = 0
    CHANGED_CONFIG = 1
    MEMBERSHIP = 2
    QUORUM = 3


class TlsSupport(IntEnum):
    UNSUPPORTED = 0
    SUPPORTED = 1
    REQUIRED = 2


class TieBreakerMode(IntEnum):
    LOWEST = 1
    HIGHEST = 2
    NODE_ID = 3


class Handover(StrEnum):
    """When a vote may move to another partition, per cluster.

    SAFE: when nobody else can still report quorum by it. FAST: also when a lost node's ring is gone and it does not answer.
    STOCK: as corosync-qnetd does, which counts it twice at times.
    """

    SAFE = "safe"
    FAST = "fast"
    STOCK = "stock"


@dataclass(frozen=True, slots=True)
class TieBreaker:
    """`node_id` counts only in mode NODE_ID and is 0 otherwise, so that equality is equality of meaning."""

    mode: TieBreakerMode
    node_id: NodeId = NodeId(0)

    def preferred(self, node_ids: Iterable[NodeId]) -> NodeId:
        """The node that wins a tie among `node_ids`, which must not be empty."""
        match self.mode:
            case TieBreakerMode.LOWEST:
                return min(node_ids)
            case TieBreakerMode.HIGHEST:
                return max(node_ids)
            case TieBreakerMode.NODE_ID:
                return self.node_id


@dataclass(frozen=True, slots=True)
class RingId:
    """Corosync's name of one membership: who formed it, and its sequence number."""

    node_id: NodeId
    sequence: int

    def __str__(self) -> str:
        """Hexadecimal without a prefix, as Corosync's tools print it."""
        return f"{self.node_id:x}.{self.sequence:x}"


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """One entry of a node list; `data_center_id` 0 means none."""

    node_id: NodeId
    data_center_id: int = 0
    state: NodeState | None = None


PRINTED_NAME = 255
"""Characters shown of a cluster's name; a message can hold one of some 32,000, and a certificate one of 64."""


def printable(name: ClusterName) -> str:
    """The name as it may be shown on a terminal, in a log or in JSON: UTF-8 where it is that, one line, nothing that a terminal obeys."""
    text = name[: 4 * PRINTED_NAME].decode("utf-8", "surrogateescape")
    shown = "".join(map(_printable_character, text))
    return shown if len(shown) <= PRINTED_NAME else shown[:PRINTED_NAME] + "…"


def quoted(name: ClusterName) -> str:
    """The same as it can stand between double quotes: no name ends them early, and goes on as if it were the program's words."""
    return printable(name).replace('"', '\\"')


def _printable_character(character: str) -> str:
    if character.isprintable() and character != "\\":
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, as surrogateescape hands it over
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
