"""The directory of corosync-qnetd-certutil: made, used to sign, and read for our voter. Files, modes and messages are the stock tool's."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from thirdvote.errors import UserError
from thirdvote.pki import expiry, files, issue, material, nss_objects, nss_read, nss_write, policy
from thirdvote.pki.compatible import valid_until
from thirdvote.pki.issue import Authority
from thirdvote.pki.nss_read import PASSWORD_FILE, Database, Entry
from thirdvote.pki.paths import AUTHORITY_NICKNAME, FOLDER, SERVER_NICKNAME, Paths, cluster_certificate, stock_directory

NOISE_FILE = "noise.txt"
SERIAL_FILE = "serial.txt"
AUTHORITY_FILE = "qnetd-cacert.crt"

SERIAL_AFTER_START = 102
"""What the stock tool has counted to when it has made two certificates. Ours have random numbers: see `issue`."""

SERIAL_DIGITS_MAX = 20

CLUSTER_MODE = 0o640

Report = Callable[[str], None]


@dataclass(frozen=True)
class Modes:
    """`-G` of the stock tool takes the group's right to write."""

    folder: int
    file: int


GROUP_WRITES = Modes(0o770, 0o660)
GROUP_READS = Modes(0o750, 0o640)


def exists(folder: Path) -> bool:
    """UserError when that can not be seen."""
    return nss_read.exists(folder)


def initialize(folder: Path, modes: Modes, report: Report, now: datetime | None = None) -> None:
    """Authority, server certificate and the database with both. UserError."""
    now = now or datetime.now(UTC)
    issue.check_clock(now)
    authority_key, key = issue.new_key(), issue.new_key()
    authority = issue.new_authority(authority_key, now)
    server = issue.server_certificate(key.public_key(), authority, now)
    entries = [
        nss_write.NewEntry(AUTHORITY_NICKNAME, authority.certificate, authority_key, authority=True),
        nss_write.NewEntry(SERVER_NICKNAME, server, key, authority=False),
    ]
    _write_database(folder, modes, entries, SERIAL_AFTER_START, "Creating new CA", report)


def write(folder: Path, entries: list[nss_write.NewEntry], serial_number: int, report: Report) -> None:
    """A database of certificates that are there already, the authority's first. UserError."""
    _write_database(folder, GROUP_WRITES, entries, serial_number, "Importing existing CA", report)


def _write_database(folder: Path, modes: Modes, entries: list[nss_write.NewEntry], serial_number: int, what: str, report: Report) -> None:
    """The certificates' file is written last and counts as the database: after a crash before it, this can be repeated. UserError."""
    try:
        owner = _make_folder(folder, modes, report)
        with files.locked(folder):
            report("Creating new key and cert db")
            _make_noise(folder, modes, owner, report)
            report(what)
            _write_all(folder, modes, owner, entries, serial_number)
    except OSError as error:
        raise files.unusable(error, folder, "directory of the certificate database") from None
    report(f"QNetd CA certificate is exported as {folder / AUTHORITY_FILE}")


def sign(folder: Path, request: bytes, cluster_name: str, report: Report, now: datetime | None = None) -> None:
    """Writes the cluster's certificate, DER, where the stock tool does. UserError, RequestRefused."""
    report("Signing cluster certificate")
    if "/" in cluster_name:
        raise policy.RequestRefused(f"the cluster name {cluster_name!a} has a slash", "it can not be part of a file's name: choose another")
    key = policy.request_key(policy.check(request, cluster_name))
    path = cluster_certificate(folder, cluster_name)
    with files.locked(folder):
        certificate = issue.cluster_certificate(key, cluster_name, _authority(nss_read.read(folder)), now or datetime.now(UTC))
        owner = files.owner_for_root(folder.parent)
        _count(folder, owner)
        files.write(path, material.certificate_der(certificate), CLUSTER_MODE, "certificate of the cluster", owner)
    report(f"Certificate stored in {path}")


def extract_server(folder: Path, runtime: Path | None, nickname: str = SERVER_NICKNAME, now: datetime | None = None) -> Paths:
    """PEM files of what the database has for a server: next to it or, where this user may not write there, below `runtime`. UserError."""
    database = nss_read.read(folder)
    server, key = _server(database, nickname)
    authorities = [entry.certificate for entry in _authorities(database)]
    material.check_not_expired(
        server, folder, "server certificate in", now or datetime.now(UTC), "make a new database, and enrol the nodes anew"
    )
    contents = {
        "ca_certificate": b"".join(map(material.certificate_pem, authorities)),
        "server_certificate": material.certificate_pem(server),
        "server_key": material.key_pem(key),
    }
    places = [stock_directory(folder)] + ([stock_directory(runtime / FOLDER)] if runtime is not None else [])
    return _up_to_date(places, contents) or _extract(places, contents)


def warnings(folder: Path, nickname: str = SERVER_NICKNAME, now: datetime | None = None) -> list[expiry.Warned]:
    """What ends soon of what the database has for a server. UserError."""
    now = now or datetime.now(UTC)
    database = nss_read.read(folder)
    server, _ = _server(database, nickname)
    until = max(valid_until(entry.certificate) for entry in _authorities(database))
    return expiry.stock_warnings(folder, "server", valid_until(server), now) + expiry.stock_warnings(folder, "authority's", until, now)


