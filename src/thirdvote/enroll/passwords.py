"""One-time passwords: made, and kept only as something that a guess can be compared with."""

from __future__ import annotations

import hashlib
import secrets

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Nothing that is read or typed as something else: no i, l, 1, o, 0, and no capitals."""

GROUPS, GROUP_LENGTH = 4, 4
"""Sixteen of 31 characters: 79 bits. In groups, because a person types them."""

SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**14, 8, 1
"""16 MiB and some 50 ms for one guess; more would let a stranger use up a small board."""

TYPED_BYTES_MAX = 1_024


def new_password() -> str:
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))


class Hasher:
    """One salt for the life of the process: nothing that is hashed outlives it, and one calculation tells all windows."""

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(16)

    def digest(self, password: str) -> bytes:
        """Takes its time."""
        return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=self._salt, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P)


def as_typed(text: str) -> str:
    """What a person may have meant: groups without their dashes, or in capitals. A password of the operator's stays as it is."""
    letters = "".join(c for c in text.lower() if c not in "- \t")
    if len(letters) != GROUPS * GROUP_LENGTH or any(c not in ALPHABET for c in letters):
        return text
    return "-".join(letters[start : start + GROUP_LENGTH] for start in range(0, len(letters), GROUP_LENGTH))
