"""What certificates look like: the authority's, the server's, a cluster's. RFC 5280; no extension that a stock node stumbles over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from thirdvote.errors import UserError
from thirdvote.pki.compatible import valid_from, valid_until

VALIDITY = timedelta(days=3653)
"""Ten years: longer than the hosts live, not the hundred years of the stock tool."""

CLOCK_SKEW = timedelta(days=1)
"""Nodes whose clock is slow accept a new certificate too."""

CLOCK_EARLIEST = datetime(2024, 1, 1, tzinfo=UTC)
"""Before this program was written: a board without a battery that has not asked for the time yet."""

AUTHORITY_NAME = "QNet CA"
SERVER_NAME = "Qnetd Server"
"""What stock nodes ask for. They compare it with the common name as long as there is no DNS name in the certificate."""

AuthorityKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
RequestKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True)
class Authority:
    certificate: x509.Certificate
    key: AuthorityKey


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def check_clock(now: datetime) -> None:
    """UserError: a certificate made now would be expired by the time the clock is right."""
    if now < CLOCK_EARLIEST:
        raise UserError(f"the clock of this host says {now:%Y-%m-%d}", "set it, or wait until it is synchronised, then start again")


def new_authority(key: AuthorityKey, now: datetime) -> Authority:
    return _authority(AUTHORITY_NAME, 0, key, now)


def following_authority(key: AuthorityKey, name_before: str, now: datetime) -> Authority:
    """The one that takes over from the authority of that name. It has another name, so that whoever looks for a certificate's issuer finds
    one, and lets one authority below it: the one before, for as long as the server's certificate is of that."""
    return _authority(_following_name(name_before), 1, key, now)


def cross_certificate(old: x509.Certificate, new: Authority, now: datetime) -> x509.Certificate:
    """The old authority, signed by the new one: a node that trusts only the new one gets from the server's certificate to it."""
    identifier = _authority_identifier(new.certificate)
    assert identifier is not None, "those that we make have one"
    return (
        _builder(old.subject, new.certificate.subject, now, min(valid_until(old), valid_until(new.certificate)))
        .public_key(_known_kind(old))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .add_extension(_subject_identifier(old), critical=False)
        .add_extension(identifier, critical=False)
        .sign(new.key, hashes.SHA256())
    )


def _following_name(name: str) -> str:
    number = name.removeprefix(AUTHORITY_NAME).strip()
    return f"{AUTHORITY_NAME} {int(number) + 1 if number.isdecimal() else 2}"


def _known_kind(certificate: x509.Certificate) -> RequestKey:
    key = certificate.public_key()
    assert isinstance(key, RequestKey), "an authority has a key of this kind, or it is not read"
    return key


def _subject_identifier(certificate: x509.Certificate) -> x509.SubjectKeyIdentifier:
    """What certificates of it point to, if it says so itself."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())


def _authority(common_name: str, path_length: int, key: AuthorityKey, now: datetime) -> Authority:
    name = _name(common_name)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _builder(name, name, now, now + VALIDITY)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def server_certificate(key: RequestKey, authority: Authority, now: datetime) -> x509.Certificate:
    return _leaf(SERVER_NAME, key, ExtendedKeyUsageOID.SERVER_AUTH, authority, now)


def renewed_server_certificate(before: x509.Certificate, authority: Authority, now: datetime) -> x509.Certificate:
    """For the same key, and valid from the same time on: a clock that is wrong once makes none that nodes do not accept yet."""
    return _leaf(SERVER_NAME, _known_kind(before), ExtendedKeyUsageOID.SERVER_AUTH, authority, now, valid_from(before))


def cluster_certificate(key: RequestKey, cluster_name: str, authority: Authority, now: datetime) -> x509.Certificate:
    return _leaf(cluster_name, key, ExtendedKeyUsageOID.CLIENT_AUTH, authority, now)


def _leaf(
    name: str,
    key: RequestKey,
    purpose: x509.ObjectIdentifier,
    authority: Authority,
    now: datetime,
    valid_from: datetime | None = None,
) -> x509.Certificate:
    check_clock(now)
    issuer = authority.certificate
    if now >= valid_until(issuer):
        expired = f"the certificate authority has expired on {valid_until(issuer):%Y-%m-%d}"
        raise UserError(expired, "make a new one, and enrol the nodes anew")
    builder = (
        _builder(_name(name), issuer.subject, now, leaf_end(issuer, now), valid_from)
        .public_key(key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(encipher_keys=isinstance(key, rsa.RSAPublicKey)), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
    identifier = _authority_identifier(issuer)
    if identifier is not None:
        builder = builder.add_extension(identifier, critical=False)
    return builder.sign(authority.key, hashes.SHA256())


def leaf_end(issuer: x509.Certificate, now: datetime) -> datetime:
    """Of a certificate that is signed now."""
    return min(now + VALIDITY, valid_until(issuer))


def _authority_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier | None:
    """None for an authority that names no key, as the stock tool makes it: then there is nothing to point to."""
    try:
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return None
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value)


def _builder(
    subject: x509.Name, issuer: x509.Name, now: datetime, until: datetime, valid_from: datetime | None = None
) -> x509.CertificateBuilder:
    # Random serial numbers: NSS refuses a second certificate with the issuer and number of one it knows, and authorities made
    # anew all have the same name.
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW if valid_from is None else min(valid_from, now - CLOCK_SKEW))
        .not_valid_after(until)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, sign_certificates: bool = False, encipher_keys: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=encipher_keys,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
