"""A database as NSS would make it, with an empty password, without NSS."""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from thirdvote.pki import material, nss_format, nss_keys, nss_objects
from thirdvote.pki.issue import AuthorityKey
from thirdvote.pki.nss_objects import Attribute, ObjectClass, Trust

_OBJECT_IDS = 0x3FFF_FFFF
"""The two upper bits tell NSS which of its databases an object is in."""

_YES, _NO = nss_objects.boolean(True), nss_objects.boolean(False)

_SIGNED = frozenset(
    {
        Attribute.MODULUS, Attribute.PUBLIC_EXPONENT,
        Attribute.TRUST_SERVER_AUTH, Attribute.TRUST_CLIENT_AUTH, Attribute.TRUST_CODE_SIGNING, Attribute.TRUST_EMAIL_PROTECTION,
        Attribute.TRUST_STEP_UP_APPROVED, Attribute.CERTIFICATE_SHA1, Attribute.CERTIFICATE_MD5,
    }
)  # fmt: skip
"""NSS believes these only with a signature, which it keeps in the file of the keys."""

_Object = Mapping[Attribute, bytes]


@dataclass(frozen=True)
class NewEntry:
    nickname: str
    certificate: x509.Certificate
    key: AuthorityKey
    """On P-256, or RSA."""
    authority: bool
    """Trusted to sign servers and clients."""


def write(folder: Path, entries: list[NewEntry], lasting_folder: Path) -> None:
    """Makes cert9.db, key4.db and pkcs11.txt in `folder`, to be moved to `lasting_folder`. sqlite3.Error, OSError, UserError."""
    for entry in entries:
        nss_keys.check(entry.key)
    secret = nss_format.Secret(secrets.token_bytes(nss_format.SALT_BYTES))
    first = secrets.randbelow(_OBJECT_IDS >> 1)
    with (
        closing(_create(folder / nss_objects.CERTIFICATES_FILE, nss_objects.CERTIFICATES_TABLE)) as certificates,
        closing(_create(folder / nss_objects.KEYS_FILE, nss_objects.KEYS_TABLE)) as keys,
    ):
        keys.execute("CREATE TABLE metaData (id PRIMARY KEY UNIQUE ON CONFLICT REPLACE, item1, item2)")
        keys.execute("INSERT INTO metaData VALUES ('password', ?, ?)", (secret.salt, secret.encrypt(nss_format.CHECK)))
        for index, entry in enumerate(entries):
            _insert_entry(certificates, keys, secret, entry, first + 4 * index)
        certificates.commit()
        keys.commit()
    (folder / nss_objects.MODULES_FILE).write_text(_modules(lasting_folder), encoding="utf-8")


def _create(path: Path, table: str) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE {table} (id PRIMARY KEY UNIQUE ON CONFLICT ABORT, {', '.join(nss_objects.COLUMNS)})")
    for name, attribute in nss_objects.INDEXES.items():
        connection.execute(f"CREATE INDEX {name} ON {table} ({attribute.column})")
    return connection


def _insert_entry(
    certificates: sqlite3.Connection, keys: sqlite3.Connection, secret: nss_format.Secret, entry: NewEntry, object_id: int
) -> None:
    found_by = nss_keys.public_value(entry.key)
    plain = nss_keys.secrets(entry.key)
    for attribute, value in plain.items():
        _insert_signature(keys, "key", object_id, attribute, secret.sign(0, attribute, value))
    private = {**_private_key(entry.key, found_by), **{attribute: secret.encrypt(value) for attribute, value in plain.items()}}
    public = [_public_key(entry.key, found_by), _certificate(entry, found_by), *([_trust(entry.certificate)] if entry.authority else [])]
    _insert(keys, nss_objects.KEYS_TABLE, object_id, private)
    _sign(keys, "key", object_id, private, secret)
    for number, item in enumerate(public, start=object_id + 1):
        _insert(certificates, nss_objects.CERTIFICATES_TABLE, number, item)
        _sign(keys, "cert", number, item, secret)


def _sign(keys: sqlite3.Connection, database: str, object_id: int, item: _Object, secret: nss_format.Secret) -> None:
    for attribute in sorted(_SIGNED & item.keys()):
        _insert_signature(keys, database, object_id, attribute, secret.sign(object_id, attribute, item[attribute]))


def _insert(connection: sqlite3.Connection, table: str, object_id: int, item: _Object) -> None:
    columns = ", ".join(attribute.column for attribute in item)
    places = ", ".join("?" for _ in item)
    statement = f"INSERT INTO {table} (id, {columns}) VALUES (?, {places})"  # noqa: S608  # constants
    connection.execute(statement, (object_id, *item.values()))


