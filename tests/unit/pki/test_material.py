from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tests.certificates import NOW, curve_key, rsa_key
from thirdvote.errors import UserError
from thirdvote.pki import issue, material
from thirdvote.pki.compatible import valid_until


def _authority() -> issue.Authority:
    return issue.new_authority(issue.new_key(), NOW)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    by = _authority()
    (tmp_path / "crt").write_bytes(material.certificate_pem(by.certificate))
    (tmp_path / "key").write_bytes(material.key_pem(by.key))
    certificate = material.read_certificate(tmp_path / "crt", "certificate")
    assert certificate == by.certificate
    assert material.matches(certificate, material.read_key(tmp_path / "key", "key"))


def test_keys_of_other_certificates_do_not_match() -> None:
    assert not material.matches(_authority().certificate, curve_key())
    assert not material.matches(_authority().certificate, rsa_key())


@pytest.mark.parametrize("content", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_damage_is_named_with_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"the certificate, {path}, is damaged") as caught:
        material.read_certificate(path, "certificate", "run this")
    assert caught.value.hint == "run this"
    with pytest.raises(UserError, match=f"the key, {path}, is damaged"):
        material.read_key(path, "key")


def test_a_key_with_a_password_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "key"
    encryption = serialization.BestAvailableEncryption(b"secret")
    path.write_bytes(curve_key().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    with pytest.raises(UserError, match="has a password") as caught:
        material.read_key(path, "key")
    assert "openssl pkey" in str(caught.value.hint)


def test_a_key_that_nodes_can_not_use(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = ed25519.Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    with pytest.raises(UserError, match="nodes can not use"):
        material.read_key(path, "key")


def test_who_signed() -> None:
    by, other = _authority(), _authority()
    certificate = issue.server_certificate(curve_key().public_key(), by, NOW)
    assert material.is_issued_by(certificate, by.certificate)
    assert not material.is_issued_by(certificate, other.certificate)  # of the same name
    assert not material.is_issued_by(certificate, certificate)
    assert material.is_authority(by.certificate)
    assert not material.is_authority(certificate)


def test_expired_and_not_yet_valid(tmp_path: Path) -> None:
    certificate = _authority().certificate
    material.check_not_expired(certificate, tmp_path, "it", NOW - timedelta(days=400), "mend")
    material.check_not_expired(certificate, tmp_path, "it", NOW, "mend")
    with pytest.raises(UserError, match="has expired on 2036-11-24") as caught:
        material.check_not_expired(certificate, tmp_path, "it", valid_until(certificate), "mend")
    assert caught.value.hint == "mend"


def test_facts_for_a_person() -> None:
    by = _authority()
    fact = material.describe("authority", by.certificate, Path("/ca.crt"))
    assert (fact.subject, fact.issuer, fact.key, fact.file) == ("CN=QNet CA", "CN=QNet CA", "ECDSA P-256", Path("/ca.crt"))
    assert len(fact.fingerprint_sha256.split(":")) == 32
    assert int(fact.serial_number, 16) == by.certificate.serial_number
    assert material.key_type(rsa_key().public_key()) == "RSA 2048"
    assert material.key_type(curve_key(ec.SECP384R1()).public_key()) == "ECDSA P-384"
    assert material.key_type(ed25519.Ed25519PrivateKey.generate().public_key()) == "Ed25519"
