"""What stands behind the ledger: few enough calls that a file or a cluster of servers can answer them.

The ledger is what makes the difference between a restart and a loss of memory: a vote that left while its record did not
last could be counted a second time. So a store says what it does not know (`Found.doubt`) rather than look complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from thirdvote.arbiter.record import ClusterRecord
from thirdvote.domain import ClusterName

Batch = Mapping[ClusterName, ClusterRecord | None]
"""None: nothing is to be kept of that cluster any more."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of the past. `doubt` is a clause on why votes may have been given of which there is no record; empty when
    no such vote can have been. `is_first`: there is no trace of an earlier start either.
    """

    records: Mapping[ClusterName, ClusterRecord] = field(default_factory=dict)
    doubt: str = ""
    is_first: bool = False


class LedgerProblem(Exception):
    """`str` is a clause for a person that says what is wrong and where; `hint` what mends it.

    `lasting`: the store has to be opened anew before anything can be written again. `found`: of one that can not be written,
    what could be read nevertheless.
    """

    def __init__(self, message: str, hint: str, lasting: bool = True) -> None:
        super().__init__(message)
        self.hint = hint
        self.lasting = lasting
        self.found: Found | None = None


class Ledger(Protocol):
    """Calls never overlap, but come from more than one thread. All but `close` raise LedgerProblem; after one that is `lasting`,
    `close` and `open` come next.
    """

    @property
    def place(self) -> str:
        """Where it is, for a person: a path."""

    @property
    def records(self) -> int:
        """How many clusters have a record."""

    def open(self) -> Found:
        """A doubt stays with the store, over restarts too, until `trust`."""

    def write(self, batch: Batch) -> None:
        """Returns when all of it would survive a loss of power; nothing of it counts when this raises."""

    def trust(self) -> None:
        """No vote counts any more that was given before the store was opened and is not in it: the doubt is over."""

    def close(self) -> None:
        """Also what is not open; can be opened again."""
