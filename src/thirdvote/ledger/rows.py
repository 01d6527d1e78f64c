"""A cluster's record as the columns of a row. Names are bytes; lists are JSON, so that a person can read the table."""

from __future__ import annotations

import json
from typing import Any

from thirdvote.arbiter.record import ClusterRecord, HolderRecord
from thirdvote.domain import Algorithm, ClusterName, NodeId

Row = tuple[bytes, int, str, str]
"""Name; algorithm by its number in the protocol; node ids "[1, 2]"; holders "[[1, 8000, false, false]]", each with its
heartbeat in ms, whether its daemon was killed or hangs, and whether it is only presumed to be one, which schema 1 does not have.
"""


def row_of(name: ClusterName, record: ClusterRecord) -> Row:
    partition = json.dumps(sorted(record.partition))
    holders = json.dumps([[each.node_id, each.heartbeat_ms, each.unattended, each.presumed] for each in record.holders])
    return name, int(record.algorithm), partition, holders


def record_of(row: tuple[Any, ...]) -> tuple[ClusterName, ClusterRecord]:
    """ValueError for what `row_of` can not have made."""
    try:
        name, algorithm, partition, holders = row
        record = ClusterRecord(
            Algorithm(algorithm),
            frozenset(NodeId(_number(node_id)) for node_id in json.loads(partition)),
            tuple(_holder(*each) for each in json.loads(holders)),
        )
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if not isinstance(name, bytes):
        raise ValueError("a name that is not bytes")
    return ClusterName(name), record


def _holder(node_id: object, heartbeat_ms: object, unattended: object, presumed: object = False) -> HolderRecord:
    return HolderRecord(NodeId(_number(node_id)), _number(heartbeat_ms), _boolean(unattended), _boolean(presumed))


def _boolean(value: object) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def _number(value: object) -> int:
    """What the protocol has: 32 bits without a sign."""
    if type(value) is not int or not 0 <= value < 1 << 32:
        raise ValueError(f"{value!r} is not a number of 32 bits")
    return value
