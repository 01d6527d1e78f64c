from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.tls_material import Authority, make_authority
from thirdvote.errors import UserError
from thirdvote.net.tls import CertificatePaths, TlsPump, describe, server_context
from thirdvote.pki.compatible import valid_from, valid_until


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path)


def paths_of(authority: Authority) -> CertificatePaths:
    own = authority.issue("Qnetd Server")
    return CertificatePaths(own, own, authority.path)


class Client:
    """The node's end, in memory."""

    def __init__(self, context: ssl.SSLContext, server: TlsPump) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="Qnetd Server")
        self._server = server

    def carry(self, slice_bytes: int = 100) -> None:
        """All that it has to say, in slices, and the answers back."""
        data = self._outgoing.read()
        for start in range(0, len(data), slice_bytes):
            self._server.feed(data[start : start + slice_bytes])
            if not self._server.established:
                self._server.shake_hands()
        self._incoming.write(self._server.outgoing())

    def shake_hands(self) -> None:
        while not self._server.established:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
            self.carry()


def client_context(authority: Authority, certificate: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(authority.path)
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


def connected(authority: Authority, certificate: Path | None, required: bool = True) -> tuple[TlsPump, Client]:
    pump = TlsPump(server_context(paths_of(authority), required))
    client = Client(client_context(authority, certificate), pump)
    client.shake_hands()
    return pump, client


def test_bytes_go_both_ways_and_a_goodbye_ends_them(authority: Authority) -> None:
    pump, client = connected(authority, authority.issue("c"))
    assert pump.certificate_names() == (b"c",)
    client.tls.write(b"hello")
    client.carry()
    assert pump.read(3) == b"hel"
    assert pump.read(100) == b"lo"
    assert pump.read(100) == b""
    pump.write(b"answer")
    client.carry()
    assert client.tls.read(100) == b"answer"
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    client.carry()
    assert pump.read(100) is None
    pump.say_goodbye()
    assert pump.outgoing()


@pytest.mark.parametrize(
    ("dns", "names"),
    [((), ("clusté".encode(), b"two")), (("three",), (b"three",)), (("three", "four"), (b"three", b"four"))],
    ids=["common", "dns", "more dns"],
)
def test_dns_names_replace_common_names(authority: Authority, dns: tuple[str, ...], names: tuple[bytes, ...]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text) for text in ("clusté", "two")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    certificate = (
        x509.CertificateBuilder(subject_name=request.subject, issuer_name=authority.certificate.subject, public_key=key.public_key())
        .serial_number(7)
        .not_valid_before(valid_from(authority.certificate))
        .not_valid_after(valid_until(authority.certificate))
        .add_extension(x509.SubjectAlternativeName([*map(x509.DNSName, dns), x509.RFC822Name("a@b")]), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    path = authority.folder / "many.pem"
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
    pump, _ = connected(authority, path)
    assert pump.certificate_names() == names


def test_the_certificate_that_was_shown(authority: Authority) -> None:
    path = authority.issue("c")
    pump, _ = connected(authority, path)
    shown, certificate = pump.peer_certificate(), x509.load_pem_x509_certificate(path.read_bytes())
    assert shown is not None
    assert (shown.serial_number, shown.subject, shown.authority) == (certificate.serial_number, "c", "Test CA")
    assert (shown.valid_from, shown.valid_until) == (
        valid_from(certificate).timestamp(),
        valid_until(certificate).timestamp(),
    )
    assert pump.peer_fingerprint() == certificate.fingerprint(hashes.SHA256()).hex(":").upper()
    assert pump.peer_certificate_der() == certificate.public_bytes(serialization.Encoding.DER)


def test_before_the_handshake_nothing_was_shown(authority: Authority) -> None:
    pump = TlsPump(server_context(paths_of(authority), True))
    assert pump.peer_fingerprint() == ""
    assert pump.peer_certificate_der() == b""


def test_where_no_certificate_is_wanted_none_is_asked_for(authority: Authority) -> None:
    pump, _ = connected(authority, authority.issue("c"), required=False)
    assert pump.certificate_names() == ()
    assert pump.peer_certificate() is None
    assert pump.peer_fingerprint() == ""


def test_without_a_certificate_the_handshake_fails_with_words_for_it(authority: Authority) -> None:
    with pytest.raises(ssl.SSLError) as caught:
        connected(authority, None)
    assert describe(caught.value) == "TLS failed: peer did not return a certificate"


def test_a_strange_authority_fails_with_words_for_it(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError) as caught:
        connected(authority, make_authority(tmp_path / "other", "Other CA").issue("c"))
    assert describe(caught.value).startswith("the client certificate is not accepted: unable to get")


def test_old_versions_are_refused(authority: Authority) -> None:
    context = server_context(paths_of(authority), True)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.num_tickets == 0


@pytest.mark.parametrize("damaged", ["certificate", "key", "authority"])
def test_damaged_and_missing_files_are_named(authority: Authority, tmp_path: Path, damaged: str) -> None:
    good = paths_of(authority)
    bad = tmp_path / "bad.pem"
    paths = CertificatePaths(**{name: bad if name == damaged else getattr(good, name) for name in ("certificate", "key", "authority")})
    with pytest.raises(UserError, match=r"bad\.pem, is missing"):
        server_context(paths, True)
    bad.write_text("rubbish")
    with pytest.raises(UserError, match=r"bad\.pem.* damaged"):
        server_context(paths, True)


def test_a_key_of_another_certificate(authority: Authority) -> None:
    paths = CertificatePaths(authority.issue("one"), authority.issue("two"), authority.path)
    with pytest.raises(UserError, match="is not the key of the certificate"):
        server_context(paths, True)


def test_a_key_with_a_password_is_not_asked_for(authority: Authority, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    locked = tmp_path / "locked.pem"
    encryption = serialization.BestAvailableEncryption(b"secret")
    locked.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    with pytest.raises(UserError, match="has a password"):
        server_context(CertificatePaths(authority.issue("one"), locked, authority.path), True)
