"""`python -m thirdvote.pki ensure DATA` and `… extract DIRECTORY RUNTIME NICKNAME`: what `child` runs."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from thirdvote.errors import UserError
from thirdvote.pki import paths
from thirdvote.pki.child import HINT

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
            from thirdvote.pki import store

            created = store.ensure(Path(data))
            return _prepared(paths.data_directory(Path(data)), created, store.warnings(Path(data)))
        case ["extract", folder, runtime, nickname]:
            from thirdvote.pki import stock

            return _prepared(stock.extract_server(Path(folder), Path(runtime), nickname), False, [])
        case _:
            raise UserError("usage: ensure DATA | extract DIRECTORY RUNTIME NICKNAME")


def _prepared(found: paths.Paths, created: bool, warnings: list[str]) -> dict[str, object]:
    return {"paths": {name: str(path) for name, path in asdict(found).items()}, "created": created, "warnings": warnings}


def _say(descriptor: int, *lines: str) -> None:
    """To the parent process, not to a person."""
    os.write(descriptor, "".join(f"{line}\n" for line in lines).encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
