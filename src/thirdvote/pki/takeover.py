"""From a stock server's database of certificates to ours, and back: the nodes notice nothing, because it is the same authority."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from thirdvote import revocations
from thirdvote.errors import UserError
from thirdvote.pki import files, inventory, issue, material, nss_read, nss_write, paths, rollover, stock, store
from thirdvote.pki.compatible import valid_until
from thirdvote.pki.nss_read import Database, Entry
from thirdvote.pki.paths import AUTHORITY_NICKNAME, SERVER_NICKNAME, Folder

CLUSTER_FILES_MAX = 100_000
_CLUSTER_FILES = "cluster-*.crt"

SERIAL_FILE = stock.SERIAL_FILE


@dataclass(frozen=True, slots=True)
class TakenOver:
    clusters: tuple[str, ...]
    """Whose certificates are in the inventory now."""
    made_server: bool
    """The database had no certificate for the server, or one that is of no use: there is a new one."""
    skipped: tuple[str, ...]
    """Files of clusters that could not be used, each with the reason."""
    backup: Path | None
    """Where the certificates of before are."""


@dataclass(frozen=True, slots=True)
class _Found:
    authority: issue.Authority
    server: tuple[x509.Certificate, issue.AuthorityKey] | None
    serial_number: int | None
    clusters: tuple[tuple[str, x509.Certificate], ...]
    skipped: tuple[str, ...]


def import_stock(source: Path, data: Path, force: bool = False, now: datetime | None = None) -> TakenOver:
    """Nothing in `source` is changed. UserError; nothing is changed in `data` then."""
    now = now or datetime.now(UTC)
    found = _look(source, now)
    folder = paths.folder_in(data)
    files.make_folder(folder.path)
    with files.locked(folder.path):
        backup = _make_way(folder, found.authority.certificate, force, now)
        _write(folder, found, now)
    store.ensure(data, now)
    return TakenOver(tuple(sorted({name for name, _ in found.clusters})), found.server is None, found.skipped, backup)


def export_stock(data: Path, target: Path, report: stock.Report, now: datetime | None = None) -> int:
    """A database with which a stock server goes on. How many certificates that are revoked here count again there. UserError."""
    now = now or datetime.now(UTC)
    folder = paths.folder_in(data)
    if nss_read.exists(target):
        raise UserError(f"there is a certificate database in {target} already", f"move it away: mv {target} {target}.before")
    if rollover.is_under_way(folder):
        hint = "end it first: thirdvote ca renew --finish"
        raise UserError("a new authority is taking over, which the stock server can not do", hint)
    authority = store.load_authority(data)
    server = material.read_certificate(folder.server, "server certificate")
    key = material.read_key(folder.server_key, "key of the server certificate")
    material.check_not_expired(server, folder.server, "server certificate", now, f"renew it: thirdvote ca renew --data {data}")
    entries = [
        nss_write.NewEntry(AUTHORITY_NICKNAME, authority.certificate, authority.key, authority=True),
        nss_write.NewEntry(SERVER_NICKNAME, server, key, authority=False),
    ]
    stock.write(target, entries, _serial_number(folder), report)
    return sum(1 for each in inventory.every(folder.path) if each.revoked_at is not None and each.valid_until > now)


def _look(source: Path, now: datetime) -> _Found:
    database = nss_read.read(source)
    authority = _authority(database)
    material.check_not_expired(
        authority.certificate, source, "authority in", now, "enrol the nodes anew, at an authority that is made here"
    )
    clusters, skipped = _clusters(source, database, authority.certificate)
    return _Found(authority, _server(database, authority.certificate, now), _counter(source), clusters, skipped)


def _authority(database: Database) -> issue.Authority:
    named = [entry for entry in database.entries if entry.nickname == AUTHORITY_NICKNAME]
    if not named:
        hint = f"see what it has: certutil -L -d sql:{database.folder}"
        raise UserError(f"the certificate database in {database.folder} has no authority {AUTHORITY_NICKNAME!r}", hint)
    with_key = [entry for entry in named if _has_key(database, entry)]
    if not with_key:
        hint = "copy all of the stock server's directory, key4.db too; without that key no node can be let in, nor the server's renewed"
        raise UserError(f"the certificate database in {database.folder} has not the key of its authority", hint)
    entry = max(with_key, key=lambda entry: valid_until(entry.certificate))
    if not material.is_authority(entry.certificate):
        raise UserError(f"{AUTHORITY_NICKNAME!r} in {database.folder} is no certificate of an authority", "restore it from a backup")
    return issue.Authority(entry.certificate, database.keys[entry.key_id])


def _server(database: Database, authority: x509.Certificate, now: datetime) -> tuple[x509.Certificate, issue.AuthorityKey] | None:
    """The one that is valid longest; None when another one has to be made."""
    usable = [
        entry
        for entry in database.entries
        if entry.nickname == SERVER_NICKNAME
        and _has_key(database, entry)
        and material.is_issued_by(entry.certificate, authority)
        and valid_until(entry.certificate) > now
    ]
    if not usable:
        return None
    entry = max(usable, key=lambda entry: valid_until(entry.certificate))
    return entry.certificate, database.keys[entry.key_id]


def _has_key(database: Database, entry: Entry) -> bool:
    key = database.keys.get(entry.key_id)
    return key is not None and material.matches(entry.certificate, key)


def _counter(source: Path) -> int | None:
    path = source / SERIAL_FILE
    text = files.read(path, "serial number file").strip() if files.is_there(path) else b""
    return int(text) if text.isdigit() and len(text) < stock.SERIAL_DIGITS_MAX else None


def _clusters(
    source: Path, database: Database, authority: x509.Certificate
) -> tuple[tuple[tuple[str, x509.Certificate], ...], tuple[str, ...]]:
    """Certificates of clusters, by name, and the files that are none."""
    found: dict[int, tuple[str, x509.Certificate]] = {}
    skipped = []
    for path in sorted(source.glob(_CLUSTER_FILES))[:CLUSTER_FILES_MAX]:
        try:
            certificate = _read_any(path)
        except UserError as error:
            skipped.append(str(error))
            continue
        if material.is_issued_by(certificate, authority):
            found[certificate.serial_number] = (material.common_name(certificate.subject), certificate)
        else:
            skipped.append(f"{path} is of another authority")
    for entry in database.entries:
        is_own = entry.nickname in (AUTHORITY_NICKNAME, SERVER_NICKNAME)
        if not is_own and material.is_issued_by(entry.certificate, authority):
            found.setdefault(entry.certificate.serial_number, (material.common_name(entry.certificate.subject), entry.certificate))
    return tuple(found.values()), tuple(skipped)


def _read_any(path: Path) -> x509.Certificate:
    """DER, as the stock tool writes it, or PEM."""
    data = files.read(path, "certificate of a cluster")
    try:
        return x509.load_pem_x509_certificate(data) if data.lstrip().startswith(b"-----") else x509.load_der_x509_certificate(data)
    except (ValueError, x509.InvalidVersion):
        raise UserError(f"{path} is no certificate, or a damaged one") from None


def _make_way(folder: Folder, authority: x509.Certificate, force: bool, now: datetime) -> Path | None:
    """Nothing of another authority is left. Where the files of before are, if there were any."""
    present = sorted(path for path in folder.path.iterdir())
    if not present:
        return None
    if not force:
        hint = "if no node was let in there yet, or all are to be let in anew: --force, which keeps a backup of what is there"
        raise UserError(f"{folder.path} has an authority already, which the nodes of the other one do not know", hint)
    backup = rollover.backup(folder, now)
    same = files.is_there(folder.authority) and material.read_certificate(folder.authority, rollover.AUTHORITY) == authority
    stay = (inventory.FILE, revocations.FILE) if same else ()  # what is revoked stays so when the same one is taken over once more
    rollover.remove(*(path for path in present if path.name not in stay))
    return backup


def _write(folder: Folder, found: _Found, now: datetime) -> None:
    """As at a first start: keys before their certificates, the authority before the server."""
    rollover.write_key(folder.authority_key, found.authority.key, rollover.AUTHORITY_KEY)
    rollover.write_certificates(folder.authority, [found.authority.certificate], rollover.AUTHORITY)
    if found.server is not None:
        certificate, key = found.server
        rollover.write_key(folder.server_key, key, "key of the server certificate")
        rollover.write_certificates(folder.server, [certificate], "server certificate")
    if found.serial_number is not None:
        text = f"{found.serial_number}\n".encode()
        files.write(folder.path / SERIAL_FILE, text, files.CERTIFICATE_MODE, "serial number file", files.owner_for_root(folder.path))
    known = [material.signed(certificate, name, "imported", "", None) for name, certificate in found.clusters]
    if known:
        inventory.add(folder.path, known, now)


def _serial_number(folder: Folder) -> int:
    """For a stock tool that goes on counting: beyond all that it has given itself; ours are random, and far from it."""
    counted = _counter(folder.path)
    return stock.SERIAL_AFTER_START if counted is None else counted
