from __future__ import annotations

from typing import Any

import pytest

from thirdvote.arbiter.record import ClusterRecord, HolderRecord
from thirdvote.domain import Algorithm, ClusterName, NodeId
from thirdvote.ledger.rows import record_of, row_of

NAME = ClusterName(b"a\x00\xff\"'")
RECORD = ClusterRecord(
    Algorithm.LMS, frozenset({NodeId(2), NodeId(1)}), (HolderRecord(NodeId(1), 8_000, unattended=True), HolderRecord(NodeId(2), 1_000))
)


def test_a_row_can_be_read_by_a_person() -> None:
    assert row_of(NAME, RECORD) == (NAME, 3, "[1, 2]", "[[1, 8000, true, false], [2, 1000, false, false]]")


def test_a_row_becomes_the_record_that_it_was() -> None:
    assert record_of(row_of(NAME, RECORD)) == (NAME, RECORD)


@pytest.mark.parametrize(
    "row",
    [
        ("text", 3, "[1]", "[]"),
        (b"c", 9, "[1]", "[]"),
        (b"c", "3", "[1]", "[]"),
        (b"c", 3, "[1", "[]"),
        (b"c", 3, "1", "[]"),
        (b"c", 3, '["1"]', "[]"),
        (b"c", 3, "[-1]", "[]"),
        (b"c", 3, "[true]", "[]"),
        (b"c", 3, "[4294967296]", "[]"),
        (b"c", 3, "[1]", "[[1]]"),
        (b"c", 3, "[1]", "[[1, 8000]]"),
        (b"c", 3, "[1]", "[[1, 8000, 1]]"),
        (b"c", 3, "[1]", "[[1, 8000, false, 1]]"),
        (b"c", 3, "[1]", "[1]"),
        (b"c", 3, None, "[]"),
        (b"c", 3, "[" * 100_000, "[]"),
        (b"c", 3, "[1]"),
    ],
)
def test_what_was_not_written_by_us_is_an_error(row: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError):
        record_of(row)
