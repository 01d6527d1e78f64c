"""One authority takes over from another while nodes of both are served.

Nodes that were let in before trust only the old authority, nodes that are let in now only the new one, and both look at the same server
certificate. It stays the old one's; behind it goes the old authority signed by the new one. A node that trusts the old authority needs no
more than the server's certificate; one that trusts the new one finds its way over what is behind. The other way round, the old authority
signing the new one, is closed: its path length is 0, in ours as in the stock tool's.

The files change in an order that a crash may cut anywhere, and `mend` goes on or goes back:

    old-ca.key, old-ca.crt     copies
    new-ca.crt                 the new authority; without its key it is nobody
    server.crt, trusted.crt    good for both already
    ca.key                     from here on the new authority is
    new-ca.crt -> ca.crt       done

At the end the server gets a certificate of the new authority, in one step; what is left of the old one is then taken away.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509

from thirdvote.errors import UserError
from thirdvote.pki import files, issue, material
from thirdvote.pki.issue import Authority
from thirdvote.pki.paths import Folder

AUTHORITY = "certificate of the authority"
AUTHORITY_KEY = "key of the authority"
BACKUPS_OF_A_SECOND_MAX = 100
_SERVER = "server certificate"
_TRUSTED = "certificates of both authorities"
_OLD = "certificate of the old authority"
_OLD_KEY = "key of the old authority"


def is_under_way(folder: Folder) -> bool:
    """UserError when it can not be seen."""
    return files.is_there(folder.old_authority)


def server_issuer(folder: Folder) -> Path:
    """Whose server certificate the nodes are shown."""
    return folder.old_authority if is_under_way(folder) else folder.authority


def server_authority(folder: Folder) -> Authority:
    """UserError, also when its key is kept elsewhere."""
    if is_under_way(folder):
        return read_authority(folder.old_authority, folder.old_authority_key)
    return read_authority(folder.authority, folder.authority_key)


def server_chain(folder: Folder, server: x509.Certificate, now: datetime) -> list[x509.Certificate]:
    """What goes into the server's file. UserError."""
    if not is_under_way(folder):
        return [server]
    old = material.read_certificate(folder.old_authority, _OLD)
    return [server, issue.cross_certificate(old, read_authority(folder.authority, folder.authority_key), now)]


def read_authority(certificate_path: Path, key_path: Path) -> Authority:
    """UserError."""
    certificate = material.read_certificate(certificate_path, AUTHORITY)
    files.check_private(key_path, AUTHORITY_KEY)
    key = material.read_key(key_path, AUTHORITY_KEY)
    if not material.matches(certificate, key):
        raise UserError(f"{key_path} is not the key of {certificate_path}", "restore both from the same backup")
    return Authority(certificate, key)


def check_may_begin(folder: Folder) -> None:
    """UserError."""
    if is_under_way(folder):
        raise UserError("a new authority is taking over already", "`thirdvote ca show` says who still needs the old one")


def begin(folder: Folder, now: datetime) -> None:
    """The folder is locked. UserError."""
    check_may_begin(folder)
    issue.check_clock(now)
    old = read_authority(folder.authority, folder.authority_key)
    key = issue.new_key()
    new = issue.following_authority(key, material.common_name(old.certificate.subject), now)
    server = material.read_certificate(folder.server, _SERVER)
    write_key(folder.old_authority_key, old.key, _OLD_KEY)
    write_certificates(folder.old_authority, [old.certificate], _OLD)
    write_certificates(folder.coming_authority, [new.certificate], AUTHORITY)
    write_certificates(folder.server, [server, issue.cross_certificate(old.certificate, new, now)], _SERVER)
    write_certificates(folder.trusted, [new.certificate, old.certificate], _TRUSTED)
    write_key(folder.authority_key, key, AUTHORITY_KEY)
    _move(folder.coming_authority, folder.authority)


