"""The voter's loop: one place that tells the arbiter what happened and carries out what it wants, in order.

Nothing here looks at all connections for one message, and nobody who reads the log or the control socket can make it
wait: both take what they are given, or lose it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, assert_never

from thirdvote.arbiter.arbiter import Arbiter
from thirdvote.arbiter.interface import (
    Close,
    Connected,
    Disconnected,
    Effect,
    Elapsed,
    Input,
    Inspect,
    Inspected,
    Level,
    Note,
    NoteKind,
    Persist,
    Persisted,
    Reconfigure,
    Send,
    StartTls,
    Stopping,
)
from thirdvote.config import Settings
from thirdvote.net.admission import Admission, group_of
from thirdvote.net.connection import TURN_BYTES, Connection
from thirdvote.net.log import Event, Log
from thirdvote.net.tls import PeerCertificate
from thirdvote.revocations import Revocations

LINGER_S = 2.0
"""For the last bytes of a connection that is closed; a round trip and a retransmission."""

LATE_S = 0.2
"""A timer that comes this much too late tells of a process that was stopped, or got no time."""

READ_FIRST_S = 0.01
"""For a turn of the loop, in which it reads what has come meanwhile."""

CERTIFICATES_PER_SLICE = 16
"""Looked at between two looks at the nodes: about a millisecond."""

SUPPRESSED_EVERY_S = 10.0
"""Between two reports of how many lines were held back."""

Listen = Callable[[Event], None]
Keep = Callable[[Persist], None]


class Voter:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        arbiter: Arbiter,
        settings: Settings,
        context: ssl.SSLContext | None,
        log: Log,
        most: int,
        keep: Keep | None = None,
    ) -> None:
        """`context` is None where TLS is off; `most` connections fit in all. `keep` writes what the arbiter wants to
        be kept, and has `Persisted` fed when it is; without it, nothing outlives this process.
        """
        self.read_buffer = bytearray(TURN_BYTES)
        self.arbiter = arbiter
        self.limits = settings.limits
        self.context = context
        self.revocations = Revocations()
        self.log = log
        self.admission = Admission(settings.limits, most)
        self._keep = keep or self._keep_nothing
        self._loop = loop
        self._connections: dict[int, Connection] = {}
        self._last_number = 0
        self._inputs: deque[Input] = deque()
        self._working = False
        self._stopping = False
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0
        self._suppressed_timer: asyncio.TimerHandle | None = None
        self._refused: set[int] = set()
        self._arriving: set[asyncio.Task[object]] = set()
        self._listeners: dict[Listen, Level] = {}
        self._wanted = log.level
        self._emptied: asyncio.Event | None = None
        loop.set_exception_handler(self._loop_fault)

    # ---- for the other parts of the process

    def subscribe(self, listen: Listen, level: Level) -> None:
        """`listen` is called for each event of that level and above; it must neither wait nor fail."""
        self._listeners[listen] = level
        self._set_wanted()

    def unsubscribe(self, listen: Listen) -> None:
        self._listeners.pop(listen, None)
        self._set_wanted()

    def tell(self, event: Event) -> None:
        """What the process itself has to say, to the log and to all that listen."""
        self._tell(event)

    def now(self) -> float:
        return self._loop.time()

    def reconfigure(self, settings: Settings, most: int) -> None:
        self.limits = self.admission.limits = settings.limits
        self.admission.most = most
        self.log.set_limits(settings.limits)
        self.feed(Reconfigure(settings))
        self._set_wanted()

    async def stop(self) -> None:
        """Ends all connections without a decision; waits until what is queued for them has left, or LINGER_S."""
        for timer in (self._timer, self._suppressed_timer):
            if timer is not None:
                timer.cancel()
        self._stopping = True
        self.feed(Stopping())
        if self._connections:
            self._emptied = asyncio.Event()
            try:
                await asyncio.wait_for(self._emptied.wait(), LINGER_S)
            except TimeoutError:
                for connection in tuple(self._connections.values()):
                    connection.abort("the server is stopping")
                await asyncio.sleep(0)
        self.log.tell_suppressed(self.now())

    # ---- connections

    def accepted(self, accepted: socket.socket, host: str, port: int) -> None:
        group = group_of(host)
        address = f"{host}:{port}"
        refusal = self.admission.refusal(group)
        if refusal is not None:
            accepted.close()
            self._tell(Event(Level.WARNING, NoteKind.REFUSED, f"connection refused: {refusal}", address=address))
            return
        self._last_number += 1
        connection = Connection(self, self._last_number, address, group)
        self._connections[connection.number] = connection
        self.admission.entered(group)
        self.feed(Connected(connection.number, address))
        task: asyncio.Task[object] = self._loop.create_task(self._attach(connection, accepted))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _attach(self, connection: Connection, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, accepted)
        except OSError as error:
            accepted.close()
            if connection.number in self._connections:
                connection.connection_lost(error)

    def exhausted(self, reason: str) -> None:
        text = f"no new connections for a moment ({reason}); the ones there are go on"
        self._tell(Event(Level.WARNING, "exhausted", text))

    def call_soon(self, connection: Connection) -> None:
        self._loop.call_soon(connection.go_on)

    def linger(self, connection: Connection) -> None:
        self._loop.call_later(LINGER_S, connection.abort, "what was queued for it did not leave")

    def lost(self, connection: Connection, refused: bool, event: Disconnected) -> None:
        if self._connections.pop(connection.number, None) is None:
            return
        if refused:
            self._refused.add(connection.number)
        self.feed(event)
        self._refused.discard(connection.number)
        self.admission.left(connection.group, connection.joined)
        if self._emptied is not None and not self._connections:
            self._emptied.set()

    # ---- certificates

    def refusal_of(self, certificate: PeerCertificate) -> str | None:
        if not self.revocations.refuse(certificate.serial_number, certificate.names):
            return None
        return f"its certificate {certificate.serial_number:x} for {certificate.subject!a} is revoked"

    def certificate_of(self, number: int) -> tuple[PeerCertificate, str] | None:
        """What the connection has shown, and its fingerprint; None for nothing."""
        connection = self._connections.get(number)
        certificate = None if connection is None else connection.peer_certificate()
        return None if connection is None or certificate is None else (certificate, connection.peer_fingerprint())

    async def end_refused(self) -> int:
        """Ends the connections whose certificate is refused by now, a few at a time, with nodes served in between. How many they were."""
        ended = 0
        for index, connection in enumerate(tuple(self._connections.values())):
            if index % CERTIFICATES_PER_SLICE == 0:
                await asyncio.sleep(0)
            certificate = connection.peer_certificate()
            refusal = None if certificate is None else self.refusal_of(certificate)
            if refusal is not None:
                connection.close(refusal, refused=True)
                ended += 1
        return ended

    # ---- the arbiter

    def feed(self, event: Input) -> None:
        """May be called while an effect is carried out: the event then follows when the effects before it are done."""
        self._inputs.append(event)
        if self._working:
            return
        self._working = True
        try:
            while self._inputs:
                self._work(self._inputs.popleft())
        finally:
            self._working = False
        self._set_timer()

    def _work(self, event: Input) -> None:
        try:
            self._carry_out(self.arbiter.step(event, self._loop.time()))
        except Exception as error:  # a fault of ours must cost one connection, not the others their votes
            self._report_fault(event, error)

    def _loop_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._tell(Event(Level.ERROR, "fault", _fault_text(error) if error is not None else str(context.get("message"))))

    def _report_fault(self, event: Input, error: Exception) -> None:
        number = getattr(event, "connection", None)
        connection = self._connections.get(number) if number is not None else None
        address = connection.address if connection else None
        self._tell(Event(Level.ERROR, "fault", _fault_text(error), connection=number, address=address))
        if connection is not None and not isinstance(event, Disconnected):
            connection.abort("a fault of the program")

    def _carry_out(self, effects: list[Effect]) -> None:
        """Messages that follow each other to one connection leave as one piece; what is only told waits for what is sent."""
        notes: list[Note] = []
        receiver = 0
        pieces: list[bytes] = []
        for effect in effects:
            if isinstance(effect, Note):
                notes.append(effect)
                continue
            if isinstance(effect, Persist):
                self._keep(effect)
                continue
            if pieces and not (isinstance(effect, Send) and effect.connection == receiver):
                self._send(receiver, pieces)
                pieces = []
            if isinstance(effect, Send):
                receiver = effect.connection
                pieces.append(effect.data)
            else:
                self._carry_out_one(effect)
        if pieces:
            self._send(receiver, pieces)
        for note in notes:
            self._take_note(note)

    def _send(self, number: int, pieces: list[bytes]) -> None:
        connection = self._connections.get(number)
        if connection is not None:
            connection.send(b"".join(pieces), len(pieces))

    def _carry_out_one(self, effect: StartTls | Close | Inspect) -> None:
        connection = self._connections.get(effect.connection)
        if connection is None:
            return
        match effect:
            case StartTls(_, early):
                assert self.context is not None
                connection.start_tls(self.context, early)
            case Inspect():
                self.feed(Inspected(connection.number, connection.all_acknowledged()))
            case Close(_, reason):
                self._refused.add(connection.number)
                connection.close(reason)
            case _:
                assert_never(effect)

    def _keep_nothing(self, effect: Persist) -> None:
        self.feed(Persisted((effect.ticket,)))

    def _take_note(self, note: Note) -> None:
        if note.kind is NoteKind.JOINED and note.connection is not None:
            self._count_joined(note.connection)
        event = Event.of(note)
        if note.kind is NoteKind.LEFT and note.node is None and note.connection in self._refused and not self._stopping:
            event = replace(event, level=Level.WARNING, event=str(NoteKind.REFUSED))
        if event.level >= self._wanted:
            self._tell(event)

    def _count_joined(self, number: int) -> None:
        connection = self._connections.get(number)
        if connection is not None and not connection.joined:
            connection.joined = True
            self.admission.joined(connection.group)

    # ---- time

    def _set_timer(self) -> None:
        """A deadline that only moved later keeps its timer: it comes too soon, and is set anew then."""
        deadline = self.arbiter.deadline()
        if deadline is None:
            return
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_at(deadline, self._elapsed)

    def _elapsed(self) -> None:
        """Nodes that spoke while this process could not listen are heard before anybody is taken for silent."""
        if self._loop.time() > self._timer_at + LATE_S:
            self._timer = self._loop.call_later(READ_FIRST_S, self._tell_elapsed)
        else:
            self._tell_elapsed()

    def _tell_elapsed(self) -> None:
        self._timer = None
        deadline = self.arbiter.deadline()
        if deadline is not None and deadline <= self._loop.time():
            self.feed(Elapsed())
        else:
            self._set_timer()

    # ---- telling

    def _set_wanted(self) -> None:
        self._wanted = min([self.log.level, *self._listeners.values()])

    def _tell(self, event: Event) -> None:
        if self._suppressed_timer is None:
            self._suppressed_timer = self._loop.call_later(SUPPRESSED_EVERY_S, self._tell_suppressed)
        if not self.log.allows(event, self._loop.time()):
            return
        self.log.write(event)
        for listen, level in tuple(self._listeners.items()):
            if event.level >= level:
                listen(event)

    def _tell_suppressed(self) -> None:
        self._suppressed_timer = None
        self.log.tell_suppressed(self._loop.time())


def _fault_text(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"a fault of the program, please report it: {type(error).__name__}: {error}{where}"
