"""`python -m thirdvote.pki ensure DATA`, `… extract DIRECTORY RUNTIME NICKNAME` and `… record DATA CONTROL`: what `child` runs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from thirdvote.errors import UserError
from thirdvote.pki import paths
from thirdvote.pki.child import HINT

if TYPE_CHECKING:
    from thirdvote.pki.expiry import Warned

_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2


def main(arguments: list[str]) -> int:
    try:
        answer = _answer(arguments)
    except UserError as error:
        _say(_STANDARD_ERROR, str(error), *([f"{HINT}{error.hint}"] if error.hint else []))
        return 1
    except ImportError as error:
        _say(_STANDARD_ERROR, f"the module {error.name} is missing", f"{HINT}install it: pip install cryptography")
        return 1
    _say(_STANDARD_OUTPUT, json.dumps(answer))
    return 0


def _answer(arguments: list[str]) -> dict[str, object]:
    match arguments:
        case ["ensure", data]:
            return _ensure(Path(data))
        case ["extract", folder, runtime, nickname]:
            from thirdvote.pki import stock

            found = stock.extract_server(Path(folder), Path(runtime), nickname)
            return _prepared(found, stock.warnings(Path(folder), nickname), created=False)
        case ["record", data, control]:
            from thirdvote.pki import running

            running.shown_and_recorded(Path(data), Path(control))
            return {}
        case _:
            raise UserError("usage: ensure DATA | extract DIRECTORY RUNTIME NICKNAME | record DATA CONTROL")


def _ensure(data: Path) -> dict[str, object]:
    from thirdvote.pki import expiry, files, rollover, store

    folder = paths.folder_in(data)
    before = _server_number(data) if files.is_there(folder.server) else None
    created = store.ensure(data)
    renewed = not created and before != _server_number(data)
    found = paths.data_directory(data)
    if rollover.is_under_way(folder):
        found = replace(found, ca_certificate=folder.trusted)
    facts: dict[str, object] = {fact.role.replace(" ", "_"): fact.as_json() for fact in store.facts(data)}
    return _prepared(found, expiry.warnings(data), facts, created=created, renewed=renewed)


def _server_number(data: Path) -> str:
    from thirdvote.pki import store

    return next(fact.serial_number for fact in store.facts(data) if fact.role == "server")


def _prepared(
    found: paths.Paths, warnings: Sequence[Warned], facts: Mapping[str, object] | None = None, *, created: bool, renewed: bool = False
) -> dict[str, object]:
    return {
        "paths": {name: str(path) for name, path in asdict(found).items()},
        "created": created,
        "renewed": renewed,
        "warnings": [asdict(warned) for warned in warnings],
        "facts": facts or {},
    }


def _say(descriptor: int, *lines: str) -> None:
    """To the parent process, not to a person."""
    os.write(descriptor, "".join(f"{line}\n" for line in lines).encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