def _up_to_date(places: list[Paths], contents: dict[str, bytes]) -> Paths | None:
    for place in places:
        if all(_has(getattr(place, name), content) for name, content in contents.items()):
            files.check_private(place.server_key, "key of the server certificate")
            return place
    return None


def _has(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def _extract(places: list[Paths], contents: dict[str, bytes]) -> Paths:
    *others, last = places
    place = next((place for place in others if files.is_writable(place.server_key.parent)), last)
    if place is last and others:
        files.make_folder(place.server_key.parent)
    for name in ("server_key", "server_certificate", "ca_certificate"):
        mode = files.KEY_MODE if name == "server_key" else files.CERTIFICATE_MODE
        files.write(getattr(place, name), contents[name], mode, "copy out of the certificate database")
    return place


def _server(database: Database, nickname: str) -> tuple[x509.Certificate, issue.AuthorityKey]:
    """The one that is valid longest, of those with this nickname and a key."""
    found = [entry for entry in database.entries if entry.nickname == nickname and _has_key(database, entry)]
    if not found:
        hint = f"see what it has: certutil -L -d sql:{database.folder}; or make a new one: corosync-qnetd-certutil -i"
        raise UserError(f"the certificate database in {database.folder} has no {nickname!r} with its key", hint)
    entry = max(found, key=lambda entry: valid_until(entry.certificate))
    return entry.certificate, database.keys[entry.key_id]


def _authorities(database: Database) -> list[Entry]:
    found = [entry for entry in database.entries if entry.trusted_for_clients]
    if not found:
        hint = f"trust it: certutil -M -d sql:{database.folder} -n '{AUTHORITY_NICKNAME}' -t CT,,"
        raise UserError(f"the certificate database in {database.folder} trusts no authority", hint)
    return found


def _authority(database: Database) -> Authority:
    for entry in database.entries:
        if entry.nickname == AUTHORITY_NICKNAME and _has_key(database, entry):
            return Authority(entry.certificate, database.keys[entry.key_id])
    hint = "restore it from a backup, or make a new one: corosync-qnetd-certutil -i"
    raise UserError(f"the certificate database in {database.folder} has no {AUTHORITY_NICKNAME!r} with its key", hint)


def _has_key(database: Database, entry: Entry) -> bool:
    key = database.keys.get(entry.key_id)
    return key is not None and material.matches(entry.certificate, key)


def _make_folder(folder: Path, modes: Modes, report: Report) -> files.Owner | None:
    if not folder.is_dir():
        report(f"Creating {folder}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        owner = files.owner_for_root(folder.parent)
        files.set_rights(folder, modes.folder, owner)
        return owner
    return files.owner_for_root(folder.parent)


def _make_noise(folder: Path, modes: Modes, owner: files.Owner | None, report: Report) -> None:
    """Nothing of ours reads it; the stock tool feeds its random numbers with it."""
    path = folder / NOISE_FILE
    if files.is_there(path):
        report(f"Using existing noise file {path}")
        return
    report(f"Creating new noise file {path}")
    files.write(path, f"{secrets.token_hex(20)}\n".encode(), modes.file, "noise file", owner)


def _write_all(folder: Path, modes: Modes, owner: files.Owner | None, entries: list[nss_write.NewEntry], serial_number: int) -> None:
    authority = entries[0].certificate
    files.write(folder / PASSWORD_FILE, b"", modes.file, "password file", owner)
    files.write(folder / SERIAL_FILE, f"{serial_number}\n".encode(), modes.file, "serial number file", owner)
    exported = _text(authority) + material.certificate_pem(authority)
    files.write(folder / AUTHORITY_FILE, exported, files.CERTIFICATE_MODE, "certificate of the authority", owner)
    with files.unfinished_folder(folder) as unfinished:
        try:
            nss_write.write(unfinished, entries, folder)
        except sqlite3.Error as error:
            raise UserError(
                f"the certificate database in {folder} can not be made: {error}", f"see if there is room: df {folder}"
            ) from None
        for name in (nss_objects.MODULES_FILE, nss_objects.KEYS_FILE, nss_objects.CERTIFICATES_FILE):
            files.set_rights(unfinished / name, modes.file, owner)
            files.move(unfinished / name, folder / name)


def _count(folder: Path, owner: files.Owner | None) -> None:
    """For a stock tool that comes back later: it takes the next number, and would begin anew without the file."""
    path = folder / SERIAL_FILE
    mode = path.stat().st_mode & 0o777 if files.is_there(path) else GROUP_READS.file
    text = files.read(path, "serial number file").strip() if files.is_there(path) else b""
    number = int(text) if text.isdigit() and len(text) < SERIAL_DIGITS_MAX else SERIAL_AFTER_START
    files.write(path, f"{number + 1}\n".encode(), mode, "serial number file", owner)


def _text(certificate: x509.Certificate) -> bytes:
    """For people who open the file; programs read on to the PEM."""
    facts = material.describe("authority", certificate, Path())
    lines = (
        "Certificate:",
        f"    Serial Number: {facts.serial_number}",
        f"    Subject: {facts.subject}",
        f"    Not Before: {facts.valid_from:%Y-%m-%d %H:%M:%S} UTC",
        f"    Not After : {facts.valid_until:%Y-%m-%d %H:%M:%S} UTC",
        f"    Public Key: {facts.key}",
        f"    Fingerprint (SHA-256): {facts.fingerprint_sha256}",
        "",
        "",
    )
    return "\n".join(lines).encode()
