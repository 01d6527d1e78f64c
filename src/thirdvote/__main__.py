"""The entry point: which program is asked for is in the name by which it was called."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from thirdvote.cli import output

if TYPE_CHECKING:
    from thirdvote.config import Settings


def main() -> int:
    return output.run(partial(dispatch, os.path.basename(sys.argv[0]), sys.argv[1:]))  # noqa: PTH119  # loaded for nothing else


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
    if arguments[:1] == ["doctor"]:
        from thirdvote.cli import doctor_quick

        control = doctor_quick.simple(arguments, os.environ)
        if control is not None:
            return doctor_quick.run(control)
    return _thirdvote(arguments)


def _thirdvote(arguments: list[str]) -> int:
    from thirdvote.cli.settings import plain_flags

    flags = plain_flags(arguments[1:]) if arguments[:1] == ["serve"] else None
    if flags is not None:
        from thirdvote.cli.voter import run as run_voter

        return run_voter(flags, start)
    from thirdvote.cli.main import main as thirdvote

    return thirdvote(arguments, start)


def start(settings: Settings, reload: Callable[[], Settings]) -> None:
    from thirdvote.app import serve

    serve(settings, reload=reload)


if __name__ == "__main__":
    sys.exit(main())
