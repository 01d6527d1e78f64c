"""TLS of the voter: what the server shows and asks for, and a pump that takes bytes and gives bytes.

TLS begins in the middle of a connection, and the client's first bytes of it may come in the packet of STARTTLS, so the
connection feeds TLS itself instead of leaving it to the event loop.
"""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from thirdvote.errors import UserError


@dataclass(frozen=True, slots=True)
class CertificatePaths:
    """PEM files: the server's certificate, its key, and the authority that signs the nodes' certificates."""

    certificate: Path
    key: Path
    authority: Path


def server_context(paths: CertificatePaths, client_certificate: bool) -> ssl.SSLContext:
    """The server name that a node asks for (stock nodes ask for "Qnetd Server", which is no host name) is not looked at.

    Nothing is kept for resumption: it would cost memory for each node, and a stock node never resumes. In TLS 1.3 no
    ticket is sent; in TLS 1.2 a ticket is what keeps OpenSSL from storing the session itself.
    """
    _readable(paths.certificate, "server certificate")
    _readable(paths.key, "key of the server certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        context.load_cert_chain(paths.certificate, paths.key, _no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UserError(f"{paths.key} is not the key of the certificate {paths.certificate}", _RESTORE) from None
        raise UserError(f"{paths.certificate} or its key {paths.key} is damaged ({_reason(error)})", _RESTORE) from None
    if client_certificate:
        _readable(paths.authority, "certificate of the authority")
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(paths.authority)
        except ssl.SSLError as error:
            raise UserError(f"the certificate of the authority, {paths.authority}, is damaged ({_reason(error)})", _RESTORE) from None
    return context


_RESTORE = "restore it from a backup; where the authority's key is at hand, remove server.crt and server.key: the next start makes new ones"


def _readable(path: Path, what: str) -> None:
    try:
        path.open("rb").close()
    except FileNotFoundError:
        raise UserError(f"the {what}, {path}, is missing", "restore it from a backup, or start with an empty data directory") from None
    except OSError as error:
        hint = f"see who owns it: ls -l {path}; it must be readable by the user that runs the arbitrator"
        raise UserError(f"the {what}, {path}, can not be read ({error.strerror})", hint) from None


def _no_password() -> NoReturn:
    raise UserError("the key of the server certificate has a password", "take it off: openssl pkey -in KEY -out NEW-KEY")


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).lower().replace("_", " ")


def describe(error: ssl.SSLError) -> str:
    """For the log: why the handshake or the stream failed, in a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the client certificate is not accepted: {error.verify_message}"
    return f"TLS failed: {_reason(error)}"


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """What the other end has shown, and what was checked."""

    serial_number: int
    names: tuple[bytes, ...]
    """DNS names, else common names."""
    subject: str
    authority: str
    """Common names of who it is for, and who has signed it."""
    valid_from: int
    valid_until: int
    """Seconds since 1970."""


class TlsPump:
    """One end of one TLS stream: the server's, or a node's that asks for `server_name`.

    Whoever calls it writes out `outgoing()` afterwards, also when ssl.SSLError was raised.
    """

    __slots__ = ("_incoming", "_object", "_outgoing", "established", "fed")

    def __init__(self, context: ssl.SSLContext, server_name: str | None = None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_name is None, server_name)
        self.established = False
        self.fed = 0

    def feed(self, data: bytes) -> None:
        self.fed += len(data)
        self._incoming.write(data)

    def shake_hands(self) -> bool:
        """True when the handshake is over."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.established = True
        return True

    def read(self, limit: int) -> bytes | None:
        """At most `limit` bytes; nothing when more has to be fed first; None when the peer has said goodbye."""
        try:
            return self._object.read(limit) or None
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLZeroReturnError:
            return None

    def write(self, data: bytes) -> None:
        self._object.write(data)

    def say_goodbye(self) -> None:
        try:
            self._object.unwrap()
        except ssl.SSLError:
            return  # it waits for the peer's goodbye, for which nobody else does

    def outgoing(self) -> bytes:
        return self._outgoing.read()

    def certificate_names(self) -> tuple[bytes, ...]:
        """Of the peer's certificate; empty without one that was checked."""
        certificate = self.peer_certificate()
        return () if certificate is None else certificate.names

    def peer_certificate(self) -> PeerCertificate | None:
        """None without one that was checked, or when it can not be read. TLS keeps it: nothing is stored for it."""
        try:
            found: Any = self._object.getpeercert()
            return _peer_certificate(found) if found else None
        except ValueError:
            return None  # names that are no text, a date that is none: whoever shows it is in no cluster

    def peer_certificate_der(self) -> bytes:
        """Whether it was checked or not; empty without one."""
        found = self._object.getpeercert(binary_form=True) if self.established else None
        return found or b""

    def peer_fingerprint(self) -> str:
        """SHA-256 of the peer's certificate, colons between the bytes; empty without one."""
        found = self.peer_certificate_der()
        return hashlib.sha256(found).digest().hex(":").upper() if found else ""


def _peer_certificate(found: Any) -> PeerCertificate:
    """As in NSS, and so for stock nodes and servers, DNS names replace the common name."""
    common = _common_names(found.get("subject", ()))
    dns = [value for kind, value in found.get("subjectAltName", ()) if kind == "DNS"]
    return PeerCertificate(
        serial_number=int(found["serialNumber"], 16),
        names=tuple(name.encode() for name in dns or common),
        subject=", ".join(common),
        authority=", ".join(_common_names(found.get("issuer", ()))),
        valid_from=ssl.cert_time_to_seconds(found["notBefore"]),
        valid_until=ssl.cert_time_to_seconds(found["notAfter"]),
    )


def _common_names(name: Any) -> list[str]:
    return [value for relative in name for key, value in relative if key == "commonName"]
