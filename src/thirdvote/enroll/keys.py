"""Public keys in the form of authorized_keys: what ssh-copy-id leaves, and by which fingerprint a login with it is known; pure."""

from __future__ import annotations

import binascii
import hashlib
from itertools import pairwise

from thirdvote.errors import UserError

TEXT_BYTES_MAX = 32_768
"""Keys of a large cluster; one of RSA 4096 has about 750."""

KINDS = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)


def fingerprints(text: str) -> list[str]:
    """Of each key in `text`, as ssh shows it: SHA256:… UserError when there is none, or a line is none."""
    if len(text) > TEXT_BYTES_MAX:
        raise UserError(f"more than {TEXT_BYTES_MAX} bytes of public keys", "leave the keys of the cluster's nodes only")
    lines = [line.strip() for line in text.splitlines()]
    found = [_fingerprint(line) for line in lines if line and not line.startswith("#")]
    if not found:
        raise UserError("there is no public key in what was sent", "make one: ssh-keygen; then: ssh-copy-id again")
    return found


def fingerprint_of(blob: bytes) -> str:
    """Of a public key in its wire form."""
    return "SHA256:" + binascii.b2a_base64(hashlib.sha256(blob).digest(), newline=False).decode().rstrip("=")


def _fingerprint(line: str) -> str:
    words = line.split()
    for kind, blob in pairwise(words):
        if kind not in KINDS:
            continue
        try:
            return fingerprint_of(_checked(kind, binascii.a2b_base64(blob.encode(), strict_mode=True)))
        except ValueError:
            break
    raise UserError(f"this is no public key: {line[:40]!a}", f"known kinds are {', '.join(KINDS[:3])} and the like")


def _checked(kind: str, blob: bytes) -> bytes:
    length = int.from_bytes(blob[:4], "big")
    if len(blob) < 8 or blob[4 : 4 + length] != kind.encode():
        raise ValueError
    return blob
