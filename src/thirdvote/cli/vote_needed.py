"""Nobody refuses certificates by accident of which a cluster has its quorum at that moment."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import click

from thirdvote.cli import output
from thirdvote.cli.options import Decorator
from thirdvote.cli.words import listed, named
from thirdvote.errors import UserError


def force_option() -> Decorator:
    return click.option("--force", "forced", is_flag=True, help="also if nodes lose quorum by it now")


def check_not_needed(control: Path, cluster: str, so_far: str, serial_numbers: Collection[str] | None = None) -> None:
    """UserError, which begins with `so_far`, when nodes lose quorum now if those certificates are refused; None: all of the cluster.

    Not being able to ask keeps nobody from it.
    """
    from thirdvote.pki import running

    try:
        nodes = running.who_needs_the_vote(control, cluster, serial_numbers)
    except UserError as error:
        output.warning(f"it is not known whether {named(cluster)} needs the vote now: {error}", error.hint)
        return
    if nodes:
        whose = f"node {nodes[0]} of {named(cluster)} has" if len(nodes) == 1 else f"nodes {listed(nodes)} of {named(cluster)} have"
        hint = f"wait until its nodes are together again (`thirdvote clusters {named(cluster)}`), or add --force"
        raise UserError(f"{so_far}: {whose} quorum only by the arbitrator's vote now, and would lose it", hint)
