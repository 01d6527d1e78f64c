"""A daemon whose parent says what became of it: the parent ends when the child is ready, or has said why it is not.

The child tells that it is ready as it tells systemd: with READY=1 on NOTIFY_SOCKET, which here is the parent's.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass

from thirdvote.errors import UserError

FAILED = 1
MESSAGE_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True)
class Outcome:
    """`failure` is what the child said before it ended; empty when it is ready."""

    ready: bool
    failure: str = ""


def daemonise(run: Callable[[], int], explain: Callable[[UserError], str]) -> Outcome:
    """Runs `run` in a child with a session of its own, without terminal, in `/`. Returns in the parent only."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    with manager:
        manager.bind("")  # the kernel picks a name in the abstract namespace
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            name = "@" + manager.getsockname()[1:].decode("ascii")
            manager.close()
            _child(run, explain, writing, name)
        os.close(writing)
        try:
            return _wait(manager, reading, child)
        finally:
            os.close(reading)


def _wait(manager: socket.socket, reading: int, child: int) -> Outcome:
    failure = b""
    while True:
        ready, _, _ = select.select([manager.fileno(), reading], [], [])
        if manager.fileno() in ready and b"READY=1" in manager.recv(MESSAGE_BYTES_MAX).split(b"\n"):
            return Outcome(ready=True)
        if reading in ready:
            more = os.read(reading, MESSAGE_BYTES_MAX)
            failure += more
            if not more:
                os.waitpid(child, 0)
                return Outcome(ready=False, failure=failure.decode("utf-8", "replace") or "it ended before it was ready\n")


def _child(run: Callable[[], int], explain: Callable[[UserError], str], writing: int, manager: str) -> None:
    status = FAILED
    try:
        os.setsid()
        os.chdir("/")
        _without_terminal()
        os.environ["NOTIFY_SOCKET"] = manager
        status = run()
    except UserError as error:
        os.write(writing, explain(error).encode())
    except Exception as error:
        os.write(writing, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(status)  # whatever happens: a child must not go on as its parent would


def _without_terminal() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    if nothing > 2:
        os.close(nothing)
