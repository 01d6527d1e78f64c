"""Certificates and keys out of a database that NSS made, without NSS."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from thirdvote.errors import UserError
from thirdvote.pki import files, nss_format, nss_objects
from thirdvote.pki.issue import AuthorityKey
from thirdvote.pki.nss_objects import Attribute, KeyType, ObjectClass, Trust

PASSWORD_FILE = "pwdfile.txt"  # noqa: S105  # a file's name

_CURVES: dict[bytes, type[ec.EllipticCurve]] = {
    bytes.fromhex("06082a8648ce3d030107"): ec.SECP256R1,
    bytes.fromhex("06052b81040022"): ec.SECP384R1,
    bytes.fromhex("06052b81040023"): ec.SECP521R1,
}
"""By their object identifiers, DER."""

_RSA = (
    Attribute.PRIVATE_EXPONENT, Attribute.PRIME_1, Attribute.PRIME_2,
    Attribute.EXPONENT_1, Attribute.EXPONENT_2, Attribute.COEFFICIENT,
)  # fmt: skip

_Object = Mapping[Attribute, bytes]


@dataclass(frozen=True)
class Entry:
    nickname: str
    certificate: x509.Certificate
    key_id: bytes
    trusted_for_clients: bool
    """Nodes whose certificate it signed are let in."""


@dataclass(frozen=True)
class Database:
    folder: Path
    entries: tuple[Entry, ...]
    keys: Mapping[bytes, AuthorityKey]
    """By the id that certificate and key have in common."""


def exists(folder: Path) -> bool:
    return any(files.is_there(folder / name) for name in (nss_objects.CERTIFICATES_FILE, nss_objects.OLD_CERTIFICATES_FILE))


def read(folder: Path) -> Database:
    """UserError when there is none, it is of the old kind, damaged, not readable, or its password is not in its password file."""
    certificates = folder / nss_objects.CERTIFICATES_FILE
    if not files.is_there(certificates):
        raise _missing(folder)
    public = _objects(certificates, nss_objects.CERTIFICATES_TABLE)
    trusted = frozenset(_issuer_and_number(item) for item in public if _is_trusted_for_clients(item))
    entries = tuple(_entry(item, trusted, certificates) for item in public if _class(item) == ObjectClass.CERTIFICATE)
    return Database(folder, entries, _read_keys(folder))


def _missing(folder: Path) -> UserError:
    if files.is_there(folder / nss_objects.OLD_CERTIFICATES_FILE):
        hint = f"convert it: certutil -N -d sql:{folder} -f {folder}/{PASSWORD_FILE} -@ {folder}/{PASSWORD_FILE}"
        return UserError(f"the certificate database in {folder} is of the old kind (cert8.db)", hint)
    return UserError(f"there is no certificate database in {folder}", "make one: corosync-qnetd-certutil -i")


def _read_keys(folder: Path) -> dict[bytes, AuthorityKey]:
    path = folder / nss_objects.KEYS_FILE
    secret = _secret(path)
    private = [item for item in _objects(path, nss_objects.KEYS_TABLE) if _class(item) == ObjectClass.PRIVATE_KEY]
    try:
        return {item.get(Attribute.ID, b""): _key(item, secret) for item in private}
    except (ValueError, UnsupportedAlgorithm, KeyError) as error:
        raise _damaged(path, str(error) or "unknown contents") from None


def _password(path: Path) -> bytes:
    """The first line; without the file, the password is empty."""
    if not files.is_there(path):
        return b""
    return files.read(path, "password file").split(b"\n", 1)[0].rstrip(b"\r")


def _secret(path: Path) -> nss_format.Secret:
    """The empty password first: the stock server has no other, and its user may not be allowed to read the password file."""
    rows = _query(path, "SELECT item1, item2 FROM metaData WHERE id = 'password'")
    if not rows or not all(isinstance(item, bytes) for item in rows[0]):
        raise _damaged(path, "it has never been set up")
    salt, check = rows[0]
    assert isinstance(salt, bytes)
    assert isinstance(check, bytes)
    secret = nss_format.Secret(salt)
    if _opens(secret, check):
        return secret
    secret = nss_format.Secret(salt, _password(path.parent / PASSWORD_FILE))
    if _opens(secret, check):
        return secret
    hint = f"write it there, or take it off: certutil -W -d sql:{path.parent}"
    raise UserError(f"the password of {path} is not the one in {path.parent / PASSWORD_FILE}", hint)


def _opens(secret: nss_format.Secret, check: bytes) -> bool:
    try:
        return secret.decrypt(check) == nss_format.CHECK
    except nss_format.Damaged:
        return False


def _objects(path: Path, table: str) -> list[_Object]:
    columns = ", ".join(attribute.column for attribute in Attribute)
    rows = _query(path, f"SELECT {columns} FROM {table}")  # noqa: S608  # both are constants
    return [{attribute: value for attribute, value in zip(Attribute, row, strict=True) if isinstance(value, bytes)} for row in rows]


def _query(path: Path, statement: str) -> list[tuple[object, ...]]:
    files.check_readable(path, "certificate database")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            return connection.execute(statement).fetchall()
    except sqlite3.Error as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(f"the certificate database {path} can not be read: {reason}", "restore it from a backup")


def _class(item: _Object) -> int:
    return int.from_bytes(item.get(Attribute.CLASS, b""), "big")


def _is_trusted_for_clients(item: _Object) -> bool:
    return _class(item) == ObjectClass.TRUST and item.get(Attribute.TRUST_CLIENT_AUTH) == nss_objects.integer(Trust.AUTHORITY)


def _issuer_and_number(item: _Object) -> tuple[bytes, bytes]:
    return item.get(Attribute.ISSUER, b""), item.get(Attribute.SERIAL_NUMBER, b"")


def _entry(item: _Object, trusted: frozenset[tuple[bytes, bytes]], path: Path) -> Entry:
    try:
        certificate = x509.load_der_x509_certificate(item.get(Attribute.VALUE, b""))
    except (ValueError, x509.InvalidVersion) as error:
        raise _damaged(path, str(error)) from None
    nickname = _text(item.get(Attribute.LABEL, b""))
    return Entry(nickname, certificate, item.get(Attribute.ID, b""), _issuer_and_number(item) in trusted)


def _text(value: bytes) -> str:
    return "" if value == nss_objects.EMPTY else value.decode("utf-8", "replace")


def _key(item: _Object, secret: nss_format.Secret) -> AuthorityKey:
    kind = int.from_bytes(item[Attribute.KEY_TYPE], "big")
    if kind == KeyType.EC:
        curve = _CURVES[item[Attribute.EC_PARAMS]]()
        return ec.derive_private_key(_number(secret.decrypt(item[Attribute.VALUE])), curve)
    if kind == KeyType.RSA:
        public = rsa.RSAPublicNumbers(_number(item[Attribute.PUBLIC_EXPONENT]), _number(item[Attribute.MODULUS]))
        d, p, q, dmp1, dmq1, iqmp = (_number(secret.decrypt(item[attribute])) for attribute in _RSA)
        return rsa.RSAPrivateNumbers(p, q, d, dmp1, dmq1, iqmp, public).private_key()
    raise nss_format.Damaged(f"a key of the unknown type {kind}")


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big")
