"""The voter's loop with an arbiter that says what the test wants."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from typing import cast

from tests.voter_here import voter_here
from thirdvote.arbiter.arbiter import Arbiter
from thirdvote.arbiter.interface import (
    Close,
    Connected,
    Disconnected,
    Effect,
    Elapsed,
    Ending,
    Input,
    Level,
    Note,
    NoteKind,
    Received,
    Reconfigure,
    Send,
    Stopping,
)
from thirdvote.config import Limits, Settings
from thirdvote.domain import ClusterName, NodeId
from thirdvote.net.connection import TURN_BYTES
from thirdvote.net.listener import Listener, open_port
from thirdvote.net.log import FORMATS, Event, Log
from thirdvote.net.voter import LATE_S, Voter
from thirdvote.wire.codec import encode
from thirdvote.wire.messages import Preinit

PATIENCE_S = 20.0


class Script:
    """Answers each input with what `answers` gives, in order, and then with nothing."""

    def __init__(self) -> None:
        self.heard: list[Input] = []
        self.answers: list[list[Effect] | Exception] = []
        self.when: float | None = None

    def step(self, event: Input, now: float) -> list[Effect]:
        self.heard.append(event)
        answer = self.answers.pop(0) if self.answers and isinstance(event, Received | Elapsed) else []
        if isinstance(answer, Exception):
            raise answer
        return answer

    def deadline(self) -> float | None:
        return self.when


class Here:
    def __init__(self, voter: Voter, script: Script, port: int, lines: list[str]) -> None:
        self.voter, self.script, self.port, self.lines = voter, script, port, lines

    async def connect(self) -> socket.socket:
        peer = socket.socket()
        peer.setblocking(False)
        await asyncio.get_running_loop().sock_connect(peer, ("127.0.0.1", self.port))
        return peer

    async def until(self, done: object) -> None:
        assert callable(done)
        async with asyncio.timeout(PATIENCE_S):
            while not done():  # noqa: ASYNC110  # what is waited for is the voter's own state
                await asyncio.sleep(0.001)

    async def say(self, peer: socket.socket, data: bytes) -> None:
        before = len(self.script.heard)
        await asyncio.get_running_loop().sock_sendall(peer, data)
        await self.until(lambda: any(isinstance(event, Received) for event in self.script.heard[before:]))


@contextlib.asynccontextmanager
async def scripted(limits: Limits | None = None, level: Level = Level.INFO, most: int = 10) -> AsyncIterator[Here]:
    loop = asyncio.get_running_loop()
    script, lines = Script(), list[str]()
    settings = Settings(limits=limits or Limits())
    log = Log(lines.append, FORMATS["text"], level, settings.limits)
    voter = Voter(loop, cast(Arbiter, script), settings, None, log, most)
    listening = open_port("127.0.0.1", 0, 4, 10)
    listener = Listener(loop, listening, voter.accepted, voter.exhausted)
    try:
        yield Here(voter, script, listening.getsockname()[1], lines)
    finally:
        listener.close()
        await voter.stop()


async def receive(peer: socket.socket) -> bytes:
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(peer, 65_536), PATIENCE_S)


def test_inputs_go_in_and_effects_are_carried_out_in_order() -> None:
    async def run() -> None:
        async with scripted() as here:
            one, two = await here.connect(), await here.connect()
            await here.until(lambda: len(here.script.heard) == 2)
            numbers = [event.connection for event in here.script.heard if isinstance(event, Connected)]
            assert numbers == [1, 2]
            here.script.answers = [[Send(2, b"a"), Send(2, b"b"), Send(1, b"c"), Send(2, b"d"), Close(2, "enough"), Send(2, b"late")]]
            await here.say(one, b"x")
            assert await receive(one) == b"c"
            heard = b""
            while piece := await receive(two):
                heard += piece
            assert heard == b"abd"
            one.close()
            await here.until(lambda: Disconnected(1, Ending.CLOSED, "end of stream") in here.script.heard)
            two.close()

    asyncio.run(run())


def test_an_effect_for_a_connection_that_is_gone_is_dropped() -> None:
    async def run() -> None:
        async with scripted() as here:
            peer = await here.connect()
            here.script.answers = [[Send(99, b"a"), Close(98, "x"), Send(1, b"b")]]
            await here.say(peer, b"x")
            assert await receive(peer) == b"b"
            peer.close()

    asyncio.run(run())


def test_a_fault_costs_one_connection_and_is_told() -> None:
    async def run() -> None:
        async with scripted() as here:
            good, bad = await here.connect(), await here.connect()
            await here.until(lambda: len(here.script.heard) == 2)
            here.script.answers = [ZeroDivisionError("a bug"), [Send(1, b"fine")]]
            await here.say(bad, b"x")
            assert await receive(bad) == b""
            await here.say(good, b"x")
            assert await receive(good) == b"fine"
            (line,) = [line for line in here.lines if "fault" in line]
            assert "ZeroDivisionError: a bug" in line
            good.close()
            bad.close()

    asyncio.run(run())


def test_a_deadline_that_moves_later_keeps_its_timer_and_one_that_moves_sooner_does_not() -> None:
    async def run() -> None:
        async with scripted() as here:
            now = here.voter.now()
            here.script.when = now + 3_600
            here.voter.feed(Received(1, b""))
            first = here.voter._timer
            here.script.when = now + 7_200
            here.voter.feed(Received(1, b""))
            assert here.voter._timer is first
            here.script.when = now + 0.001
            here.script.answers = [[], []]
            here.voter.feed(Received(1, b""))
            assert here.voter._timer is not first
            await here.until(lambda: Elapsed() in here.script.heard)
            here.script.when = None

    asyncio.run(run())


def test_a_timer_that_comes_too_soon_tells_nothing() -> None:
    async def run() -> None:
        async with scripted() as here:
            here.script.when = here.voter.now() + 0.01
            here.voter.feed(Received(1, b""))
            here.script.when = here.voter.now() + 3_600
            first = here.voter._timer
            await here.until(lambda: here.voter._timer is not first)
            assert Elapsed() not in here.script.heard

    asyncio.run(run())


def test_who_spoke_while_the_process_was_stopped_is_heard_before_time_is_told() -> None:
    async def run() -> None:
        async with scripted() as here:
            peer = await here.connect()
            await here.until(lambda: here.script.heard)
            here.script.when = here.voter.now() + 0.01
            here.voter.feed(Received(1, b""))
            spoken = 3 * TURN_BYTES + 1
            await asyncio.get_running_loop().sock_sendall(peer, b"x" * spoken)
            time.sleep(0.01 + 2 * LATE_S)  # noqa: ASYNC251  # the whole process stands still
            here.script.answers = []
            await here.until(lambda: Elapsed() in here.script.heard)
            here.script.when = None
            before = here.script.heard[: here.script.heard.index(Elapsed())]
            assert sum(len(event.data) for event in before if isinstance(event, Received)) == spoken
            peer.close()

    asyncio.run(run())


def note(level: Level, text: str) -> Note:
    return Note(level, NoteKind.CHANGED, text, ClusterName(b"c"), NodeId(1), 1, "h:1")


def test_listeners_hear_their_level_and_the_log_its_own() -> None:
    async def run() -> None:
        async with scripted(level=Level.WARNING) as here:
            heard: list[Event] = []
            here.voter.subscribe(heard.append, Level.INFO)
            here.script.answers = [[note(Level.DEBUG, "a"), note(Level.INFO, "b"), note(Level.WARNING, "c")], [note(Level.WARNING, "d")]]
            here.voter.feed(Received(1, b""))
            assert [event.text for event in heard] == ["b", "c"]
            here.voter.unsubscribe(heard.append)
            here.voter.feed(Received(1, b""))
            assert [line[-1] for line in here.lines] == ["c", "d"]

    asyncio.run(run())


def test_a_closed_stranger_is_a_warning_with_the_reason() -> None:
    """The arbiter tells it at level debug, since most strangers just go; who was sent away may be a node that a person has to mend."""

    async def run() -> None:
        async with scripted() as here:
            peer = await here.connect()
            left = Note(Level.DEBUG, NoteKind.LEFT, "disconnected: wrong certificate", ClusterName(b"c"), None, 1, "h:1")
            here.script.answers = [[Close(1, "wrong certificate"), left]]
            await here.say(peer, b"x")
            assert await receive(peer) == b""
            assert [line.partition("warning ")[2] for line in here.lines] == ['refused: cluster "c" (h:1): disconnected: wrong certificate']
            peer.close()

    asyncio.run(run())


def test_who_does_not_fit_is_closed_and_told_with_a_limit() -> None:
    async def run() -> None:
        async with scripted(Limits(log_burst=2, log_per_second=0.01), most=1) as here:
            first = await here.connect()
            await here.until(lambda: here.script.heard)
            for _ in range(5):
                peer = await here.connect()
                with contextlib.suppress(ConnectionResetError):
                    assert await receive(peer) == b""
                peer.close()
            assert len(here.lines) == 2
            assert len(here.script.heard) == 1
            here.voter.log.tell_suppressed(here.voter.now())
            assert "3 more like this were not written" in here.lines[-1]
            first.close()

    asyncio.run(run())


def test_joining_frees_a_place_before_init() -> None:
    async def run() -> None:
        async with scripted() as here:
            peer = await here.connect()
            await here.until(lambda: here.voter.admission.before_init == 1)
            joined = Note(Level.INFO, NoteKind.JOINED, "joined", ClusterName(b"c"), NodeId(1), 1, "h:1")
            here.script.answers = [[joined], [joined]]
            await here.say(peer, b"x")
            await here.say(peer, b"x")
            assert (here.voter.admission.before_init, here.voter.admission.connections) == (0, 1)
            peer.close()
            await here.until(lambda: here.voter.admission.connections == 0)

    asyncio.run(run())


def test_stopping_says_so_once_and_ends_who_stays() -> None:
    async def run() -> None:
        async with scripted() as here:
            peer = await here.connect()
            await here.until(lambda: here.script.heard)
            peer.shutdown(socket.SHUT_WR)
            await here.voter.stop()
            assert here.script.heard.count(Stopping()) == 1
            assert await receive(peer) == b""
            peer.close()

    asyncio.run(run())


def test_new_limits_are_taken_over() -> None:
    async def run() -> None:
        async with scripted() as here:
            settings = Settings(limits=Limits(send_buffers=7, log_burst=3))
            here.voter.reconfigure(settings, 55)
            assert (here.voter.limits.send_buffers, here.voter.admission.most) == (7, 55)
            assert here.script.heard[-1] == Reconfigure(settings)

    asyncio.run(run())


def test_with_the_real_arbiter() -> None:
    async def run() -> None:
        async with voter_here() as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(encode(Preinit(1, ClusterName(b"c"))))
            assert (await asyncio.wait_for(reader.read(100), PATIENCE_S))[:2] == b"\x00\x01"
            writer.close()

    asyncio.run(run())
