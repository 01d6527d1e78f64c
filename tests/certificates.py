"""Requests and keys for tests about certificates."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

needs_nss_tools = pytest.mark.skipif(shutil.which("certutil") is None, reason="needs NSS' certutil (Debian: libnss3-tools)")


@cache
def rsa_key(bits: int = 2_048, exponent: int = 65_537) -> rsa.RSAPrivateKey:
    """Made once: it takes long."""
    return rsa.generate_private_key(exponent, bits)


def curve_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


def certificates_of(pem: bytes) -> list[x509.Certificate]:
    """All in one file, in their order."""
    end = b"-----END CERTIFICATE-----"
    return [x509.load_pem_x509_certificate(one + end) for one in pem.split(end)[:-1]]


def common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def request(name: str | x509.Name, key: Key | None = None, extension: x509.ExtensionType | None = None) -> bytes:
    """DER."""
    subject = common_name(name) if isinstance(name, str) else name
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if extension is not None:
        builder = builder.add_extension(extension, critical=False)
    key = key or curve_key()
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


def certutil(*arguments: object, text: str = "") -> str:
    """NSS' program; its standard output."""
    command = ["certutil", *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=60).stdout


def nss_database(folder: Path, noise: Path) -> Path:
    """As the stock tool makes it, by the same program: RSA keys, an authority that signs everybody, a server without extensions."""
    folder.mkdir()
    noise.write_bytes(b"0123456789abcdef" * 4)
    where = ("-d", f"sql:{folder}", "-z", noise)
    certutil("-N", "-d", f"sql:{folder}", "--empty-password")
    answers = "y\n0\ny\n"  # an authority; nobody below the ones it signs; critical
    certutil(
        "-S", "-n", "QNet CA", "-s", "CN=QNet CA", "-x", "-t", "CT,,", "-m", 101, "-v", 1200, "-Z", "SHA256", "-2", *where, text=answers
    )  # fmt: skip
    certutil("-S", "-n", "QNetd Cert", "-s", "CN=Qnetd Server", "-c", "QNet CA", "-t", ",,", "-m", 102, "-v", 1200, "-Z", "SHA256", *where)
    return folder
