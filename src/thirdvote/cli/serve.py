"""`thirdvote serve`, for its help and for what is wrong with its arguments; `voter` runs it."""

from __future__ import annotations

from typing import Any

import click

from thirdvote.cli.options import Command, given, settings_options
from thirdvote.cli.voter import run


@click.command(cls=Command)
@settings_options()
@click.pass_obj
def serve(start: Any, /, **parameters: Any) -> int:
    """run the arbitrator

    The first start makes the certificates; nodes connect as to corosync-qnetd. Every option can also be given as an
    environment variable (THIRDVOTE_TLS=on) or in a file (tls = "on"); `thirdvote config` shows what is in force.
    SIGHUP reads the settings again, SIGTERM ends it.
    """
    return run(given(parameters), start)
