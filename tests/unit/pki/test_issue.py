from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.certificates import NOW, common_name, curve_key, rsa_key
from thirdvote.errors import UserError
from thirdvote.pki import issue
from thirdvote.pki.compatible import valid_from, valid_until, verify_issued_by


def authority() -> issue.Authority:
    return issue.new_authority(issue.new_key(), NOW)


def _usages(certificate: x509.Certificate) -> set[str]:
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    names = (
        "digital_signature",
        "key_encipherment",
        "key_cert_sign",
        "crl_sign",
        "key_agreement",
        "data_encipherment",
        "content_commitment",
    )
    return {name for name in names if getattr(usage.value, name)}


def test_the_authority_signs_certificates_and_nothing_below_it_does() -> None:
    certificate = authority().certificate
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    assert _usages(certificate) == {"key_cert_sign", "crl_sign"}
    assert certificate.subject == certificate.issuer == common_name("QNet CA")
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
    verify_issued_by(certificate, certificate)


def test_key_identifiers_link_certificates_to_the_authority() -> None:
    by = authority()
    own = by.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    for certificate in (by.certificate, issue.server_certificate(curve_key().public_key(), by, NOW)):
        named = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        assert named.key_identifier == own.digest


def test_the_server_certificate_is_one_and_has_no_name_but_the_common_one() -> None:
    by = authority()
    certificate = issue.server_certificate(curve_key().public_key(), by, NOW)
    assert certificate.subject == common_name("Qnetd Server")
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert _usages(certificate) == {"digital_signature"}
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    verify_issued_by(certificate, by.certificate)


def test_a_clusters_certificate_opens_no_server() -> None:
    certificate = issue.cluster_certificate(rsa_key().public_key(), "lab", authority(), NOW)
    assert certificate.subject == common_name("lab")
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert _usages(certificate) == {"digital_signature", "key_encipherment"}
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_ten_years_from_a_day_ago() -> None:
    by = authority()
    assert valid_from(by.certificate) == NOW - timedelta(days=1)
    assert valid_until(by.certificate).year == NOW.year + 10


def test_nothing_outlives_its_authority() -> None:
    by = authority()
    later = NOW + timedelta(days=1000)
    certificate = issue.cluster_certificate(curve_key().public_key(), "lab", by, later)
    assert valid_until(certificate) == valid_until(by.certificate)


def test_an_expired_authority_signs_no_more() -> None:
    with pytest.raises(UserError, match="authority has expired on 2036"):
        issue.cluster_certificate(curve_key().public_key(), "lab", authority(), NOW + timedelta(days=4000))


def test_serial_numbers_are_long_and_random() -> None:
    numbers = [authority().certificate.serial_number for _ in range(5)]
    assert len(set(numbers)) == 5
    assert max(numbers).bit_length() > 128
    assert all(0 < number.bit_length() < 160 for number in numbers)


def test_a_clock_that_has_never_been_set_makes_no_certificates() -> None:
    long_ago = NOW.replace(year=1970)
    with pytest.raises(UserError, match="the clock of this host says 1970-11-24"):
        issue.check_clock(long_ago)
    with pytest.raises(UserError, match="the clock"):
        issue.server_certificate(curve_key().public_key(), authority(), long_ago)


def test_an_authority_without_key_identifier_is_not_pointed_at() -> None:
    key = rsa_key()
    builder = (
        x509.CertificateBuilder().subject_name(common_name("QNet CA")).issuer_name(common_name("QNet CA")).public_key(key.public_key())
    )
    builder = builder.serial_number(101).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=36500))
    old = issue.Authority(builder.sign(key, hashes.SHA256()), key)
    certificate = issue.cluster_certificate(curve_key().public_key(), "lab", old, NOW)
    verify_issued_by(certificate, old.certificate)
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
