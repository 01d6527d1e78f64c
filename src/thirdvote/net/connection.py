"""One node's TCP connection: bytes to the arbiter and back, TLS in between once it is asked for.

Every connection has the same small turn: at most `TURN_BYTES` are taken from it before the others have theirs. What the
kernel does not take back from us is counted; a peer that does not read is not read from, and is given up when too many
messages wait for it.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import ssl
import termios
from typing import Protocol, cast

from thirdvote.arbiter.interface import Disconnected, Ending, Input, Received, Secured
from thirdvote.config import Limits
from thirdvote.net.tls import PeerCertificate, TlsPump, describe

TURN_BYTES = 4_096
"""Taken from one connection in its turn. The shortest messages cost about 10 us for 12 bytes, so a turn is a few ms at most."""

SLICE_BYTES = 256
"""Fed to TLS at a time: its buffer never gets smaller again, and thousands of nodes have one each."""

HANDSHAKE_BYTES_MAX = 65_536
"""From STARTTLS to the end of the handshake. A client's flight with an RSA certificate and its authority is 2 to 4 KiB."""

_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))
"""Seconds, seconds, probes: a host that vanished without its nodes' dead-peer timer (it can be switched off) is noticed in two minutes."""


class Shell(Protocol):
    """What a connection needs of the voter."""

    @property
    def limits(self) -> Limits: ...
    @property
    def read_buffer(self) -> bytearray:
        """TURN_BYTES, shared by all connections: it is filled and emptied within one call of the event loop."""

    def feed(self, event: Input) -> None: ...
    def call_soon(self, connection: Connection) -> None:
        """Have `connection.go_on()` called after the other connections' turns."""

    def linger(self, connection: Connection) -> None:
        """Abort it when what is queued for it does not leave soon."""

    def refusal_of(self, certificate: PeerCertificate) -> str | None:
        """Why a connection that shows this certificate is not served; None: it is."""

    def lost(self, connection: Connection, refused: bool, event: Disconnected) -> None:
        """It is gone; `refused` when that was our wish, for something that a person may have to mend."""


