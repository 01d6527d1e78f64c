"""The server's certificate is renewed before it ends: at a start, once a day, or when somebody asks. Its key stays.

So it is one file that changes, in one step, and the voter may read it at any time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from thirdvote.errors import UserError
from thirdvote.pki import files, issue, material, rollover
from thirdvote.pki.compatible import valid_until
from thirdvote.pki.paths import Folder

SERVER = "server certificate"

RENEW_BEFORE = timedelta(days=90)
"""A month before somebody is warned: the warning is then about why it could not be renewed."""

GAIN = timedelta(days=1)
"""A certificate can not outlive its authority: what is not valid longer is no renewal."""


def is_due(certificate: x509.Certificate, now: datetime) -> bool:
    return now > valid_until(certificate) - RENEW_BEFORE


def renew_if_due(folder: Folder, certificate: x509.Certificate, now: datetime) -> x509.Certificate:
    """The certificate that is in force. Without the authority's key it is the same as before. UserError."""
    if not is_due(certificate, now) or not _keys_are_there(folder):
        return certificate
    authority = rollover.server_authority(folder)
    if issue.leaf_end(authority.certificate, now) < valid_until(certificate) + GAIN:
        return certificate
    return _renew(folder, certificate, authority, now)


def renew(folder: Folder, now: datetime) -> x509.Certificate:
    """The folder is locked. Whatever time is left. UserError."""
    certificate = material.read_certificate(folder.server, SERVER)
    key = material.read_key(folder.server_key, "key of the server certificate")
    if not material.matches(certificate, key):
        raise UserError(f"{folder.server_key} is not the key of {folder.server}", "restore both from the same backup")
    return _renew(folder, certificate, rollover.server_authority(folder), now)


def write(folder: Folder, certificate: x509.Certificate, now: datetime) -> None:
    """UserError."""
    rollover.write_certificates(folder.server, rollover.server_chain(folder, certificate, now), SERVER)


def _renew(folder: Folder, before: x509.Certificate, authority: issue.Authority, now: datetime) -> x509.Certificate:
    certificate = issue.renewed_server_certificate(before, authority, now)
    write(folder, certificate, now)
    return certificate


def _keys_are_there(folder: Folder) -> bool:
    needed: tuple[Path, ...] = (folder.authority_key,)
    if rollover.is_under_way(folder):
        needed = (folder.authority_key, folder.old_authority_key)
    return all(map(files.is_there, needed))
