"""Certificates and keys as they are in files: read, checked against each other, described."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from thirdvote.errors import UserError
from thirdvote.pki import files
from thirdvote.pki.compatible import PublicKeyTypes, valid_from, valid_until, verify_issued_by
from thirdvote.pki.inventory import Signed
from thirdvote.pki.issue import AuthorityKey


@dataclass(frozen=True)
class CertificateFacts:
    """What a person wants to know of a certificate."""

    role: str
    subject: str
    issuer: str
    serial_number: str
    """Hexadecimal."""
    fingerprint_sha256: str
    """Hexadecimal, colons between the bytes."""
    valid_from: datetime
    valid_until: datetime
    key: str
    file: Path

    def as_json(self) -> dict[str, str]:
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "serial_number": self.serial_number,
            "fingerprint_sha256": self.fingerprint_sha256,
            "valid_from": self.valid_from.isoformat(),
            "valid_until": self.valid_until.isoformat(),
            "key": self.key,
            "file": str(self.file),
        }


_RESTORE = "restore it from a backup"


def read_certificate(path: Path, what: str, remedy: str = _RESTORE) -> x509.Certificate:
    data = files.read(path, what)
    try:
        return x509.load_pem_x509_certificate(data)
    except (ValueError, x509.InvalidVersion):
        raise UserError(f"the {what}, {path}, is damaged", remedy) from None


def read_key(path: Path, what: str, remedy: str = _RESTORE) -> AuthorityKey:
    data = files.read(path, what)
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except TypeError:
        raise UserError(f"the {what}, {path}, has a password", f"take it off: openssl pkey -in {path} -out NEW-KEY") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UserError(f"the {what}, {path}, is damaged", remedy) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise UserError(f"the {what}, {path}, is of a kind that nodes can not use", "use RSA or an elliptic curve")
    return key


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def certificate_der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def serial_number_of(der: bytes) -> str:
    """As in the inventory."""
    return f"{x509.load_der_x509_certificate(der).serial_number:x}"


def key_pem(key: AuthorityKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def matches(certificate: x509.Certificate, key: AuthorityKey) -> bool:
    return _public_bytes(certificate.public_key()) == _public_bytes(key.public_key())


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        verify_issued_by(certificate, authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, x509.ExtensionNotFound):
        return False


def check_not_expired(certificate: x509.Certificate, path: Path, what: str, now: datetime, remedy: str) -> None:
    """UserError. One that is not valid yet passes: the clock of a small board is late until it has asked for the time."""
    if now >= valid_until(certificate):
        raise UserError(f"the {what}, {path}, has expired on {valid_until(certificate):%Y-%m-%d}", remedy)


def describe(role: str, certificate: x509.Certificate, path: Path) -> CertificateFacts:
    return CertificateFacts(
        role=role,
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial_number=f"{certificate.serial_number:x}",
        fingerprint_sha256=certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
        valid_from=valid_from(certificate),
        valid_until=valid_until(certificate),
        key=key_type(certificate.public_key()),
        file=path,
    )


def signed(certificate: x509.Certificate, cluster_name: str, way: str, asked_by: str, now: datetime | None) -> Signed:
    """For the inventory; `now` is None when it is not known when it was signed."""
    facts = describe("cluster", certificate, Path())
    return Signed(
        serial_number=facts.serial_number,
        authority=common_name(certificate.issuer),
        cluster=cluster_name,
        subject=facts.subject,
        fingerprint_sha256=facts.fingerprint_sha256,
        way=way,
        asked_by=asked_by,
        signed_at=now,
        valid_from=facts.valid_from,
        valid_until=facts.valid_until,
    )


def common_name(name: x509.Name) -> str:
    """The first one; empty without any."""
    return next((str(attribute.value) for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME)), "")


def key_type(key: PublicKeyTypes) -> str:
    match key:
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return {"secp256r1": "ECDSA P-256", "secp384r1": "ECDSA P-384"}.get(key.curve.name, f"ECDSA {key.curve.name}")
        case _:
            return type(key).__name__.removesuffix("PublicKey").strip("_")


def _public_bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
