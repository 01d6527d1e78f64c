"""A process that is killed at any instant has lost no record that it promised."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from tests.ledger_driver import CLUSTERS, cluster_of
from tests.ledger_here import WEB, ended_ledger
from thirdvote.domain import ClusterName
from thirdvote.ledger.sqlite import SqliteLedger

KILLS = 60

LONGEST_S = 0.12
"""After its first word: some hundred transactions, and a few moves of the log into the file."""


START_S = (0.05, 0.25)
"""After its start: in most of these it is about to open the ledger."""


def run_and_kill(path: Path, first: int, after_s: float, is_open: bool) -> tuple[str, list[int]]:
    """What it said of what it found, and the tickets that it promised. `after_s` counts from its first word if `is_open`."""
    command = [sys.executable, "-m", "tests.ledger_driver", str(path), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        opened = process.stdout.readline() if is_open else ""
        time.sleep(after_s)  # the instant of the kill is what is tried
        process.kill()
        opened = opened or process.stdout.readline()
        promised = [int(line) for line in process.stdout if line.endswith("\n")]
    return opened.rstrip("\n"), promised


def test_no_kill_loses_what_was_promised(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    chance = random.Random(20)
    ended_ledger(path)
    newest: dict[ClusterName, int] = {WEB: 8_000}
    first, killed_in_work = 1, 0
    for number in range(KILLS):
        is_open = number % 4 > 0
        opened, promised = run_and_kill(path, first, chance.uniform(0, LONGEST_S) if is_open else chance.uniform(*START_S), is_open)
        assert opened in ("", f"opened {len(newest)} "), "all records, and no doubt"
        killed_in_work += bool(promised)
        newest |= {cluster_of(ticket): ticket for ticket in sorted(promised)}
        found = SqliteLedger(path)
        kept = found.open()
        found.close()
        assert kept.doubt == ""
        for cluster, ticket in newest.items():
            assert kept.records[cluster].holders[0].heartbeat_ms >= ticket, f"after kill {number}"
        # What was written but not promised any more counts from here on, like an answer that was lost on its way.
        newest = {cluster: record.holders[0].heartbeat_ms for cluster, record in kept.records.items()}
        first = max([first, *newest.values()]) + 1
    assert killed_in_work > KILLS / 2
    assert len(newest) == CLUSTERS + 1
