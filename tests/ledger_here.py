"""Records, and ledgers in the states that a test wants to find."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thirdvote.arbiter.record import ClusterRecord, HolderRecord
from thirdvote.domain import Algorithm, ClusterName, NodeId
from thirdvote.ledger.sqlite import SqliteLedger


def record_with(*node_ids: int, heartbeat_ms: int = 8_000) -> ClusterRecord:
    """A partition of these nodes, which are all holders."""
    ids = tuple(map(NodeId, node_ids))
    return ClusterRecord(Algorithm.FFSPLIT, frozenset(ids), tuple(HolderRecord(node_id, heartbeat_ms) for node_id in ids))


WEB, DB = ClusterName(b"web"), ClusterName(b"db")


def ended_ledger(path: Path) -> None:
    """A ledger with a record of WEB, without a doubt, closed in order."""
    ledger = SqliteLedger(path)
    ledger.open()
    ledger.write({WEB: record_with(1, 2)})
    ledger.trust()
    ledger.close()


@contextmanager
def small_file_system(folder: Path, size: str = "256k") -> Iterator[None]:
    """Needs root."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


def remount(folder: Path, how: str) -> None:
    """`how`: ro or rw."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True, capture_output=True)
