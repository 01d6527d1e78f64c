"""The asyncio shell of a node's session: a TCP connection, TLS through memory buffers, one timer.

    connection = await dial(host, port, session, listener, context)

`listener` hears the session's events in their order; it may call the connection's methods from there.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import assert_never, cast

from thirdvote.net.tls import TlsPump
from thirdvote.session.node import BeginTls, Close, Connected, EchoAnswered, NodeSession, Output, Send, VoteReceived
from thirdvote.session.node_rules import Cause

SERVER_CERTIFICATE_NAME = "Qnetd Server"
"""The common name that nodes expect of every arbitrator; the stock client also sends it, blank included, as server name."""

READ_BYTES = 65_536
"""Of TLS at a time, so that an answer of any usual length is one piece."""

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
        self._tls: TlsPump | None = None
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
        self._tls = TlsPump(self._context, SERVER_CERTIFICATE_NAME)
        self._receive_tls(self._tls, early)

    def _receive_tls(self, tls: TlsPump, data: bytes) -> None:
        try:
            tls.feed(data)
            if tls.established or self._shake_hands(tls):
                self._read(tls)
        except ssl.SSLError as error:
            self._flush(tls)
            self.act(self.session.lost(Cause.TLS_FAILED, f"TLS failed: {error.reason or error}"))
        else:
            self._flush(tls)

    def _shake_hands(self, tls: TlsPump) -> bool:
        if not tls.shake_hands():
            return False
        self._flush(tls)
        names = tls.certificate_names()
        if self._checks_server and SERVER_CERTIFICATE_NAME.encode() not in names:
            shown = ", ".join(ascii(name)[1:] for name in names)
            reason = f"the arbitrator's certificate is for {shown}, not for '{SERVER_CERTIFICATE_NAME}'"
            self.act(self.session.lost(Cause.TLS_FAILED, reason))
            return False
        self.act(self.session.secured())
        return True

    @property
    def _checks_server(self) -> bool:
        return self._context is not None and self._context.verify_mode is not ssl.CERT_NONE

    def _read(self, tls: TlsPump) -> None:
        """After the peer's goodbye there is nothing to read; the end of the stream follows it."""
        while data := tls.read(READ_BYTES):
            self.act(self.session.receive(data, self._loop.time()))

    # ---- the socket and the timer

    def _write(self, data: bytes) -> None:
        if self._transport is None:
            return
        if self._tls is not None and self._tls.established:
            self._tls.write(data)
            self._flush(self._tls)
        else:
            self._transport.write(data)

    def _flush(self, tls: TlsPump) -> None:
        if self._transport is not None and (data := tls.outgoing()):
            self._transport.write(data)

    def _end(self) -> None:
        self._disarm()
        transport, self._transport = self._transport, None
        if transport is None:
            return
        if self._is_silent:
            transport.abort()
            return
        if self._tls is not None and self._tls.established:
            self._tls.say_goodbye()
            transport.write(self._tls.outgoing())
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
