"""The control socket: how every other part of the program asks the voter, in lines of JSON. docs/control-socket.md has the shapes."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from thirdvote.arbiter.arbiter import Arbiter
from thirdvote.arbiter.interface import Level
from thirdvote.config import Limits
from thirdvote.domain import ClusterName, printable
from thirdvote.net.log import LEVELS, Event
from thirdvote.net.views import cluster_view
from thirdvote.net.voter import Voter

CLUSTERS_PER_SLICE = 8
"""Of a whole snapshot, between two looks at the nodes: about half a millisecond."""


class Refusal(Exception):
    """The request is answered with an error; `hint` says what would work."""

    def __init__(self, error: str, hint: str) -> None:
        super().__init__(error)
        self.hint = hint


Request = Mapping[str, Any]


class Control:
    """Serves the listening socket `listening`; `status` gives what belongs to the process, `shutdown` ends it."""

    def __init__(self, voter: Voter, status: Callable[[], dict[str, Any]], shutdown: Callable[[], None]) -> None:
        self._voter = voter
        self._status = status
        self._shutdown = shutdown
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._commands: Mapping[str, Callable[[Request, asyncio.StreamWriter], Awaitable[None]]] = {
            "snapshot": self._snapshot,
            "status": self._answer_status,
            "shutdown": self._answer_shutdown,
        }

    @property
    def _limits(self) -> Limits:
        return self._voter.limits

    async def start(self, listening: socket.socket) -> None:
        self._server = await asyncio.start_unix_server(self._accept, sock=listening, limit=self._limits.control_line)

    async def stop(self) -> None:
        """Clients have what was written to them; subscribers hear the end of the stream."""
        if self._server is not None:
            self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    # ---- one client

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        crowded = len(self._clients) >= self._limits.control_clients
        self._clients.add(task)
        try:
            if crowded:
                hint = "close one: `thirdvote watch` or a dashboard that is no longer looked at"
                await self._say(writer, {"ok": False, "error": "too many clients of the control socket", "hint": hint})
            else:
                await self._serve(reader, writer)
        except (OSError, TimeoutError):
            writer.transport.abort()  # it went away, or is too slow for what is queued
        except asyncio.CancelledError:
            pass  # the voter stops
        finally:
            self._clients.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await asyncio.wait_for(reader.readline(), self._limits.control_idle_s)
            except ValueError:
                await self._refuse(writer, Refusal("the request is too long", f"a line has at most {self._limits.control_line} bytes"))
                return
            if not line.endswith(b"\n"):
                return
            try:
                request = _parse(line)
                command = request.get("command")
                if command == "subscribe":
                    await self._subscribe(request, reader, writer)
                    return
                if not isinstance(command, str) or command not in self._commands:
                    known = ", ".join(sorted([*self._commands, "subscribe"]))
                    raise Refusal(f"unknown command {json.dumps(command)[:80]}", f"known are {known}")
                await self._commands[command](request, writer)
            except Refusal as refusal:
                await self._refuse(writer, refusal)

    async def _refuse(self, writer: asyncio.StreamWriter, refusal: Refusal) -> None:
        await self._say(writer, {"ok": False, "error": str(refusal), "hint": refusal.hint})

    async def _say(self, writer: asyncio.StreamWriter, answer: Request) -> None:
        await self._write(writer, json.dumps(answer) + "\n")

    async def _write(self, writer: asyncio.StreamWriter, text: str) -> None:
        """A client that does not read is given up after `control_idle_s`."""
        writer.write(text.encode())
        await asyncio.wait_for(writer.drain(), self._limits.control_idle_s)

    # ---- commands

    async def _answer_status(self, request: Request, writer: asyncio.StreamWriter) -> None:
        await self._say(writer, {"ok": True, "status": self._status()})

    async def _answer_shutdown(self, request: Request, writer: asyncio.StreamWriter) -> None:
        await self._say(writer, {"ok": True})
        self._shutdown()

    async def _snapshot(self, request: Request, writer: asyncio.StreamWriter) -> None:
        arbiter = self._voter.arbiter
        wanted = request.get("cluster")
        names = arbiter.cluster_names() if wanted is None else _find(arbiter, wanted)
        await self._write(writer, f'{{"ok": true, "snapshot": {{"connections": {arbiter.counts()[0]}, "clusters": [')
        separator = ""
        async for slice_ in self._slices(names):
            await self._write(writer, separator + slice_)
            separator = ", "
        await self._write(writer, "]}}\n")

    async def _slices(self, names: tuple[ClusterName, ...]) -> AsyncIterator[str]:
        for start in range(0, len(names), CLUSTERS_PER_SLICE):
            now = self._voter.now()
            snapshots = [self._voter.arbiter.cluster_snapshot(name, now) for name in names[start : start + CLUSTERS_PER_SLICE]]
            views = [json.dumps(cluster_view(snapshot)) for snapshot in snapshots if snapshot is not None]
            if views:
                yield ", ".join(views)
            await asyncio.sleep(0)

    async def _subscribe(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subscription = Subscription(request, self._limits.control_queue)
        self._voter.subscribe(subscription.take, subscription.level)
        gone = asyncio.ensure_future(_end_of(reader))
        try:
            await self._say(writer, {"ok": True})
            while not subscription.overrun:
                following = asyncio.ensure_future(subscription.next_lines())
                await asyncio.wait({following, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.cancel()
                    return
                await self._write(writer, following.result())
            await self._write(writer, subscription.farewell())
        finally:
            gone.cancel()
            self._voter.unsubscribe(subscription.take)


class Subscription:
    """Events on their way to one client. `take` never waits: when too many are queued, the client is given up."""

    def __init__(self, request: Request, most: int) -> None:
        level = request.get("level", "info")
        if not isinstance(level, str) or level not in LEVELS:
            raise Refusal(f"unknown level {json.dumps(level)[:80]}", f"known are {', '.join(LEVELS)}")
        self.level: Level = LEVELS[level]
        self.overrun = False
        self._cluster = request.get("cluster")
        self._most = most
        self._events: list[Event] = []
        self._some = asyncio.Event()

    def take(self, event: Event) -> None:
        if self._cluster is not None and (event.cluster is None or printable(event.cluster) != self._cluster):
            return
        if len(self._events) >= self._most:
            self.overrun = True
        else:
            self._events.append(event)
        self._some.set()

    async def next_lines(self) -> str:
        await self._some.wait()
        self._some.clear()
        events, self._events = self._events, []
        return "".join(json.dumps({"event": event.fields()}) + "\n" for event in events)

    def farewell(self) -> str:
        hint = "read faster, or ask for one cluster, or for a higher level"
        return json.dumps({"ok": False, "error": f"more than {self._most} events waited to be read", "hint": hint}) + "\n"


async def _end_of(reader: asyncio.StreamReader) -> None:
    """A subscriber has nothing more to say; what it sends is thrown away."""
    while await reader.read(4_096):
        pass


def _parse(line: bytes) -> Request:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise Refusal("the request is not a JSON object", 'for example {"command": "status"}')
    return request


def _find(arbiter: Arbiter, wanted: object) -> tuple[ClusterName, ...]:
    """The cluster whose name is `wanted`, as it is or as it is printed."""
    if not isinstance(wanted, str):
        raise Refusal("the cluster's name is not a string", 'for example {"command": "snapshot", "cluster": "mycluster"}')
    names = arbiter.cluster_names()
    try:
        exact = ClusterName(wanted.encode("utf-8", "surrogateescape"))  # as a command line hands over what is no UTF-8
    except UnicodeEncodeError:
        return ()
    return (exact,) if exact in names else tuple(name for name in names if printable(name) == wanted)
