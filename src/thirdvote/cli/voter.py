"""Starts the voter from flags that are already told apart. No click here: this process stays for years, and small."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from thirdvote.cli import output
from thirdvote.cli.settings import load
from thirdvote.config import Settings

Start = Callable[[Settings, Callable[[], Settings]], None]
"""Runs until it is told to end. The second argument gives the settings anew; both raise UserError."""


def run(flags: Mapping[str, str], start: Start) -> int:
    start(load(flags).settings, lambda: load(flags).settings)
    return output.OK