def finish(folder: Folder, now: datetime) -> None:
    """The folder is locked. Whoever trusts only the old authority is out. UserError."""
    if not is_under_way(folder):
        raise UserError("no new authority is taking over", "`thirdvote ca renew --authority` begins it")
    new = read_authority(folder.authority, folder.authority_key)
    server = material.read_certificate(folder.server, _SERVER)
    if not material.is_issued_by(server, new.certificate):
        key = server.public_key()
        assert isinstance(key, issue.RequestKey), "it was checked at the start"
        write_certificates(folder.server, [issue.server_certificate(key, new, now)], _SERVER)
    _forget_old(folder)


def mend(folder: Folder) -> None:
    """The folder is locked. Goes on with what a crash has cut off, or back. UserError."""
    if files.is_there(folder.coming_authority):
        new = material.read_certificate(folder.coming_authority, AUTHORITY)
        if _is_key_of(folder.authority_key, new):
            _move(folder.coming_authority, folder.authority)
            return
        _go_back(folder)
    elif is_under_way(folder):
        old, new = (material.read_certificate(path, AUTHORITY) for path in (folder.old_authority, folder.authority))
        if old == new:
            _go_back(folder)
        elif files.is_there(folder.server) and material.is_issued_by(material.read_certificate(folder.server, _SERVER), new):
            _forget_old(folder)
    elif files.is_there(folder.old_authority_key):
        remove(folder.old_authority_key)


def backup(folder: Folder, now: datetime) -> Path:
    """A copy of all its files beside it, as private as they are, on the disk. UserError."""
    place = _new_place(folder, now)
    owner = files.owner_for_root(folder.path)
    try:
        files.set_rights(place, files.FOLDER_MODE, owner)
        for path in sorted(path for path in folder.path.iterdir() if path.is_file()):
            files.write(place / path.name, path.read_bytes(), path.stat().st_mode & 0o777, "backup of the certificates", owner)
    except OSError as error:
        raise files.unusable(error, place, "backup of the certificates") from None
    return place


def _new_place(folder: Folder, now: datetime) -> Path:
    wanted = f"{folder.path.name}-{now:%Y%m%d-%H%M%S}"
    for number in range(BACKUPS_OF_A_SECOND_MAX):
        place = folder.path.with_name(f"{wanted}-{number}" if number else wanted)
        try:
            place.mkdir(mode=files.FOLDER_MODE)
        except FileExistsError:
            continue
        except OSError as error:
            raise files.unusable(error, place, "backup of the certificates") from None
        return place
    raise UserError(f"there are too many backups, {folder.path.with_name(wanted)} and others", "remove those that nobody needs")


def write_key(path: Path, key: issue.AuthorityKey, what: str) -> None:
    """UserError."""
    files.write(path, material.key_pem(key), files.KEY_MODE, what, files.owner_for_root(path.parent))
    files.check_private(path, what)  # some file systems have no permissions


def write_certificates(path: Path, certificates: Sequence[x509.Certificate], what: str) -> None:
    """UserError."""
    text = b"".join(map(material.certificate_pem, certificates))
    files.write(path, text, files.CERTIFICATE_MODE, what, files.owner_for_root(path.parent))


def _is_key_of(path: Path, certificate: x509.Certificate) -> bool:
    return files.is_there(path) and material.matches(certificate, material.read_key(path, AUTHORITY_KEY))


def _go_back(folder: Folder) -> None:
    """The new authority never was: its key is lost."""
    server = material.read_certificate(folder.server, _SERVER)
    write_certificates(folder.server, [server], _SERVER)
    remove(folder.coming_authority, folder.trusted, folder.old_authority_key, folder.old_authority)


def _forget_old(folder: Folder) -> None:
    """The mark that it is under way goes last."""
    remove(folder.trusted, folder.old_authority_key, folder.old_authority)


def remove(*paths: Path) -> None:
    """Of one authority's files. UserError."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
            files.sync_folder(path.parent)
        except OSError as error:
            raise files.unusable(error, path, "file of an authority") from None


def _move(source: Path, target: Path) -> None:
    try:
        files.move(source, target)
    except OSError as error:
        raise files.unusable(error, target, AUTHORITY) from None
