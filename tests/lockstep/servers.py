"""Servers that a story is told to, all behind one face: say something, wait until all is said, take what came.

How a server over sockets is known to be done: it reads and writes each connection in order, so when an echo that was
sent behind a message has come back, whatever that message caused has been queued, and when then an echo of each other
connection has come back, whatever was queued for it has come. The end of a connection is read like a message, but takes
effect at the server's next turn, which is why two rounds of echoes are waited for. Connections that have not passed
INIT get an error with the echo's number instead, which is as good.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from thirdvote.wire.codec import encode
from thirdvote.wire.messages import EchoRequest, VoteInfoReply

STOCK_PROGRAM = "corosync-qnetd"

HEARTBEAT_MS = 40
"""The stock server looks at waiting lms nodes every quarter of it; below 1,000 only because the servers are told to allow it."""
ALLOW_SHORT_HEARTBEAT = "heartbeat_interval_min=4"

_HEADER_SIZE = 6
_ECHO_MARK = 0xE0000000
_ANSWER_TIMEOUT_S = 5.0
_START_TIMEOUT_S = 10.0


class Server(Protocol):
    def connect(self, slot: int) -> None: ...

    def say(self, slot: int, data: bytes) -> None: ...

    def close(self, slot: int) -> None: ...

    def settle(self, wait_s: float = 0.0) -> None:
        """All that follows from what was said has come; with `wait_s` also what the server's timers do in that time."""

    def take(self) -> dict[int, list[bytes]]:
        """Whole messages by slot, in the order in which they came."""


class ServerDied(Exception):
    """The process is gone."""


def messages_of(stream: bytearray) -> list[bytes]:
    """Takes the whole messages out of `stream`."""
    messages = []
    while len(stream) >= _HEADER_SIZE:
        size = _HEADER_SIZE + int.from_bytes(stream[2:_HEADER_SIZE], "big")
        if len(stream) < size:
            break
        messages.append(bytes(stream[:size]))
        del stream[:size]
    return messages


class Process:
    """A server process on a port of its own; ends with `stop`."""

    def __init__(self, command: list[str], port: int, log: Path, environment: dict[str, str] | None = None) -> None:
        self.port = port
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)
        self._await_start()

    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        self._process.wait()

    def _await_start(self) -> None:
        end = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < end:
            if not self.alive():
                break
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(0.02)
        raise ServerDied(self.log.read_text(errors="replace"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_stock(folder: Path) -> Process:
    port = free_port()
    advanced = f"dpd_enabled=off,local_socket_file={folder}/qnetd.sock,lock_file={folder}/qnetd.pid,{ALLOW_SHORT_HEARTBEAT}"
    return Process([STOCK_PROGRAM, "-f", "-4", "-l", "127.0.0.1", "-p", str(port), "-s", "off", "-S", advanced], port, folder / "stock.log")


class SocketServer:
    def __init__(self, process: Process) -> None:
        self._process = process
        self._sockets: dict[int, socket.socket] = {}
        self._streams: dict[int, bytearray] = {}
        self._heard: dict[int, list[bytes]] = defaultdict(list)
        self._echoes = 0

    def connect(self, slot: int) -> None:
        connection = socket.create_connection(("127.0.0.1", self._process.port), _ANSWER_TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets[slot], self._streams[slot] = connection, bytearray()

    def say(self, slot: int, data: bytes) -> None:
        try:
            self._sockets[slot].sendall(data)
        except OSError as error:
            raise ServerDied(str(error)) from error

    def close(self, slot: int) -> None:
        self._sockets.pop(slot).close()
        del self._streams[slot]

    def settle(self, wait_s: float = 0.0) -> None:
        if wait_s:
            time.sleep(wait_s)
        for _ in range(2):
            for slot in self._sockets:
                self._echo(slot)

    def take(self) -> dict[int, list[bytes]]:
        heard, self._heard = self._heard, defaultdict(list)
        return dict(heard)

    def close_all(self) -> None:
        for slot in list(self._sockets):
            self.close(slot)

    def _echo(self, slot: int) -> None:
        self._echoes += 1
        number = _ECHO_MARK + self._echoes
        self.say(slot, encode(EchoRequest(encode(VoteInfoReply(number))[_HEADER_SIZE:])))
        mark = encode(VoteInfoReply(number))[_HEADER_SIZE:]
        came_back = False
        while not came_back:
            self._read(slot)
            for message in messages_of(self._streams[slot]):
                if message[_HEADER_SIZE:].startswith(mark):
                    came_back = True
                else:
                    self._heard[slot].append(message)

    def _read(self, slot: int) -> None:
        """Acknowledges at once, or the server's second message of a turn would wait 40 ms for that."""
        try:
            self._sockets[slot].setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            data = self._sockets[slot].recv(65536)
        except OSError as error:
            raise ServerDied(f"no answer: {error}") from error
        if not data:
            raise ServerDied("end of stream")
        self._streams[slot] += data
