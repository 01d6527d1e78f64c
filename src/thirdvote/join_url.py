"""The URL with which a node joins: where the arbitrator's enrolment is, whom to trust there, and the word that lets it in once.

    https://ADDRESS:PORT/TOKEN

TOKEN is URL-safe base64 of: format (1 byte), number of the token (8), secret (16), SHA-256 of the authority's certificate
(32). The fingerprint in it lets the node know the arbitrator before it says anything; number and secret go to nobody else.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from thirdvote.config import ENROLL_HTTPS_PORT
from thirdvote.errors import UserError

FORMAT = 1
NUMBER_BYTES = 8
SECRET_BYTES = 16
"""128 bits: nobody guesses it within a token's life, whatever the rate."""
FINGERPRINT_BYTES = 32

_BYTES = 1 + NUMBER_BYTES + SECRET_BYTES + FINGERPRINT_BYTES
TEXT_LENGTH = _BYTES * 4 // 3
"""The length divides by three, so there is no padding."""

URL_LENGTH_MAX = 512

_URL = re.compile(r"https://(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^/:\[\]@\s]+)(?::(?P<port>\d{1,5}))?/(?P<token>[\w-]*)/?", re.ASCII)
_HINT = "make one on the arbitrator: thirdvote enroll token CLUSTER"


@dataclass(frozen=True, slots=True)
class Token:
    number: bytes
    secret: bytes
    fingerprint: bytes
    """SHA-256 of the authority's certificate, DER."""

    @property
    def text(self) -> str:
        return urlsafe_b64encode(bytes([FORMAT]) + self.number + self.secret + self.fingerprint).decode("ascii")


@dataclass(frozen=True, slots=True)
class JoinUrl:
    host: str
    """Name or address; IPv6 without brackets."""
    port: int
    token: Token

    @property
    def text(self) -> str:
        return f"https://{in_url(self.host)}:{self.port}/{self.token.text}"


def in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def parse_token(text: str) -> Token:
    """UserError."""
    try:
        raw = urlsafe_b64decode(text.encode("ascii")) if len(text) == TEXT_LENGTH else b""
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != _BYTES or raw[0] != FORMAT or urlsafe_b64encode(raw) != text.encode("ascii"):
        raise UserError("this is no token, or not all of it", f"copy the whole line; or {_HINT}")
    number, secret = raw[1 : 1 + NUMBER_BYTES], raw[1 + NUMBER_BYTES : 1 + NUMBER_BYTES + SECRET_BYTES]
    return Token(number, secret, raw[-FINGERPRINT_BYTES:])


def parse(text: str) -> JoinUrl:
    """UserError."""
    match = _URL.fullmatch(text.strip()) if len(text) <= URL_LENGTH_MAX else None
    if match is None:
        raise UserError("this is no URL to join with: it has to be https://ADDRESS:PORT/TOKEN", _HINT)
    port = int(match["port"] or ENROLL_HTTPS_PORT)
    if not 0 < port < 65_536:
        raise UserError(f"the URL has no possible port: {port}", _HINT)
    return JoinUrl(match["host"].strip("[]"), port, parse_token(match["token"]))
