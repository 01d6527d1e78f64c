"""A database as NSS would make it, with an empty password, without NSS. Keys on an elliptic curve only."""

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
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from thirdvote.pki import material, nss_format, nss_objects
from thirdvote.pki.nss_objects import Attribute, KeyType, ObjectClass, Trust

_OBJECT_IDS = 0x3FFF_FFFF
"""The two upper bits tell NSS which of its databases an object is in."""

_P256 = bytes.fromhex("06082a8648ce3d030107")

_YES, _NO = nss_objects.boolean(True), nss_objects.boolean(False)

_PUBLIC_SIGNED = (
    Attribute.TRUST_SERVER_AUTH, Attribute.TRUST_CLIENT_AUTH, Attribute.TRUST_CODE_SIGNING, Attribute.TRUST_EMAIL_PROTECTION,
    Attribute.TRUST_STEP_UP_APPROVED, Attribute.CERTIFICATE_SHA1, Attribute.CERTIFICATE_MD5,
)  # fmt: skip
"""NSS believes these only with a signature, which it keeps in the other file."""

_Object = Mapping[Attribute, bytes]


@dataclass(frozen=True)
class NewEntry:
    nickname: str
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    """On P-256."""
    authority: bool
    """Trusted to sign servers and clients."""


def write(folder: Path, entries: list[NewEntry], lasting_folder: Path) -> None:
    """Makes cert9.db, key4.db and pkcs11.txt in `folder`, to be moved to `lasting_folder`. sqlite3.Error, OSError."""
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
    value, point = _private_value(entry.key), _point(entry.key)
    private = {**_private_key(point), Attribute.VALUE: secret.encrypt(value)}
    _insert(keys, nss_objects.KEYS_TABLE, object_id, private)
    _insert_signature(keys, "key", object_id, Attribute.VALUE, secret.sign(0, Attribute.VALUE, value))
    _insert(certificates, nss_objects.CERTIFICATES_TABLE, object_id + 1, _public_key(point))
    _insert(certificates, nss_objects.CERTIFICATES_TABLE, object_id + 2, _certificate(entry, point))
    if entry.authority:
        trust = _trust(entry.certificate)
        _insert(certificates, nss_objects.CERTIFICATES_TABLE, object_id + 3, trust)
        for attribute in _PUBLIC_SIGNED:
            _insert_signature(keys, "cert", object_id + 3, attribute, secret.sign(object_id + 3, attribute, trust[attribute]))


def _insert(connection: sqlite3.Connection, table: str, object_id: int, item: _Object) -> None:
    columns = ", ".join(attribute.column for attribute in item)
    places = ", ".join("?" for _ in item)
    statement = f"INSERT INTO {table} (id, {columns}) VALUES (?, {places})"  # noqa: S608  # constants
    connection.execute(statement, (object_id, *item.values()))


def _insert_signature(keys: sqlite3.Connection, database: str, object_id: int, attribute: Attribute, signature: bytes) -> None:
    name = f"sig_{database}_{object_id:08x}_{attribute:08x}"
    keys.execute("INSERT INTO metaData (id, item1) VALUES (?, ?)", (name, signature))


def _private_key(point: bytes) -> dict[Attribute, bytes]:
    return {
        **_key(ObjectClass.PRIVATE_KEY, point, private=True),
        Attribute.SENSITIVE: _YES,
        Attribute.DECRYPT: _NO,
        Attribute.UNWRAP: _NO,
        Attribute.SIGN: _YES,
        Attribute.SIGN_RECOVER: _NO,
        Attribute.EXTRACTABLE: _YES,
        Attribute.NEVER_EXTRACTABLE: _NO,
        Attribute.ALWAYS_SENSITIVE: _YES,
        Attribute.PUBLIC_VALUE: point,
    }


def _public_key(point: bytes) -> dict[Attribute, bytes]:
    return {
        **_key(ObjectClass.PUBLIC_KEY, point, private=False),
        Attribute.ENCRYPT: _NO,
        Attribute.WRAP: _NO,
        Attribute.VERIFY: _YES,
        Attribute.VERIFY_RECOVER: _NO,
        Attribute.NEVER_EXTRACTABLE: _YES,
        Attribute.EC_POINT: nss_format.encode(nss_format.OCTET_STRING, point),
    }


def _key(object_class: ObjectClass, point: bytes, private: bool) -> dict[Attribute, bytes]:
    return {
        **_common(object_class, private),
        Attribute.LABEL: nss_objects.EMPTY,
        Attribute.KEY_TYPE: nss_objects.integer(KeyType.EC),
        Attribute.SUBJECT: nss_objects.EMPTY,
        Attribute.ID: _id(point),
        Attribute.DERIVE: _YES,
        Attribute.START_DATE: nss_objects.EMPTY,
        Attribute.END_DATE: nss_objects.EMPTY,
        Attribute.LOCAL: _NO,
        Attribute.EC_PARAMS: _P256,
    }


def _certificate(entry: NewEntry, point: bytes) -> dict[Attribute, bytes]:
    certificate = entry.certificate
    return {
        **_common(ObjectClass.CERTIFICATE, private=False),
        Attribute.LABEL: entry.nickname.encode(),
        Attribute.VALUE: material.certificate_der(certificate),
        Attribute.CERTIFICATE_TYPE: nss_objects.integer(0),
        Attribute.ISSUER: certificate.issuer.public_bytes(),
        Attribute.SERIAL_NUMBER: nss_format.encode_integer(certificate.serial_number),
        Attribute.SUBJECT: certificate.subject.public_bytes(),
        Attribute.ID: _id(point),
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


def _id(point: bytes) -> bytes:
    """How NSS finds the key of a certificate."""
    return hashlib.sha1(point, usedforsecurity=False).digest()


def _private_value(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_numbers().private_value.to_bytes(32, "big")


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


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
