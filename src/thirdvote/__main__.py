"""The entry point: which program is asked for is in the name by which it was called."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from thirdvote.cli import output
from thirdvote.cli.settings import plain_flags
from thirdvote.cli.voter import run as run_voter
from thirdvote.config import Settings


def main() -> int:
    return output.run(partial(dispatch, Path(sys.argv[0]).name, sys.argv[1:]))


def dispatch(name: str, arguments: list[str]) -> int:
    """Imports as little as the program needs: the voter's memory is what was ever loaded."""
    if name == "corosync-qnetd":
        from thirdvote.cli.qnetd import main as qnetd

        return qnetd(arguments, start)
    if name == "corosync-qnetd-tool":
        from thirdvote.cli.qnetd_tool import main as qnetd_tool

        return qnetd_tool(arguments)
    if name == "corosync-qnetd-certutil":
        from thirdvote.cli.certutil import main as certutil

        return certutil(arguments)
    flags = plain_flags(arguments[1:]) if arguments[:1] == ["serve"] else None
    if flags is not None:
        return run_voter(flags, start)
    from thirdvote.cli.main import main as thirdvote

    return thirdvote(arguments, start)


def start(settings: Settings, reload: Callable[[], Settings]) -> None:
    from thirdvote.app import serve

    serve(settings, reload=reload)


if __name__ == "__main__":
    sys.exit(main())
