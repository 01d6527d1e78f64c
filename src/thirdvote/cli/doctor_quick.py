"""`thirdvote doctor --quick`, without the libraries that print help and read settings: who asks every few seconds must cost little."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from thirdvote.cli import output
from thirdvote.doctor import quick

FLAG = "--quick"


def simple(arguments: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """The control socket that `doctor --quick` is to ask, where an option or a variable names it; None where more has to be read."""
    if arguments[:1] != ["doctor"] or FLAG not in arguments or environment.get("THIRDVOTE_CONFIG"):
        return None
    rest = [argument for argument in arguments[1:] if argument != FLAG]
    named = dict(zip(rest[::2], rest[1::2], strict=False))
    if len(rest) != 2 * len(named) or not named.keys() <= {"--control", "--data"} or any(value.startswith("-") for value in named.values()):
        return None
    control = named.get("--control") or environment.get("THIRDVOTE_CONTROL")
    data = named.get("--data") or environment.get("THIRDVOTE_DATA")
    return control or (os.path.join(data, quick.CONTROL_SOCKET) if data else None)  # noqa: PTH118  # pathlib costs more than the rest


def run(control: str) -> int:
    """UserError, and so status 1, when it does not answer."""
    output.line(quick.check(control))
    return output.OK
