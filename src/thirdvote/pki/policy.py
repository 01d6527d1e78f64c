"""Which requests for a cluster's certificate are signed. Each rule stands alone; a request has to pass all of them.

What is signed is only the request's key: subject and extensions of the certificate are ours, whatever the request asks for.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from thirdvote.errors import UserError
from thirdvote.pki.issue import AUTHORITY_NAME, SERVER_NAME, RequestKey

REQUEST_BYTES_MAX = 16_384
"""A request with the largest key has under 3 KiB; the rest is for text before it."""

COMMON_NAME_MAX = 64
"""Bytes of UTF-8: ub-common-name of RFC 5280, which counts characters, as the library reads it."""

RSA_BITS_MIN = 2_048
RSA_BITS_MAX = 8_192
"""Above it one handshake costs a second of a small board."""
RSA_EXPONENT_MIN = 65_537

CURVES = (ec.SECP256R1, ec.SECP384R1)
"""What NSS on the nodes does in TLS; it has no Ed25519 there."""

_AUTHORITY = re.compile(rf"{AUTHORITY_NAME}( \d+)?", re.IGNORECASE)
"""Those that follow an authority have a number behind its name."""

_PEM = re.compile(rb"-----BEGIN (NEW )?CERTIFICATE REQUEST-----(.*?)-----END (?:NEW )?CERTIFICATE REQUEST-----", re.DOTALL)


class RequestRefused(UserError):
    """The request, or the name asked for, does not meet a rule."""


Rule = Callable[[x509.CertificateSigningRequest, str], None]


def check_name(cluster_name: str) -> None:
    """RequestRefused when no certificate may bear that name, whoever asks."""
    length = len(cluster_name.encode("utf-8", "surrogatepass"))
    if not 0 < length <= COMMON_NAME_MAX:
        raise RequestRefused(
            f"a cluster name of {length} bytes does not fit into a certificate",
            f"it needs 1 to {COMMON_NAME_MAX}: change totem.cluster_name in corosync.conf",
        )
    if not cluster_name.isprintable():
        raise RequestRefused(f"the cluster name {cluster_name!a} has characters that can not be printed", "change it in corosync.conf")
    if "*" in cluster_name:
        raise RequestRefused(
            f"the cluster name {cluster_name!r} has an asterisk",
            "a stock server would let it into other clusters: change it in corosync.conf",
        )
    if cluster_name.casefold() == SERVER_NAME.casefold() or _AUTHORITY.fullmatch(cluster_name):
        raise RequestRefused(f"no cluster may be called {cluster_name!r}", "nodes would take it for the arbitrator: choose another name")


def parse(request: bytes) -> x509.CertificateSigningRequest:
    """DER, or PEM with anything around it. RequestRefused when it is neither, or too long."""
    if len(request) > REQUEST_BYTES_MAX:
        raise RequestRefused(f"a certificate request of {len(request)} bytes is too long", f"at most {REQUEST_BYTES_MAX} are read")
    hint = "make one on a node: corosync-qdevice-net-certutil -r -n CLUSTER"
    try:
        parsed = x509.load_der_x509_csr(_der(request))
        list(parsed.subject)  # is decoded only now
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise RequestRefused("this is no certificate request, or a damaged one", hint) from None
    return parsed


def _der(request: bytes) -> bytes:
    match = _PEM.search(request)
    if match is None:
        return request
    return binascii.a2b_base64(b"".join(match[2].split()), strict_mode=True)


def proves_possession(request: x509.CertificateSigningRequest, cluster_name: str) -> None:
    """Who asks has the key: else somebody could have another's key certified under a name of his own."""
    try:
        valid = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm):
        valid = False
    if not valid:
        raise RequestRefused(f"the request for {cluster_name!r} is not signed by its own key", "it was changed on the way: send it again")


def names_the_cluster(request: x509.CertificateSigningRequest, cluster_name: str) -> None:
    """The subject is this common name and nothing else, and its bytes are those of the name asked for."""
    hint = f"make it anew: corosync-qdevice-net-certutil -r -n '{cluster_name}'"
    attributes = list(request.subject)
    if len(attributes) != 1 or attributes[0].oid != NameOID.COMMON_NAME:
        raise RequestRefused(f"the request's subject is {request.subject.rfc4514_string()!a}, not just a common name", hint)
    value = attributes[0].value
    if (value if isinstance(value, bytes) else value.encode()) != cluster_name.encode():
        raise RequestRefused(f"the request is for {value!a}, not for {cluster_name!a}", hint)


def has_a_strong_key(request: x509.CertificateSigningRequest, cluster_name: str) -> None:
    request_key(request)


def request_key(request: x509.CertificateSigningRequest) -> RequestKey:
    """The key, when it is one that nodes can use and nobody can break. RequestRefused."""
    hint = f"use RSA with {RSA_BITS_MIN} to {RSA_BITS_MAX} bits, or an elliptic curve: P-256 or P-384"
    try:
        key = request.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise RequestRefused("the request's key is damaged or of an unknown kind", hint) from None
    match key:
        case rsa.RSAPublicKey():
            if not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
                raise RequestRefused(f"the request's RSA key has {key.key_size} bits", hint)
            if key.public_numbers().e < RSA_EXPONENT_MIN:
                raise RequestRefused(f"the request's RSA key has the exponent {key.public_numbers().e}", f"use {RSA_EXPONENT_MIN}")
            return key
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, CURVES):
            return key
        case _:
            raise RequestRefused("the request's key is of a kind that nodes can not use", hint)


def asks_for_no_authority(request: x509.CertificateSigningRequest, cluster_name: str) -> None:
    """Other wishes are just not granted; this one shows that somebody is up to something."""
    try:
        constraints = request.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return
    except (ValueError, x509.DuplicateExtension):
        raise RequestRefused("the request's extensions are damaged", "make it anew without any") from None
    if constraints.ca:
        raise RequestRefused(f"the request for {cluster_name!r} asks for an authority", "make it anew without: a node needs none")


RULES: tuple[Rule, ...] = (has_a_strong_key, proves_possession, names_the_cluster, asks_for_no_authority)
"""The key first: checking a signature by an outsized key would take long."""


def check(request: bytes, cluster_name: str) -> x509.CertificateSigningRequest:
    """The request that may be signed for that cluster. RequestRefused."""
    check_name(cluster_name)
    parsed = parse(request)
    for rule in RULES:
        rule(parsed, cluster_name)
    return parsed
