"""Whatever is written in whatever batches, with restarts and kills in between: a ledger is a dictionary that lasts."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from thirdvote.arbiter.record import ClusterRecord, HolderRecord
from thirdvote.domain import Algorithm, ClusterName, NodeId
from thirdvote.ledger.interface import Found
from thirdvote.ledger.rows import record_of, row_of
from thirdvote.ledger.sqlite import SqliteLedger

numbers = st.integers(0, 2**32 - 1)
node_ids = numbers.map(NodeId)
holders = st.lists(st.builds(HolderRecord, node_ids, numbers), max_size=4).map(tuple)
records = st.builds(ClusterRecord, st.sampled_from(Algorithm), st.frozensets(node_ids, max_size=5), holders)
names = st.one_of(st.sampled_from([b"", b"a", b"b", b"\x00", b"\xff"]), st.binary(max_size=40)).map(ClusterName)
batches = st.dictionaries(names, st.one_of(st.none(), records), min_size=1, max_size=8)


@given(names, records)
def test_every_record_has_its_row(name: ClusterName, record: ClusterRecord) -> None:
    assert record_of(row_of(name, record)) == (name, record)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(batches, st.just("restart")), max_size=12))
def test_a_ledger_is_a_dictionary(steps: list[dict[ClusterName, ClusterRecord | None] | str]) -> None:
    expected: dict[ClusterName, ClusterRecord] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        ledger = SqliteLedger(path)
        ledger.open()
        ledger.trust()
        for step in [*steps, "restart"]:
            if isinstance(step, dict):
                ledger.write(step)
                expected = {name: record for name, record in {**expected, **step}.items() if record is not None}
            else:
                ledger.close()
                ledger = SqliteLedger(path)
                assert ledger.open() == Found(expected)
            assert ledger.records == len(expected)
        ledger.close()
