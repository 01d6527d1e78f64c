"""The list of revoked certificates as the voter reads it; apart from what writes it, so that the voter loads no more than this."""

from __future__ import annotations

from pathlib import Path

from thirdvote import revocations
from thirdvote.errors import UserError
from thirdvote.revocations import Revocations

WHAT = "list of revoked certificates"
BYTES_MAX = 4 * revocations.TEXT_MAX
"""A character has at most four."""


def read(folder: Path) -> Revocations:
    """Empty when there is none. UserError: nobody may be let in because it can not be read."""
    path = folder / revocations.FILE
    try:
        with path.open("rb") as file:
            return revocations.parse(file.read(BYTES_MAX).decode())
    except FileNotFoundError:
        return Revocations()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"the {WHAT}, {path}, can not be read: {reason}", f"see whose it is: ls -l {path}") from None
    except ValueError as error:
        raise UserError(f"the {WHAT}, {path}, is damaged: {error}", "restore it from a backup, or mend the line") from None
