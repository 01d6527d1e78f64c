"""What cryptography 38, which Debian 12 has and keeps safe, does not do under today's names; from version 42 on it is all there.

Nothing else of the program asks which version is installed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

if TYPE_CHECKING:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
else:
    PublicKeyTypes = object
    try:
        from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    except ImportError:
        from cryptography.hazmat.primitives.ciphers.algorithms import TripleDES

__all__ = ["PublicKeyTypes", "TripleDES", "check_signature", "valid_from", "valid_until", "verify_issued_by"]

_KNOWS_ZONES = hasattr(x509.Certificate, "not_valid_after_utc")
_KNOWS_ISSUERS = hasattr(x509.Certificate, "verify_directly_issued_by")


def valid_from(certificate: x509.Certificate) -> datetime:
    return certificate.not_valid_before_utc if _KNOWS_ZONES else certificate.not_valid_before.replace(tzinfo=UTC)


def valid_until(certificate: x509.Certificate) -> datetime:
    return certificate.not_valid_after_utc if _KNOWS_ZONES else certificate.not_valid_after.replace(tzinfo=UTC)


def verify_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> None:
    """ValueError, TypeError, InvalidSignature or UnsupportedAlgorithm when it was not."""
    if _KNOWS_ISSUERS:
        certificate.verify_directly_issued_by(authority)
    else:
        check_signature(certificate, authority)


def check_signature(certificate: x509.Certificate, authority: x509.Certificate) -> None:
    """As `verify_issued_by`, for the kinds of keys that authorities of ours and of the stock tools have."""
    if certificate.issuer != authority.subject:
        raise ValueError("the issuer has another name")
    key, hash_algorithm = authority.public_key(), certificate.signature_hash_algorithm
    if hash_algorithm is None:
        raise TypeError("a signature without a hash")
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hash_algorithm))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), hash_algorithm)
    else:
        raise TypeError("a key of another kind")
