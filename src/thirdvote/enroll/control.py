"""The enrolment's control socket: how `thirdvote enroll` asks it, in lines of JSON, as on the voter's own.

What is asked for is a table: each service brings the commands that it answers.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from thirdvote.errors import UserError
from thirdvote.net.local_socket import open_local_socket, remove_local_socket

CLIENTS_MAX = 16
LINE_BYTES_MAX = 65_536
IDLE_S = 30.0
"""A client that asks nothing, or reads nothing, for that long is closed."""

MODE = 0o600
"""Whoever may write here may let nodes in."""

Request = Mapping[str, Any]
Command = Callable[[Request], Awaitable[dict[str, Any]]]
"""Gives what is added to {"ok": true}; its UserError is the answer with "error" and "hint"."""


class Control:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._commands: dict[str, Command] = {}
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._socket: socket.socket | None = None

    def add(self, commands: Mapping[str, Command]) -> None:
        assert not self._commands.keys() & commands.keys()
        self._commands.update(commands)

    async def start(self) -> None:
        """UserError."""
        self._socket = open_local_socket(self._path, MODE, CLIENTS_MAX)
        self._server = await asyncio.start_unix_server(self._accept, sock=self._socket, limit=LINE_BYTES_MAX)

    async def stop(self) -> None:
        if self._server is None or self._socket is None:
            return
        self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        remove_local_socket(self._socket, self._path)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        crowded = len(self._clients) >= CLIENTS_MAX
        self._clients.add(task)
        try:
            if crowded:
                await _say(writer, _error(UserError("too many clients of the enrolment's control socket", "try again in a moment")))
            else:
                await self._serve(reader, writer)
        except (OSError, TimeoutError):
            writer.transport.abort()
        except asyncio.CancelledError:
            pass  # the enrolment stops
        finally:
            self._clients.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await asyncio.wait_for(reader.readline(), IDLE_S)
            except ValueError:
                await _say(writer, _error(UserError("the request is too long", f"a line has at most {LINE_BYTES_MAX} bytes")))
                return
            if not line.endswith(b"\n"):
                return
            await _say(writer, await self._answer(line))

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = _parse(line)
            command = request.get("command")
            if not isinstance(command, str) or command not in self._commands:
                raise UserError(f"unknown command {json.dumps(command)[:80]}", f"known are {', '.join(sorted(self._commands))}")
            return {"ok": True, **await self._commands[command](request)}
        except UserError as error:
            return _error(error)


async def _say(writer: asyncio.StreamWriter, answer: dict[str, Any]) -> None:
    writer.write(json.dumps(answer).encode() + b"\n")
    await asyncio.wait_for(writer.drain(), IDLE_S)


def _error(error: UserError) -> dict[str, Any]:
    return {"ok": False, "error": str(error), "hint": error.hint or ""}


def _parse(line: bytes) -> Request:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise UserError("the request is not a JSON object", 'for example {"command": "status"}')
    return request
