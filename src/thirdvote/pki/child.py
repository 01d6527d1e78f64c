"""The voter's way to its certificates: a process of its own makes and reads them.

So the authority's key is never in the voter's memory, nor the library that could use it. The child answers with one
JSON object on standard output. When it fails, it says why in the first line on standard error and, in a second line
that begins with "hint: ", what mends it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import thirdvote
from thirdvote.errors import UserError
from thirdvote.pki.paths import SERVER_NICKNAME, Paths

HINT = "hint: "

TIMEOUT_S = 60.0
"""It takes a fraction of a second, on a small board a few."""


@dataclass(frozen=True, slots=True)
class Prepared:
    paths: Paths
    created: bool
    """Certificates were made that were not there before."""
    renewed: bool = False
    """The server's certificate was, since it would have ended soon."""
    warnings: tuple[Mapping[str, Any], ...] = ()
    """`text`, and `cluster`, which is None for what is the arbitrator's own."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Of our own certificates, by what they are for."""


def prepare_data(data: Path) -> Prepared:
    """Certificates in the data directory, made if there are none. UserError."""
    return _prepared(_run("ensure", str(data)))


def prepare_stock(folder: Path, runtime: Path, nickname: str = SERVER_NICKNAME) -> Prepared:
    """PEM files out of the NSS database in `folder`; below `runtime` when this user may not write next to it. UserError."""
    return _prepared(_run("extract", str(folder), str(runtime), nickname))


def record_uses(data: Path, control: Path) -> None:
    """Which certificates the nodes of the voter behind `control` show, into the inventory. UserError."""
    _run("record", str(data), str(control))


def _prepared(answer: dict[str, Any]) -> Prepared:
    paths = Paths(**{name: Path(path) for name, path in answer["paths"].items()})
    return Prepared(paths, answer["created"], answer["renewed"], tuple(answer["warnings"]), answer["facts"])


def _run(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "thirdvote.pki", *arguments]
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=_environment(), timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"the certificates were not ready after {TIMEOUT_S:.0f} s", "see if another process holds their folder") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        unreachable = isinstance(error, PermissionError | FileNotFoundError)
        hint = "install it where this user may use it" if unreachable else "see what the system is short of: `ulimit -a`, `free`"
        raise UserError(f"the interpreter {sys.executable} can not be run ({reason})", hint) from None
    if ended.returncode:
        raise _failure(ended.stderr, ended.returncode)
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def _environment() -> dict[str, str]:
    """The child finds this very package, wherever it was found."""
    own = Path(thirdvote.__file__).parents[1]
    rest = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{own}{os.pathsep}{rest}" if rest else str(own)}


def _failure(said: str, status: int) -> UserError:
    lines = said.strip().splitlines() or [f"the certificates could not be prepared (status {status})"]
    if lines[0].startswith("Traceback"):
        return UserError(f"the certificates could not be prepared: {lines[-1]}", "please report it")
    hint = next((line.removeprefix(HINT) for line in lines[1:] if line.startswith(HINT)), None)
    return UserError(lines[0], hint)
