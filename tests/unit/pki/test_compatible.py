from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.certificates import NOW, Key, common_name, curve_key, rsa_key
from thirdvote.pki.compatible import check_signature, valid_from, valid_until, verify_issued_by


def _certificate(subject: str, issuer: str, by: Key, key: Key | None = None) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(common_name(subject))
        .issuer_name(common_name(issuer))
        .public_key((key or curve_key()).public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    return builder.sign(by, None if isinstance(by, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def test_times_have_their_zone() -> None:
    certificate = _certificate("a", "a", curve_key())
    assert (valid_from(certificate), valid_until(certificate)) == (NOW, NOW + timedelta(days=1))
    assert valid_until(certificate) > datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("key", "other"), [(curve_key(), curve_key()), (rsa_key(), rsa_key(exponent=3))], ids=["curve", "rsa"])
def test_both_ways_find_the_same(key: Key, other: Key) -> None:
    authority = _certificate("authority", "authority", key, key)
    for check in (check_signature, verify_issued_by):
        check(_certificate("leaf", "authority", key), authority)
        check(authority, authority)
        with pytest.raises(InvalidSignature):
            check(_certificate("leaf", "authority", other), authority)
        with pytest.raises(ValueError, match="ssuer"):
            check(_certificate("leaf", "another", key), authority)


def test_a_key_of_a_kind_that_no_authority_has() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    authority = _certificate("authority", "authority", key, key)
    with pytest.raises(TypeError):
        check_signature(_certificate("leaf", "authority", key), authority)