def _insert_signature(keys: sqlite3.Connection, database: str, object_id: int, attribute: Attribute, signature: bytes) -> None:
    name = f"sig_{database}_{object_id:08x}_{attribute:08x}"
    keys.execute("INSERT INTO metaData (id, item1) VALUES (?, ?)", (name, signature))


def _private_key(key: AuthorityKey, found_by: bytes) -> dict[Attribute, bytes]:
    return {
        **_key(ObjectClass.PRIVATE_KEY, found_by, private=True),
        **nss_keys.private_half(key),
        Attribute.SENSITIVE: _YES,
        Attribute.EXTRACTABLE: _YES,
        Attribute.NEVER_EXTRACTABLE: _NO,
        Attribute.ALWAYS_SENSITIVE: _YES,
        Attribute.PUBLIC_VALUE: found_by,
    }


def _public_key(key: AuthorityKey, found_by: bytes) -> dict[Attribute, bytes]:
    return {
        **_key(ObjectClass.PUBLIC_KEY, found_by, private=False),
        **nss_keys.public_half(key),
        Attribute.NEVER_EXTRACTABLE: _YES,
    }


def _key(object_class: ObjectClass, found_by: bytes, private: bool) -> dict[Attribute, bytes]:
    return {
        **_common(object_class, private),
        Attribute.LABEL: nss_objects.EMPTY,
        Attribute.SUBJECT: nss_objects.EMPTY,
        Attribute.ID: _id(found_by),
        Attribute.START_DATE: nss_objects.EMPTY,
        Attribute.END_DATE: nss_objects.EMPTY,
        Attribute.LOCAL: _NO,
    }


def _certificate(entry: NewEntry, found_by: bytes) -> dict[Attribute, bytes]:
    certificate = entry.certificate
    return {
        **_common(ObjectClass.CERTIFICATE, private=False),
        Attribute.LABEL: entry.nickname.encode(),
        Attribute.VALUE: material.certificate_der(certificate),
        Attribute.CERTIFICATE_TYPE: nss_objects.integer(0),
        Attribute.ISSUER: certificate.issuer.public_bytes(),
        Attribute.SERIAL_NUMBER: nss_format.encode_integer(certificate.serial_number),
        Attribute.SUBJECT: certificate.subject.public_bytes(),
        Attribute.ID: _id(found_by),
    }


def _trust(certificate: x509.Certificate) -> dict[Attribute, bytes]:
    der = material.certificate_der(certificate)
    authority, must_verify = nss_objects.integer(Trust.AUTHORITY), nss_objects.integer(Trust.MUST_VERIFY)
    return {
        **_common(ObjectClass.TRUST, private=False),
        Attribute.LABEL: nss_objects.EMPTY,
        Attribute.ISSUER: certificate.issuer.public_bytes(),
        Attribute.SERIAL_NUMBER: nss_format.encode_integer(certificate.serial_number),
        Attribute.TRUST_SERVER_AUTH: authority,
        Attribute.TRUST_CLIENT_AUTH: authority,
        Attribute.TRUST_CODE_SIGNING: must_verify,
        Attribute.TRUST_EMAIL_PROTECTION: must_verify,
        Attribute.TRUST_STEP_UP_APPROVED: _NO,
        Attribute.CERTIFICATE_SHA1: hashlib.sha1(der, usedforsecurity=False).digest(),
        Attribute.CERTIFICATE_MD5: hashlib.md5(der, usedforsecurity=False).digest(),
    }


def _common(object_class: ObjectClass, private: bool) -> dict[Attribute, bytes]:
    return {
        Attribute.CLASS: nss_objects.integer(object_class),
        Attribute.TOKEN: _YES,
        Attribute.PRIVATE: nss_objects.boolean(private),
        Attribute.MODIFIABLE: _YES,
    }


def _id(found_by: bytes) -> bytes:
    """How NSS finds the key of a certificate."""
    return hashlib.sha1(found_by, usedforsecurity=False).digest()


def _modules(folder: Path) -> str:
    return (
        "library=\n"
        "name=NSS Internal PKCS #11 Module\n"
        f"parameters=configdir='{folder}' certPrefix='' keyPrefix='' secmod='secmod.db' flags= updatedir='' updateCertPrefix='' "
        "updateKeyPrefix='' updateid='' updateTokenDescription='' \n"
        "NSS=Flags=internal,critical trustOrder=75 cipherOrder=100 slotParams=(1={slotFlags=[ECC,RSA,DSA,DH,RC2,RC4,DES,RANDOM,SHA1,"
        "MD5,MD2,SSL,TLS,AES,Camellia,SEED,SHA256,SHA512] askpw=any timeout=30})\n"
        "\n"
    )
