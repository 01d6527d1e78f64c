"""Keeps records in a ledger as fast as it can, and prints a ticket when its record is promised; a test kills it.

Arguments: the ledger's path, and the first ticket. Ticket N is a record of cluster N modulo CLUSTERS with heartbeat N.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from tests.ledger_here import record_with
from thirdvote.domain import ClusterName
from thirdvote.ledger.sqlite import SqliteLedger
from thirdvote.ledger.writer import LedgerWriter

CLUSTERS = 40
AT_ONCE = 60


def cluster_of(ticket: int) -> ClusterName:
    return ClusterName(b"%d" % (ticket % CLUSTERS))


def main(path: Path, ticket: int) -> None:
    room = threading.Semaphore(AT_ONCE)

    def answered(tickets: tuple[int, ...], problem: str) -> None:
        assert not problem, problem
        os.write(1, "".join(f"{ticket}\n" for ticket in tickets).encode())
        room.release(len(tickets))

    writer = LedgerWriter(SqliteLedger(path), answered, lambda problem: None, 0.0)
    found = writer.open()
    os.write(1, f"opened {len(found.records)} {found.doubt}\n".encode())
    while True:
        room.acquire()
        writer.keep(ticket, cluster_of(ticket), record_with(1, heartbeat_ms=ticket))
        ticket += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
