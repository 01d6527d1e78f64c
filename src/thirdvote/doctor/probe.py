"""A connection to the arbitrator as a node makes it, as far as PREINIT within TLS.

It goes no further: an INIT would speak for the node, whose own device is connected under the same number.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cryptography import x509

from thirdvote.doctor.facts import Passed, Probe
from thirdvote.doctor.look_certificates import as_fact
from thirdvote.doctor.relay import READ_BYTES, Ended, Reachable, Relay, relay
from thirdvote.domain import ClusterName
from thirdvote.errors import Undecodable
from thirdvote.net.tls import TlsPump
from thirdvote.net.views import TLS
from thirdvote.node.connection import SERVER_CERTIFICATE_NAME
from thirdvote.pki import material
from thirdvote.session.node_rules import INITIAL_MESSAGE_SIZE, TLS_CHOICE, TlsChoice, TlsWish
from thirdvote.wire.codec import decode, encode
from thirdvote.wire.framing import Frame, FrameReader
from thirdvote.wire.messages import Preinit, PreinitReply, ServerError, StartTls

_WISHES = {"off": TlsWish.OFF, "no": TlsWish.OFF, "0": TlsWish.OFF, "required": TlsWish.REQUIRED}


@dataclass(frozen=True)
class Credentials:
    """What the node shows, wants and trusts. `context` has its certificate, if there is one, and takes any of the arbitrator."""

    cluster_name: str
    wish: TlsWish
    context: ssl.SSLContext
    authorities: Sequence[x509.Certificate]


def wish_of(text: str | None) -> TlsWish:
    """Of `quorum.device.net.tls`; without one, and for words that the device does not take, its default."""
    return _WISHES.get((text or "on").lower(), TlsWish.ON)


def probe(host: Reachable, address: str, port: int, credentials: Credentials) -> Probe:
    """Whatever goes wrong is what was asked for: it is in the answer."""
    found = Probe(Passed.NOTHING)
    with relay(host, address, port) as stream:
        try:
            found = Probe(Passed.TCP, round_trip_s=stream.connected())
            reader = FrameReader(INITIAL_MESSAGE_SIZE)
            stream.send(_preinit(credentials))
            reply = _reply(reader, stream.receive)
            if reply.tls_supported is None:
                raise Ended("its answer is not whole")
            found = replace(found, passed=Passed.PREINIT, server_tls=TLS[reply.tls_supported])
            match TLS_CHOICE[credentials.wish][reply.tls_supported]:
                case TlsChoice.INCOMPATIBLE:
                    return found
                case TlsChoice.PLAIN:
                    return replace(found, passed=Passed.ALL)
                case TlsChoice.TLS:
                    stream.send(encode(StartTls(2)))
                    return _in_tls(stream, credentials, replace(found, used_tls=True), reader.take_rest())
        except Ended as ended:
            return replace(found, problem=str(ended))


def _in_tls(stream: Relay, credentials: Credentials, found: Probe, early: bytes) -> Probe:
    pump = TlsPump(credentials.context, SERVER_CERTIFICATE_NAME)
    try:
        pump.feed(early)
        while not pump.shake_hands():
            stream.send(pump.outgoing())
            pump.feed(stream.receive())
        server = x509.load_der_x509_certificate(pump.peer_certificate_der())
        signed = any(material.is_issued_by(server, authority) for authority in credentials.authorities)
        found = replace(found, passed=Passed.TLS, server=as_fact(server), server_is_of_authority=signed)
        began = time.monotonic()
        pump.write(_preinit(credentials))
        stream.send(pump.outgoing())
        _reply(FrameReader(INITIAL_MESSAGE_SIZE), lambda: _receive(stream, pump))
        took = time.monotonic() - began
    except ssl.SSLError as error:
        return replace(found, problem=(error.reason or str(error)).lower().replace("_", " "))
    except Ended as ended:
        return replace(found, problem=str(ended))
    except ValueError as error:
        return replace(found, problem=f"its certificate can not be read: {error}")
    shortest = took if found.round_trip_s is None else min(took, found.round_trip_s)
    return replace(found, passed=Passed.ALL, round_trip_s=shortest)


def _receive(stream: Relay, pump: TlsPump) -> bytes:
    while True:
        pump.feed(stream.receive())
        data = pump.read(READ_BYTES)
        if data is None:
            raise Ended("the arbitrator has closed the connection")
        if data:
            return data


def _preinit(credentials: Credentials) -> bytes:
    return encode(Preinit(1, ClusterName(credentials.cluster_name.encode("utf-8", "surrogateescape"))))


def _reply(reader: FrameReader, receive: Callable[[], bytes]) -> PreinitReply:
    """Ended, also when what comes is something else."""
    while (frame := reader.next()) is None:
        reader.feed(receive())
    if not isinstance(frame, Frame):
        raise Ended("what answers there speaks another protocol")
    try:
        message = decode(frame.type, frame.body)
    except Undecodable:
        raise Ended("what answers there speaks another protocol") from None
    if isinstance(message, ServerError):
        raise Ended(f"it answers with error {message.error_code}")
    if not isinstance(message, PreinitReply):
        raise Ended("what answers there speaks another protocol")
    return message
