"""A stream that is encrypted with a passphrase, and can be read only as a whole and in order.

    line     "thirdvote-sealed-backup 1", line feed
    line     JSON: {"kdf": "scrypt", "n": …, "r": …, "p": …, "salt": hexadecimal}, line feed
    piece*   length:u32 big-endian, then that many bytes: AES-256-GCM of up to 64 KiB, with its tag of 16 bytes

The key is scrypt's, 32 bytes. The nonce of a piece is its number, 11 bytes big-endian from 0, and a byte that is 1 for the last piece
and 0 for all others; so no piece can be left out, moved or taken for the end. The two lines are the additional data of each piece.
"""

from __future__ import annotations

import json
import secrets
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from thirdvote.errors import UserError

MAGIC = b"thirdvote-sealed-backup 1\n"
PIECE = 65_536
TAG = 16
SALT = 16

COST = {"n": 1 << 16, "r": 8, "p": 1}
"""64 MiB and a fraction of a second, once for each backup."""
COST_N_MAX = 1 << 20
"""Of a file that is read: 1 GiB; a damaged one shall not ask for more."""
LINE_MAX = 1_000

_LENGTH = struct.Struct(">I")


class WrongPassphrase(UserError):
    """Or the first piece is damaged: that can not be told apart."""


class Sink(Protocol):
    def write(self, data: Any, /) -> int: ...


class Sealer:
    """A file that is written to, and sealed in `target`; without `close` the result has no end, and can not be read."""

    def __init__(self, target: Sink, passphrase: str) -> None:
        salt = secrets.token_bytes(SALT)
        parameters = {"kdf": "scrypt", **COST, "salt": salt.hex()}
        self._head = MAGIC + json.dumps(parameters).encode() + b"\n"
        self._key = AESGCM(_key(passphrase, salt, COST["n"], COST["r"], COST["p"]))
        self._target = target
        self._number = 0
        self._waiting = bytearray()
        target.write(self._head)

    def write(self, data: Any, /) -> int:
        view = memoryview(data)
        self._waiting += view
        while len(self._waiting) > PIECE:
            self._piece(bytes(self._waiting[:PIECE]), is_last=False)
            del self._waiting[:PIECE]
        return view.nbytes

    def close(self) -> None:
        self._piece(bytes(self._waiting), is_last=True)

    def _piece(self, plain: bytes, *, is_last: bool) -> None:
        sealed = self._key.encrypt(_nonce(self._number, is_last), plain, self._head)
        self._number += 1
        self._target.write(_LENGTH.pack(len(sealed)) + sealed)


def pieces(source: BinaryIO, passphrase: str) -> Iterator[bytes]:
    """What was sealed, after MAGIC has been read from `source`; WrongPassphrase, UserError for whatever is damaged or cut off."""
    line = source.readline(LINE_MAX)
    head = MAGIC + line
    key = AESGCM(_key_of(line, passphrase))
    number, sealed = 0, _next(source)
    while True:
        if sealed is None:
            raise UserError("the backup is cut off", "copy it again from where it was made")
        following = _next(source)
        try:
            yield key.decrypt(_nonce(number, following is None), sealed, head)
        except InvalidTag:
            if number == 0:
                raise WrongPassphrase("the passphrase is wrong, or the backup is damaged or cut off", "try again") from None
            raise UserError("the backup is damaged or cut off", "copy it again from where it was made") from None
        if following is None:
            return
        number, sealed = number + 1, following


def _next(source: BinaryIO) -> bytes | None:
    """None at the end."""
    header = source.read(_LENGTH.size)
    if not header:
        return None
    length = _LENGTH.unpack(header)[0] if len(header) == _LENGTH.size else 0
    if not TAG <= length <= PIECE + TAG:
        raise UserError("the backup is damaged or cut off", "copy it again from where it was made")
    data = source.read(length)
    if len(data) != length:
        raise UserError("the backup is cut off", "copy it again from where it was made")
    return data


def _key_of(line: bytes, passphrase: str) -> bytes:
    try:
        found = json.loads(line)
        n, r, p = (int(found[name]) for name in ("n", "r", "p"))
        salt = bytes.fromhex(found["salt"])
        if found["kdf"] != "scrypt" or not (2 <= n <= COST_N_MAX and n & (n - 1) == 0 and r == COST["r"] and p == COST["p"]):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError("the backup is damaged", "copy it again from where it was made") from None
    return _key(passphrase, salt, n, r, p)


def _key(passphrase: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(passphrase.encode())


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes((is_last,))
