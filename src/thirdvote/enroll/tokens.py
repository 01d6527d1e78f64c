"""Tokens with which a node joins over HTTPS: each for one cluster, for a while, once. Pure; the shell keeps what comes out.

Only a hash of the secret is kept. The secret has 128 random bits, so a plain hash is enough: there is nothing to try out.
A token that is spent or expired is remembered for some time, so that who comes with it hears why it does not count. Who has spent it can
give back what came of it, by a receipt: a secret of the node's own, of which it sent the hash along with its request.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from thirdvote.errors import UserError
from thirdvote.join_url import Token

LIFE_S = 3_600.0
"""Unless somebody says otherwise: time to walk to the node."""
LIFE_S_MIN = 60.0
LIFE_S_MAX = 7 * 86_400.0

REMEMBERED_S = 7 * 86_400.0
"""After its end."""

OPEN_MAX = 500
KEPT_MAX = 1_000
"""Some 300 KiB of state."""

TEXT_LENGTH_MAX = 256
"""Of a cluster's name, before it is looked at any closer."""


class TokenRefused(UserError):
    """Why it does not count."""


@dataclass(frozen=True, slots=True)
class Issued:
    """Times in seconds since the epoch; bytes as hexadecimal text."""

    number: str
    secret_sha256: str
    cluster: str
    made: float
    until: float
    replace: bool = False
    """The cluster's older certificates are revoked with the new one."""
    used: float | None = None
    used_by: str | None = None
    receipt_sha256: str | None = None
    """While what came of it may be given back."""
    serial_number: str | None = None
    """Of the certificate that came of it, hexadecimal."""

    @property
    def end(self) -> float:
        return self.until if self.used is None else self.used


@dataclass(frozen=True, slots=True)
class Tokens:
    """All that are remembered, oldest first."""

    issued: tuple[Issued, ...] = ()

    def open(self, now: float) -> list[Issued]:
        """Those that count."""
        return [token for token in self.issued if token.used is None and now < token.until]

    def with_new(self, token: Token, cluster: str, now: float, life_s: float, replaces: bool = False) -> Tokens:
        """UserError."""
        if not LIFE_S_MIN <= life_s <= LIFE_S_MAX:
            raise UserError(f"a token can not be good for {life_s:.0f} s", "choose from one minute to seven days, for example --for 1h")
        if len(self.open(now)) >= OPEN_MAX:
            raise UserError(f"{OPEN_MAX} tokens are open already", "wait until some are used or expired")
        new = Issued(token.number.hex(), _hashed(token), cluster, now, now + life_s, replaces)
        kept = [old for old in self.issued if old.used is None or now - old.used < REMEMBERED_S]
        kept = [old for old in kept if now - old.until < REMEMBERED_S]
        surplus = max(0, len(kept) + 1 - KEPT_MAX)
        spent = [old.number for old in sorted(kept, key=lambda old: old.end) if old.used is not None or now >= old.until][:surplus]
        return Tokens((*(old for old in kept if old.number not in spent), new))

    def check(self, token: Token, cluster: str, now: float) -> Issued:
        """TokenRefused. Who does not know the secret hears nothing about the token."""
        found = next((issued for issued in self.issued if issued.number == token.number.hex()), None)
        if found is None or not hmac.compare_digest(found.secret_sha256, _hashed(token)):
            raise TokenRefused(
                "the arbitrator does not know this token", "copy the whole URL, or make another one: thirdvote enroll token CLUSTER"
            )
        again = f"make another one on the arbitrator: thirdvote enroll token {found.cluster}"
        if found.used is not None:
            raise TokenRefused(f"the token was used at {_shown(found.used)} from {found.used_by or 'an unknown address'}", again)
        if now >= found.until:
            raise TokenRefused(f"the token has expired at {_shown(found.until)}", again)
        if cluster != found.cluster:
            raise TokenRefused(
                f"the token is for the cluster {found.cluster!a}, and corosync.conf of this one says {cluster!a}",
                f"join there, or make one for this cluster: thirdvote enroll token {cluster!a}",
            )
        return found

    def by_receipt(self, token: Token, cluster: str, receipt: str) -> tuple[Issued, str]:
        """The token that was spent so, and the serial number of the certificate. TokenRefused."""
        for issued in self.issued:
            if issued.number != token.number.hex() or issued.cluster != cluster or issued.serial_number is None:
                continue
            if _same(issued.secret_sha256, _hashed(token)) and _same(issued.receipt_sha256 or "", hash_of_receipt(receipt)):
                return issued, issued.serial_number
        raise TokenRefused("nothing came of this token that could be given back", f"make another one: thirdvote enroll token {cluster}")

    def with_use(self, issued: Issued, now: float, by: str) -> Tokens:
        return self._with(replace(issued, used=now, used_by=by))

    def with_certificate(self, issued: Issued, serial_number: str, receipt_sha256: str) -> Tokens:
        """It is spent already."""
        spent = next(old for old in self.issued if old.number == issued.number)
        return self._with(replace(spent, serial_number=serial_number, receipt_sha256=receipt_sha256))

    def with_use_undone(self, issued: Issued) -> Tokens:
        """No certificate came of it, or it was given back."""
        return self._with(replace(issued, used=None, used_by=None, receipt_sha256=None, serial_number=None))

    def with_use_final(self, issued: Issued) -> Tokens:
        return self._with(replace(issued, receipt_sha256=None))

    def _with(self, changed: Issued) -> Tokens:
        return Tokens(tuple(changed if old.number == changed.number else old for old in self.issued))

    def to_text(self) -> str:
        return json.dumps({"tokens": [asdict(token) for token in self.issued]}, indent=1) + "\n"


def from_text(text: str) -> Tokens:
    """UserError when it is damaged."""
    try:
        found = json.loads(text)["tokens"]
        return Tokens(tuple(_read(found)))
    except (ValueError, KeyError, TypeError, RecursionError):
        hint = "remove the file; tokens that are still open are then lost, and others can be made"
        raise UserError("the list of tokens is damaged", hint) from None


def _read(found: Iterable[dict[str, Any]]) -> Iterable[Issued]:
    for fields in found:
        issued = Issued(**fields)
        if not isinstance(issued.until, int | float) or not isinstance(issued.number, str) or not isinstance(issued.secret_sha256, str):
            raise TypeError
        yield issued


def _same(known: str, shown: str) -> bool:
    return hmac.compare_digest(known, shown)


def hash_of_receipt(receipt: str) -> str:
    return hashlib.sha256(receipt.encode()).hexdigest()


def _hashed(token: Token) -> str:
    return hashlib.sha256(token.secret).hexdigest()


def _shown(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"
