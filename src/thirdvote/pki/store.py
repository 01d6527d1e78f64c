"""The authority and the server's certificate in the data directory: made at the first start, checked at each, used to sign.

Each file is written in one step, keys before their certificates and the authority before the server. So a crash between
two files leaves a key without its certificate, and the next start goes on from there; every other gap is a loss, which
only a person can judge.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from thirdvote.errors import UserError
from thirdvote.pki import files, inventory, issue, material, paths, policy, renewal, revocation, rollover, running
from thirdvote.pki.issue import Authority

_AUTHORITY = rollover.AUTHORITY
_AUTHORITY_KEY = rollover.AUTHORITY_KEY
_SERVER = renewal.SERVER
_SERVER_KEY = "key of the server certificate"


def ensure(data: Path, now: datetime | None = None) -> bool:
    """Makes what is missing and checks what is there. True when something was made. UserError."""
    now = now or datetime.now(UTC)
    folder = paths.folder_in(data)
    files.make_folder(folder.path)
    with files.locked(folder.path):
        rollover.mend(folder)
        made_authority = _ensure_authority(folder, now)
        made_server = _ensure_server(folder, now)
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
    control: Path | None = None,
) -> bytes:
    """A certificate, DER, for the cluster whose node made the `request`, DER or PEM. It is in the inventory when this returns.

    `way` is one of `inventory.WAYS`, `asked_by` the address or user that it came from. With `replace` the cluster's other certificates
    are revoked, at once. A voter that runs is told where that is needed, over `control` or the socket in `data`. UserError; RequestRefused
    for the request's faults.
    """
    now = now or datetime.now(UTC)
    assert way in inventory.WAYS, way
    key = policy.request_key(policy.check(request, cluster_name))
    check_there(data)
    folder = paths.folder_in(data).path
    with files.locked(folder):
        rollover.mend(paths.folder_in(data))
        certificate = issue.cluster_certificate(key, cluster_name, load_authority(data), now)
        signed = material.signed(certificate, cluster_name, way, asked_by, now)
        inventory.add(folder, [signed], now)
        has_to_be_told = revocation.signed_anew(folder, signed, replace, now)
    if has_to_be_told:
        running.read_again(control or running.usual_control(data))
    return material.certificate_der(certificate)


def load_authority(data: Path) -> Authority:
    """Who signs. UserError, also when there is none yet."""
    check_there(data)
    folder = paths.folder_in(data)
    return rollover.read_authority(folder.authority, folder.authority_key)


def check_there(data: Path) -> None:
    """UserError when there is no authority, nor anything of one."""
    if not _present(paths.folder_in(data)):
        hint = f"the first start makes it: thirdvote serve --data {data}"
        if paths.STOCK_DIRECTORY.is_dir():
            hint += f"; a corosync-qnetd's is for corosync-qnetd-certutil, or taken over: thirdvote ca import-nss {paths.STOCK_DIRECTORY}"
        raise UserError(f"there is no certificate authority in {data}", hint)


def facts(data: Path) -> list[material.CertificateFacts]:
    """The authority's and the server's certificate, as far as they are there, and while authorities change the old one's. UserError."""
    folder = paths.folder_in(data)
    present = _present(folder)
    if not present:
        raise UserError(f"there are no certificates in {data}", f"the first start makes them: thirdvote serve --data {data}")
    places = [("authority", folder.authority, _AUTHORITY), ("server", folder.server, _SERVER)]
    found = [(role, path, what) for role, path, what in places if path in present]
    if rollover.is_under_way(folder):
        found.append(("old authority", folder.old_authority, _AUTHORITY))
    return [material.describe(role, material.read_certificate(path, what), path) for role, path, what in found]


def _present(folder: paths.Folder) -> frozenset[Path]:
    every = (folder.authority_key, folder.authority, folder.server_key, folder.server)
    return frozenset(path for path in every if files.is_there(path))


def _ensure_authority(folder: paths.Folder, now: datetime) -> bool:
    present = _present(folder)
    if folder.authority in present:
        _check_authority(folder, now, has_key=folder.authority_key in present)
        return False
    if present - {folder.authority_key}:
        hint = f"restore it from a backup; to begin anew and enrol every node again: rm -r {folder.path}"
        raise UserError(f"the {_AUTHORITY}, {folder.authority}, is missing, but {min(present - {folder.authority_key})} is there", hint)
    issue.check_clock(now)
    if folder.authority_key in present:
        files.check_private(folder.authority_key, _AUTHORITY_KEY)
        key = material.read_key(folder.authority_key, _AUTHORITY_KEY)
    else:
        key = issue.new_key()
        rollover.write_key(folder.authority_key, key, _AUTHORITY_KEY)
    rollover.write_certificates(folder.authority, [issue.new_authority(key, now).certificate], _AUTHORITY)
    return True


def _check_authority(folder: paths.Folder, now: datetime, has_key: bool) -> None:
    """The key may be kept elsewhere: then nodes are served, and none is let in."""
    path = folder.authority
    if has_key:
        certificate = rollover.read_authority(path, folder.authority_key).certificate
    else:
        certificate = material.read_certificate(path, _AUTHORITY)
    if not material.is_authority(certificate):
        raise UserError(f"{path} is no certificate of an authority", "restore it from a backup")
    remedy = f"begin anew and enrol every node again: rm -r {folder.path}"
    material.check_not_expired(certificate, path, _AUTHORITY, now, remedy)


def _ensure_server(folder: paths.Folder, now: datetime) -> bool:
    present = _present(folder)
    if folder.server in present:
        _check_server(folder, now, has_key=folder.server_key in present)
        return False
    if folder.authority_key not in present:
        hint = f"restore {folder.authority_key} from a backup; to begin anew and enrol every node again: rm -r {folder.path}"
        raise UserError(f"{folder.path} has no {_SERVER}, and no {_AUTHORITY_KEY} to make one with", hint)
    if folder.server_key in present:
        files.check_private(folder.server_key, _SERVER_KEY)
        key = material.read_key(folder.server_key, _SERVER_KEY)
    else:
        key = issue.new_key()
        rollover.write_key(folder.server_key, key, _SERVER_KEY)
    renewal.write(folder, issue.server_certificate(key.public_key(), rollover.server_authority(folder), now), now)
    return True


def _check_server(folder: paths.Folder, now: datetime, has_key: bool) -> None:
    again = f"let the next start make another one, which the nodes accept as well: rm {folder.server} {folder.server_key}"
    if not has_key:
        raise UserError(f"the {_SERVER_KEY}, {folder.server_key}, is missing", f"restore it; or {again}")
    files.check_private(folder.server_key, _SERVER_KEY)
    certificate = material.read_certificate(folder.server, _SERVER, f"restore it; or {again}")
    if not material.matches(certificate, material.read_key(folder.server_key, _SERVER_KEY, f"restore it; or {again}")):
        raise UserError(f"{folder.server_key} is not the key of {folder.server}", f"restore both; or {again}")
    issuer = rollover.server_issuer(folder)
    if not material.is_issued_by(certificate, material.read_certificate(issuer, _AUTHORITY)):
        raise UserError(f"{folder.server} is not signed by {issuer}", f"restore both; or {again}")
    certificate = renewal.renew_if_due(folder, certificate, now)
    remedy = f"it is renewed where the authority's key is: put {folder.authority_key} back, and start again"
    material.check_not_expired(certificate, folder.server, _SERVER, now, remedy)