class Connection(asyncio.BufferedProtocol):
    __slots__ = (
        "_blocked",
        "_delivered",
        "_end",
        "_pump",
        "_refused",
        "_shell",
        "_transport",
        "_turn_over",
        "_unsent",
        "address",
        "group",
        "joined",
        "number",
    )

    def __init__(self, shell: Shell, number: int, address: str, group: bytes) -> None:
        """`group` is what is counted as one address; `joined` whether the node is in a cluster."""
        self._shell = shell
        self._transport: asyncio.Transport | None = None
        self._pump: TlsPump | None = None
        self._end: tuple[str, Ending] | None = None
        self._delivered = True
        self._refused = False
        self._blocked = False
        self._turn_over = False
        self._unsent = 0
        self.number = number
        self.address = address
        self.group = group
        self.joined = False

    # ---- from the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        # With a limit of 0, pause_writing means exactly that the kernel did not take it all.
        self._transport.set_write_buffer_limits(high=0)
        if self._end is not None:
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._shell.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        buffer = self._shell.read_buffer
        if nbytes == len(buffer):
            self._end_turn()
        self.receive(bytes(memoryview(buffer)[:nbytes]))

    def eof_received(self) -> None:
        if self._pump is None:
            self.abort("end of stream", Ending.CLOSED)
        elif self._pump.established:
            self.abort("end of stream without a TLS goodbye", Ending.CLOSED)
        else:
            self.abort("end of stream during the TLS handshake", Ending.CLOSED)

    def pause_writing(self) -> None:
        self._blocked = True
        self._set_reading()

    def resume_writing(self) -> None:
        self._blocked = False
        self._unsent = 0
        self._set_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end is None:
            detail = (exc.strerror or str(exc)) if isinstance(exc, OSError) else "connection lost"
            ended_by_peer = isinstance(exc, ConnectionResetError | BrokenPipeError)
            self._end = (f"connection error: {detail.lower()}", Ending.CLOSED if ended_by_peer else Ending.LOST)
        reason, ending = self._end
        self._transport = self._pump = None
        self._shell.lost(self, self._refused, Disconnected(self.number, ending, reason, self._delivered))

    # ---- bytes come

    def receive(self, data: bytes) -> None:
        if self._end is not None:
            return
        if self._pump is None:
            self._shell.feed(Received(self.number, data))
        else:
            self._run(self._pump, data)

    def go_on(self) -> None:
        """A new turn, for what TLS still holds and what the kernel holds."""
        self._turn_over = False
        if self._pump is not None and self._end is None:
            self._run(self._pump, b"")
        self._set_reading()

    def _run(self, pump: TlsPump, data: bytes) -> None:
        try:
            for start in range(0, max(len(data), 1), SLICE_BYTES):
                pump.feed(data[start : start + SLICE_BYTES])
                if pump.established or self._shake_hands(pump):
                    self._read(pump)
                if self._end is not None:
                    break
        except ssl.SSLError as error:
            self._write_out(pump)
            self.abort(describe(error), refused=True)
        else:
            self._write_out(pump)

    def _shake_hands(self, pump: TlsPump) -> bool:
        if pump.shake_hands():
            self._acknowledge_at_once()
            certificate = pump.peer_certificate()
            refusal = None if certificate is None else self._shell.refusal_of(certificate)
            if refusal is not None:
                self.close(refusal, refused=True)
                return False
            self._shell.feed(Secured(self.number, () if certificate is None else certificate.names))
            return True
        if pump.fed > HANDSHAKE_BYTES_MAX:
            self.abort(f"TLS handshake of more than {HANDSHAKE_BYTES_MAX} bytes", refused=True)
        return False

    def _read(self, pump: TlsPump) -> None:
        budget = TURN_BYTES
        while self._end is None:
            if budget <= 0:
                self._end_turn()
                return
            data = pump.read(budget)
            if data is None:
                self._delivered = self.all_acknowledged()
                pump.say_goodbye()
                self._write_out(pump)
                self.abort("the node said goodbye", Ending.GOODBYE)
            elif data:
                budget -= len(data)
                self._shell.feed(Received(self.number, data))
            else:
                return

    def _end_turn(self) -> None:
        if not self._turn_over and self._end is None:
            self._turn_over = True
            self._set_reading()
            self._shell.call_soon(self)

    def _set_reading(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._turn_over or self._blocked or self._end is not None:
            transport.pause_reading()
        else:
            transport.resume_reading()

    # ---- what the arbiter wants

    def start_tls(self, context: ssl.SSLContext, early: bytes) -> None:
        self._acknowledge_at_once()
        self._pump = TlsPump(context)
        if early:
            self.receive(early)

    def send(self, data: bytes, messages: int) -> None:
        """`messages` of them are in `data`."""
        if self._end is not None or self._transport is None:
            return
        if self._blocked:
            self._unsent += messages
            if self._unsent > self._shell.limits.send_buffers:
                self.abort(f"it does not read: more than {self._shell.limits.send_buffers} messages wait for it")
                return
        if self._pump is None:
            self._transport.write(data)
            return
        try:
            self._pump.write(data)
        except ssl.SSLError as error:
            self.abort(describe(error), refused=True)
            return
        self._write_out(self._pump)

    def close(self, reason: str, refused: bool = False) -> None:
        """Ends it when what is queued has left."""
        if self._end is not None:
            return
        self._refused = refused
        if self._pump is not None and self._pump.established:
            self._pump.say_goodbye()
            self._write_out(self._pump)
        self._end = (reason, Ending.LOST)
        transport = self._transport
        if transport is None:
            return
        self._set_reading()
        if transport.get_write_buffer_size():
            self._shell.linger(self)
        transport.close()

    def abort(self, reason: str, ending: Ending = Ending.LOST, refused: bool = False) -> None:
        """Ends it now; what the kernel has not taken yet is lost."""
        if self._end is None:
            self._end = (reason, ending)
            self._refused = refused
        if self._transport is not None:
            self._transport.abort()

    def peer_certificate(self) -> PeerCertificate | None:
        """None before the handshake is over, and where no certificate is asked for."""
        return self._pump.peer_certificate() if self._pump is not None and self._pump.established else None

    def peer_fingerprint(self) -> str:
        return "" if self._pump is None else self._pump.peer_fingerprint()

    def all_acknowledged(self) -> bool:
        """Whether the peer's kernel has all that we sent."""
        transport = self._transport
        accepted = transport.get_extra_info("socket") if transport is not None else None
        if accepted is None or transport is None or transport.get_write_buffer_size():
            return False
        unacknowledged = fcntl.ioctl(accepted.fileno(), termios.TIOCOUTQ, bytes(4))
        return unacknowledged == bytes(4)

    def _acknowledge_at_once(self) -> None:
        """STARTTLS has no answer, and a stock node sends its next bytes only when the kernel has heard of these: 40 ms later otherwise."""
        transport = self._transport
        accepted = transport.get_extra_info("socket") if transport is not None else None
        if accepted is not None:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _write_out(self, pump: TlsPump) -> None:
        data = pump.outgoing()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


def prepare_socket(accepted: socket.socket) -> None:
    """Small messages leave at once, and a vanished host is noticed."""
    accepted.setblocking(False)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        accepted.setsockopt(socket.IPPROTO_TCP, option, value)
