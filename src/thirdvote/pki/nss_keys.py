"""What NSS' databases have of a key: P-256 or RSA, its public and its private half."""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from thirdvote.errors import UserError
from thirdvote.pki import nss_format, nss_objects
from thirdvote.pki.issue import AuthorityKey
from thirdvote.pki.nss_objects import Attribute, KeyType

_P256 = bytes.fromhex("06082a8648ce3d030107")

_YES, _NO = nss_objects.boolean(True), nss_objects.boolean(False)

_Values = Mapping[Attribute, bytes]


def check(key: AuthorityKey) -> None:
    """UserError for one that is not written."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and not isinstance(key.curve, ec.SECP256R1):
        raise UserError(f"a key on the curve {key.curve.name} can not be written into a database of NSS here", "use P-256 or RSA")


def public_value(key: AuthorityKey) -> bytes:
    """By which NSS finds the key of a certificate."""
    if isinstance(key, rsa.RSAPrivateKey):
        return _number(key.public_key().public_numbers().n)
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def public_half(key: AuthorityKey) -> _Values:
    if isinstance(key, rsa.RSAPrivateKey):
        return {
            **_rsa(key),
            Attribute.ENCRYPT: _YES,
            Attribute.WRAP: _YES,
            Attribute.VERIFY: _YES,
            Attribute.VERIFY_RECOVER: _YES,
        }
    return {
        **_curve(),
        Attribute.ENCRYPT: _NO,
        Attribute.WRAP: _NO,
        Attribute.VERIFY: _YES,
        Attribute.VERIFY_RECOVER: _NO,
        Attribute.EC_POINT: nss_format.encode(nss_format.OCTET_STRING, public_value(key)),
    }


def private_half(key: AuthorityKey) -> _Values:
    """Without its secrets."""
    if isinstance(key, rsa.RSAPrivateKey):
        return {
            **_rsa(key),
            Attribute.DECRYPT: _YES,
            Attribute.UNWRAP: _YES,
            Attribute.SIGN: _YES,
            Attribute.SIGN_RECOVER: _YES,
        }
    return {
        **_curve(),
        Attribute.DECRYPT: _NO,
        Attribute.UNWRAP: _NO,
        Attribute.SIGN: _YES,
        Attribute.SIGN_RECOVER: _NO,
    }


def secrets(key: AuthorityKey) -> _Values:
    """Not encrypted yet."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        return {
            Attribute.PRIVATE_EXPONENT: _number(numbers.d),
            Attribute.PRIME_1: _number(numbers.p),
            Attribute.PRIME_2: _number(numbers.q),
            Attribute.EXPONENT_1: _number(numbers.dmp1),
            Attribute.EXPONENT_2: _number(numbers.dmq1),
            Attribute.COEFFICIENT: _number(numbers.iqmp),
        }
    return {Attribute.VALUE: key.private_numbers().private_value.to_bytes(32, "big")}


def _rsa(key: rsa.RSAPrivateKey) -> _Values:
    public = key.public_key().public_numbers()
    return {
        Attribute.KEY_TYPE: nss_objects.integer(KeyType.RSA),
        Attribute.DERIVE: _NO,
        Attribute.MODULUS: _number(public.n),
        Attribute.PUBLIC_EXPONENT: _number(public.e),
    }


def _curve() -> _Values:
    return {Attribute.KEY_TYPE: nss_objects.integer(KeyType.EC), Attribute.DERIVE: _YES, Attribute.EC_PARAMS: _P256}


def _number(value: int) -> bytes:
    """Without zeros in front."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
