"""The certificates of a node: its NSS database is copied into a folder in memory of this host, read there, and forgotten.

The key is among it, because the arbitrator is to be shown what the node shows; `setup` and `join` copy it in the same way.
"""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from thirdvote.device.certificates import DATABASE, NICKNAME
from thirdvote.device.host import Host
from thirdvote.doctor import batch
from thirdvote.doctor.facts import Certificate, Database
from thirdvote.errors import UserError
from thirdvote.node.connection import client_context
from thirdvote.pki import compatible, files, material, nss_objects, nss_read
from thirdvote.pki.nss_read import Entry

IN_MEMORY = "/dev/shm"  # noqa: S108  # a folder of ours in it, which is for nobody else

_FILES = (nss_objects.CERTIFICATES_FILE, nss_objects.KEYS_FILE, nss_read.PASSWORD_FILE)
_COMMANDS = {"mode": ("stat", "-c", "%a", DATABASE), **{name: ("base64", f"{DATABASE}/{name}") for name in _FILES}}


@dataclass(frozen=True)
class Material:
    """`context` shows the cluster's certificate where there is one."""

    database: Database
    context: ssl.SSLContext
    authorities: tuple[x509.Certificate, ...] = ()


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    place = IN_MEMORY if os.access(IN_MEMORY, os.W_OK | os.X_OK) else None
    with tempfile.TemporaryDirectory(prefix="thirdvote-", dir=place) as folder:
        yield Path(folder)


def look(host: Host, folder: Path) -> Material:
    """`folder` is empty, and for nobody else. UserError when the node is not reached."""
    said = batch.run(host, _COMMANDS)
    if said[_FILES[0]].status:
        return Material(Database(exists=False), client_context(None))
    mode = int(found, 8) if (found := said["mode"].text.strip()).isdigit() else 0
    try:
        for name in _FILES:
            if said[name].status == 0:
                files.write(folder / name, base64.b64decode(said[name].output), files.KEY_MODE, "copy of the certificates")
        return _read(folder, mode)
    except UserError as error:
        problem, hint = (text.replace(str(folder), DATABASE) for text in (str(error), error.hint or ""))
        return Material(Database(exists=True, mode=mode, problem=problem, hint=hint), client_context(None))


def as_fact(certificate: x509.Certificate) -> Certificate:
    return Certificate(
        subject=material.common_name(certificate.subject),
        issuer=material.common_name(certificate.issuer),
        valid_from=compatible.valid_from(certificate),
        valid_until=compatible.valid_until(certificate),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        serial_number=f"{certificate.serial_number:x}",
    )


def _read(folder: Path, mode: int) -> Material:
    found = nss_read.read(folder)
    authorities = tuple(entry.certificate for entry in found.entries if entry.trusted_for_clients)
    named = [entry for entry in found.entries if entry.nickname == NICKNAME]
    with_key = [entry for entry in named if _has_key(found, entry)]
    # more than one is there after a second enrolment; the device shows the one that is valid longest
    chosen = max(with_key or named, key=lambda entry: compatible.valid_until(entry.certificate), default=None)
    database = Database(
        exists=True,
        mode=mode,
        authorities=tuple(map(as_fact, authorities)),
        cluster=as_fact(chosen.certificate) if chosen is not None else None,
        has_key=bool(with_key),
        is_of_authority=chosen is not None and any(material.is_issued_by(chosen.certificate, each) for each in authorities),
    )
    if chosen is None or not with_key:
        return Material(database, client_context(None), authorities)
    certificate, key = folder / "cluster.crt", folder / "cluster.key"
    files.write(certificate, material.certificate_pem(chosen.certificate), files.KEY_MODE, "copy of the certificate")
    files.write(key, material.key_pem(found.keys[chosen.key_id]), files.KEY_MODE, "copy of the key")
    return Material(database, client_context(None, certificate, key), authorities)


def _has_key(found: nss_read.Database, entry: Entry) -> bool:
    return entry.key_id in found.keys and material.matches(entry.certificate, found.keys[entry.key_id])
