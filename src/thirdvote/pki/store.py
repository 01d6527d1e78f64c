"""The authority and the server's certificate in the data directory: made at the first start, checked at each, used to sign.

Each file is written in one step, keys before their certificates and the authority before the server. So a crash between
two files leaves a key without its certificate, and the next start goes on from there; every other gap is a loss, which
only a person can judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from thirdvote.errors import UserError
from thirdvote.pki import files, inventory, issue, material, paths, policy, revocation
from thirdvote.pki.issue import Authority

_AUTHORITY = "certificate of the authority"
_AUTHORITY_KEY = "key of the authority"
_SERVER = "server certificate"
_SERVER_KEY = "key of the server certificate"

EXPIRES_SOON = timedelta(days=90)
"""Time enough to enrol nodes anew between two maintenance windows."""


@dataclass(frozen=True)
class _Store:
    paths: paths.Paths
    ca_key: Path

    @property
    def folder(self) -> Path:
        return self.ca_key.parent

    def present(self) -> frozenset[Path]:
        every = (self.ca_key, self.paths.ca_certificate, self.paths.server_key, self.paths.server_certificate)
        return frozenset(path for path in every if files.is_there(path))


def ensure(data: Path, now: datetime | None = None) -> bool:
    """Makes what is missing and checks what is there. True when something was made. UserError."""
    now = now or datetime.now(UTC)
    store = _store(data)
    files.make_folder(store.folder)
    with files.locked(store.folder):
        made_authority = _ensure_authority(store, now)
        made_server = _ensure_server(store, now)
    return made_authority or made_server


def sign(
    data: Path,
    request: bytes,
    cluster_name: str,
    now: datetime | None = None,
    *,
    way: str = "cli",
    asked_by: str = "",
    replace: bool = False,
) -> bytes:
    """A certificate, DER, for the cluster whose node made the `request`, DER or PEM. It is in the inventory when this returns.

    `way` is one of `inventory.WAYS`, `asked_by` the address or user that it came from. With `replace` the cluster's other certificates
    are revoked, at once; the voter has to be told to read its list then. UserError; RequestRefused for the request's faults.
    """
    now = now or datetime.now(UTC)
    assert way in inventory.WAYS, way
    key = policy.request_key(policy.check(request, cluster_name))
    authority = load_authority(data)
    folder = _store(data).folder
    with files.locked(folder):
        certificate = issue.cluster_certificate(key, cluster_name, authority, now)
        signed = material.signed(certificate, cluster_name, way, asked_by, now)
        inventory.add(folder, [signed], now)
        revocation.signed_anew(folder, signed, replace, now)
    return material.certificate_der(certificate)


def warnings(data: Path, now: datetime | None = None) -> list[str]:
    """What does not keep the arbitrator from starting, and should be known. UserError."""
    now = now or datetime.now(UTC)
    found = []
    for fact in facts(data):
        if now < fact.valid_from:
            found.append(
                f"the clock of this host says {now:%Y-%m-%d %H:%M} UTC, and {fact.file} is valid from {fact.valid_from:%Y-%m-%d} on"
            )
        elif now > fact.valid_until - EXPIRES_SOON:
            found.append(f"{fact.file} expires on {fact.valid_until:%Y-%m-%d}")
    return found


def load_authority(data: Path) -> Authority:
    """UserError, also when there is none yet."""
    store = _store(data)
    if not store.present():
        raise UserError(f"there is no certificate authority in {data}", f"the first start makes it: thirdvote serve --data {data}")
    return _read_authority(store)


def facts(data: Path) -> list[material.CertificateFacts]:
    """The authority's and the server's certificate, as far as they are there. UserError."""
    where = paths.data_directory(data)
    places = (("authority", where.ca_certificate, _AUTHORITY), ("server", where.server_certificate, _SERVER))
    present = _store(data).present()
    if not present:
        raise UserError(f"there are no certificates in {data}", f"the first start makes them: thirdvote serve --data {data}")
    return [material.describe(role, material.read_certificate(path, what), path) for role, path, what in places if path in present]


def _store(data: Path) -> _Store:
    return _Store(paths.data_directory(data), paths.ca_key(data))


def _ensure_authority(store: _Store, now: datetime) -> bool:
    present = store.present()
    certificate = store.paths.ca_certificate
    if certificate in present:
        _check_authority(store, now, has_key=store.ca_key in present)
        return False
    if present - {store.ca_key}:
        hint = f"restore it from a backup; to begin anew and enrol every node again: rm -r {store.folder}"
        raise UserError(f"the {_AUTHORITY}, {certificate}, is missing, but {min(present - {store.ca_key})} is there", hint)
    issue.check_clock(now)
    if store.ca_key in present:
        files.check_private(store.ca_key, _AUTHORITY_KEY)
        key = material.read_key(store.ca_key, _AUTHORITY_KEY)
    else:
        key = issue.new_key()
        _write_key(store.ca_key, key, _AUTHORITY_KEY)
    _write_certificate(certificate, issue.new_authority(key, now).certificate, _AUTHORITY)
    return True


def _check_authority(store: _Store, now: datetime, has_key: bool) -> None:
    """The key may be kept elsewhere: then nodes are served, and none is let in."""
    path = store.paths.ca_certificate
    certificate = _read_authority(store).certificate if has_key else material.read_certificate(path, _AUTHORITY)
    if not material.is_authority(certificate):
        raise UserError(f"{path} is no certificate of an authority", "restore it from a backup")
    remedy = f"begin anew and enrol every node again: rm -r {store.folder}"
    material.check_not_expired(certificate, path, _AUTHORITY, now, remedy)


def _read_authority(store: _Store) -> Authority:
    certificate = material.read_certificate(store.paths.ca_certificate, _AUTHORITY)
    files.check_private(store.ca_key, _AUTHORITY_KEY)
    key = material.read_key(store.ca_key, _AUTHORITY_KEY)
    if not material.matches(certificate, key):
        raise UserError(f"{store.ca_key} is not the key of {store.paths.ca_certificate}", "restore both from the same backup")
    return Authority(certificate, key)


def _ensure_server(store: _Store, now: datetime) -> bool:
    present = store.present()
    where = store.paths
    if where.server_certificate in present:
        _check_server(store, now, has_key=where.server_key in present)
        return False
    if store.ca_key not in present:
        hint = f"restore {store.ca_key} from a backup; to begin anew and enrol every node again: rm -r {store.folder}"
        raise UserError(f"{store.folder} has no {_SERVER}, and no {_AUTHORITY_KEY} to make one with", hint)
    authority = _read_authority(store)
    if where.server_key in present:
        files.check_private(where.server_key, _SERVER_KEY)
        key = material.read_key(where.server_key, _SERVER_KEY)
    else:
        key = issue.new_key()
        _write_key(where.server_key, key, _SERVER_KEY)
    _write_certificate(where.server_certificate, issue.server_certificate(key.public_key(), authority, now), _SERVER)
    return True


def _check_server(store: _Store, now: datetime, has_key: bool) -> None:
    where = store.paths
    again = f"let the next start make another one, which the nodes accept as well: rm {where.server_certificate} {where.server_key}"
    if not has_key:
        raise UserError(f"the {_SERVER_KEY}, {where.server_key}, is missing", f"restore it; or {again}")
    files.check_private(where.server_key, _SERVER_KEY)
    certificate = material.read_certificate(where.server_certificate, _SERVER, f"restore it; or {again}")
    if not material.matches(certificate, material.read_key(where.server_key, _SERVER_KEY, f"restore it; or {again}")):
        raise UserError(f"{where.server_key} is not the key of {where.server_certificate}", f"restore both; or {again}")
    if not material.is_issued_by(certificate, material.read_certificate(where.ca_certificate, _AUTHORITY)):
        raise UserError(f"{where.server_certificate} is not signed by {where.ca_certificate}", f"restore both; or {again}")
    material.check_not_expired(certificate, where.server_certificate, _SERVER, now, again)


def _write_key(path: Path, key: issue.AuthorityKey, what: str) -> None:
    files.write(path, material.key_pem(key), files.KEY_MODE, what)
    files.check_private(path, what)  # some file systems have no permissions


def _write_certificate(path: Path, certificate: x509.Certificate, what: str) -> None:
    files.write(path, material.certificate_pem(certificate), files.CERTIFICATE_MODE, what)
