"""The asyncio shell of a node's session: a TCP connection, TLS through memory buffers, one timer.

    connection = await dial(host, port, session, listener, context)

`listener` hears the session's events in their order; it may call the connection's methods from there.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import assert_never, cast

from thirdvote.session.node import BeginTls, Close, Connected, EchoAnswered, NodeSession, Output, Send, VoteReceived
from thirdvote.session.node_rules import Cause

SERVER_CERTIFICATE_NAME = "Qnetd Server"
"""The common name that nodes expect of every arbitrator; the stock client also sends it, blank included, as server name."""

Event = Connected | VoteReceived | EchoAnswered | Close
Listener = Callable[["NodeConnection", Event], None]


def client_context(authority: Path | None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """TLS as nodes speak it. Without `authority` any certificate of the arbitrator will do; without `certificate` none is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the name is not a host's, see SERVER_CERTIFICATE_NAME
    if authority is None:
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(authority)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


async def dial(host: str, port: int, session: NodeSession, listener: Listener, context: ssl.SSLContext | None = None) -> NodeConnection:
    """Raises OSError when there is no connection to be had."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: NodeConnection(session, listener, context), host, port)
    return connection


class NodeConnection(asyncio.Protocol):
    def __init__(self, session: NodeSession, listener: Listener, context: ssl.SSLContext | None = None) -> None:
        self.session = session
        self._listener = listener
        self._context = context
        self._tls: _Tls | None = None
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_silent = False

    def act(self, outputs: list[Output]) -> None:
        """Carries out what a method of the session gave."""
        for output in outputs:
            match output:
                case Send(data):
                    self._write(data)
                case BeginTls(early):
                    self._begin_tls(early)
                case Connected():
                    self._listener(self, output)
                    self._arm()
                case VoteReceived() | EchoAnswered():
                    self._listener(self, output)
                case Close():
                    self._end()
                    self._listener(self, output)
                case _:
                    assert_never(output)

    def close(self) -> None:
        """The regular end, with TLS's goodbye. The listener hears nothing of it."""
        self.session.lost(Cause.END_OF_STREAM, "closed by this node")
        self._end()

    def fall_silent(self) -> None:
        """As if the node had lost its power: nothing is sent, heard or closed any more, until `close`."""
        self._is_silent = True
        self._disarm()

    # ---- asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its base class
        self.act(self.session.start())
        self._arm()

    def data_received(self, data: bytes) -> None:
        if self._is_silent:
            return
        if self._tls is None:
            self.act(self.session.receive(data, self._loop.time()))
        else:
            self._receive_tls(self._tls, data)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._disarm()
        if not self._is_silent:
            self.act(self.session.lost(Cause.END_OF_STREAM, str(error) if error else "the arbitrator closed the connection"))

    # ---- TLS

    def _begin_tls(self, early: bytes) -> None:
        if self._context is None:
            self.act(self.session.lost(Cause.TLS_FAILED, "the arbitrator wants TLS, and there is no certificate for it here"))
            return
        self._tls = _Tls(self._context)
        self._receive_tls(self._tls, early)

    def _receive_tls(self, tls: _Tls, data: bytes) -> None:
        try:
            plain = self._handshake(tls, data) if not tls.is_done else tls.receive(data)
        except ssl.SSLError as error:
            self._flush(tls)
            self.act(self.session.lost(Cause.TLS_FAILED, f"TLS failed: {error.reason or error}"))
            return
        self._flush(tls)
        if plain:
            self.act(self.session.receive(plain, self._loop.time()))

    def _handshake(self, tls: _Tls, data: bytes) -> bytes:
        done = tls.handshake(data)
        self._flush(tls)
        if not done:
            return b""
        if tls.wrong_name is not None:
            reason = f"the arbitrator's certificate is for {tls.wrong_name!r}, not for {SERVER_CERTIFICATE_NAME!r}"
            self.act(self.session.lost(Cause.TLS_FAILED, reason))
            return b""
        self.act(self.session.secured())
        return tls.receive(b"")

    # ---- the socket and the timer

    def _write(self, data: bytes) -> None:
        if self._transport is None:
            return
        if self._tls is not None and self._tls.is_done:
            self._tls.send(data)
            self._flush(self._tls)
        else:
            self._transport.write(data)

    def _flush(self, tls: _Tls) -> None:
        if self._transport is not None and (data := tls.to_send()):
            self._transport.write(data)

    def _end(self) -> None:
        self._disarm()
        transport, self._transport = self._transport, None
        if transport is None:
            return
        if self._is_silent:
            transport.abort()
            return
        if self._tls is not None and self._tls.is_done:
            transport.write(self._tls.goodbye())
        transport.close()

    def _arm(self) -> None:
        """The timer is left alone while it is early enough; when it comes too early it is set again."""
        deadline = self.session.deadline()
        if deadline is None or self._is_silent or (self._timer is not None and self._timer.when() <= deadline):
            return
        self._disarm()
        self._timer = self._loop.call_at(deadline, self._elapsed)

    def _elapsed(self) -> None:
        self._timer = None
        self.act(self.session.elapsed(self._loop.time()))
        self._arm()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Tls:
    """One TLS session over two memory buffers. Everything raises ssl.SSLError; what there is to send then is worth sending."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=SERVER_CERTIFICATE_NAME)
        self.is_done = False

    @property
    def wrong_name(self) -> str | None:
        """Whom the peer's certificate names, where that is not an arbitrator; None also when nobody wants to know."""
        if self._session.context.verify_mode is ssl.CERT_NONE:
            return None
        certificate = self._session.getpeercert() or {}
        subject: object = certificate.get("subject", ())
        names = [value for part in subject for kind, value in part if kind == "commonName"] if isinstance(subject, tuple) else []
        return None if SERVER_CERTIFICATE_NAME in names else ", ".join(names)

    def handshake(self, data: bytes) -> bool:
        """True when it is done."""
        self._incoming.write(data)
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.is_done = True
        return True

    def receive(self, data: bytes) -> bytes:
        self._incoming.write(data)
        parts: list[bytes] = []
        with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):  # the peer's goodbye is followed by the end of the stream
            while part := self._session.read(65_536):
                parts.append(part)
        return b"".join(parts)

    def send(self, data: bytes) -> None:
        self._session.write(data)

    def to_send(self) -> bytes:
        return self._outgoing.read()

    def goodbye(self) -> bytes:
        with suppress(ssl.SSLError):  # it waits for the peer's, which nobody reads
            self._session.unwrap()
        return self._outgoing.read()
