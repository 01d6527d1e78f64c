"""The control socket: how every other part of the program asks the voter, in lines of JSON. docs/control-socket.md has the shapes."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from thirdvote.arbiter.arbiter import Arbiter
from thirdvote.arbiter.interface import Level, Release
from thirdvote.arbiter.snapshot import HolderSnapshot
from thirdvote.config import Limits
from thirdvote.domain import ClusterName, NodeId, printable
from thirdvote.errors import UserError
from thirdvote.net.certificates import Certificates
from thirdvote.net.history import OPERATOR, History, Unreadable
from thirdvote.net.history_file import Selection
from thirdvote.net.log import LEVELS, Event
from thirdvote.net.views import Moment, cluster_view, holder_view
from thirdvote.net.voter import Voter

CLUSTERS_PER_SLICE = 8
"""Of a whole snapshot, between two looks at the nodes: about half a millisecond."""

HISTORY_EVENTS = 1_000
"""Shown of the history, if the request does not say how many."""

_PEER = struct.Struct("3i")
"""Process, user and group of the other end of a Unix socket, as Linux gives them."""


class Refusal(Exception):
    """The request is answered with an error; `hint` says what would work."""

    def __init__(self, error: str, hint: str) -> None:
        super().__init__(error)
        self.hint = hint


Request = Mapping[str, Any]


class Control:
    """`status` gives what belongs to the process, `shutdown` ends it; `history` is None when it is off."""

    def __init__(
        self,
        voter: Voter,
        status: Callable[[], dict[str, Any]],
        shutdown: Callable[[], None],
        certificates: Certificates,
        history: History | None = None,
    ) -> None:
        self._voter = voter
        self._status = status
        self._shutdown = shutdown
        self._history = history
        self._certificates = certificates
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._commands: Mapping[str, Callable[[Request, asyncio.StreamWriter], Awaitable[None]]] = {
            "snapshot": self._snapshot,
            "status": self._answer_status,
            "shutdown": self._answer_shutdown,
            "release": self._answer_release,
            "history": self._answer_history,
            "certificates": self._answer_certificates,
            "reload-certificates": self._answer_reload,
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
            moment = Moment.of(self._voter.now())
            snapshots = [self._voter.arbiter.cluster_snapshot(name, moment.arbiter) for name in names[start : start + CLUSTERS_PER_SLICE]]
            views = [json.dumps(cluster_view(snapshot, moment)) for snapshot in snapshots if snapshot is not None]
            if views:
                yield ", ".join(views)
            await asyncio.sleep(0)

    async def _answer_release(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Nothing is waited for between the look at the holders and their release."""
        name, holders, moment = self._holders(request)
        lost = _releasable(printable(name), holders, _wanted_nodes(request), self._connected(name, moment.arbiter))
        if request.get("check"):
            await self._say(writer, {"ok": True, "lost": [holder_view(holder, moment) for holder in lost]})
            return
        by = _peer(writer)
        for holder in lost:
            text = f"counts as off on the word of {by}, who says that it can not report quorum any more; known of it: {holder.because}"
            self._voter.tell(Event(Level.WARNING, OPERATOR, text, name, holder.node_id))
        self._voter.feed(Release(name, frozenset(holder.node_id for holder in lost)))
        await self._say(writer, {"ok": True, "released": [holder.node_id for holder in lost]})

    def _holders(self, request: Request) -> tuple[ClusterName, tuple[HolderSnapshot, ...], Moment]:
        arbiter, moment = self._voter.arbiter, Moment.of(self._voter.now())
        wanted = request.get("cluster")
        name = next(iter(_find(arbiter, wanted)), None) or _spelled(wanted)
        holders = holders_of(arbiter, name, moment.arbiter)
        if not holders and arbiter.cluster_snapshot(name, moment.arbiter) is None:
            hint = "`thirdvote clusters` shows those that are connected; `thirdvote history` what became of others"
            raise Refusal(f"no cluster {printable(name)} is known", hint)
        return name, holders, moment

    def _connected(self, name: ClusterName, now: float) -> frozenset[NodeId]:
        snapshot = self._voter.arbiter.cluster_snapshot(name, now)
        return frozenset(node.node_id for node in snapshot.nodes) if snapshot is not None else frozenset()

    async def _answer_history(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if self._history is None:
            raise Refusal("no history is kept", "it was switched off with --history off (history = off, THIRDVOTE_HISTORY=off)")
        pages = self._history.pages(_selection(request, self._limits))
        try:
            page = await anext(pages, None)
        except Unreadable as error:
            raise Refusal(f"the history can not be read: {error}", "the arbitrator's log has more; votes are not affected") from None
        await self._write(writer, f'{{"ok": true, "events": [{page or ""}')
        while page is not None and (page := await _next_page(pages)) is not None:
            await self._write(writer, f", {page}")
        await self._write(writer, "]}\n")

    async def _answer_certificates(self, request: Request, writer: asyncio.StreamWriter) -> None:
        wanted = request.get("cluster")
        names = None if wanted is None else _find(self._voter.arbiter, wanted)
        await self._write(writer, '{"ok": true, "certificates": [')
        separator = ""
        async for shown in self._certificates.shown(names):
            await self._write(writer, separator + json.dumps(shown))
            separator = ", "
        await self._write(writer, "]}\n")

    async def _answer_reload(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """What is revoked by now ends before the answer leaves."""
        try:
            ended = await self._certificates.read_again()
        except UserError as error:
            raise Refusal(f"the arbitrator goes on with the certificates of before: {error}", error.hint or "see its log") from None
        text = f"certificates were read again on the word of {_peer(writer)}; connections that ended because theirs is revoked: {ended}"
        self._voter.tell(Event(Level.WARNING if ended else Level.INFO, OPERATOR, text))
        await self._say(writer, {"ok": True, "ended": ended})

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


def holders_of(arbiter: Arbiter, name: ClusterName, now: float) -> tuple[HolderSnapshot, ...]:
    """Nodes of the cluster that may still report quorum."""
    snapshot = arbiter.cluster_snapshot(name, now)
    if snapshot is not None:
        return snapshot.holders
    return tuple(HolderSnapshot(node_id, False, "no node of its cluster is connected", None) for node_id in arbiter.remembered(name))


def _find(arbiter: Arbiter, wanted: object) -> tuple[ClusterName, ...]:
    """The cluster whose name is `wanted`, as it is or as it is printed."""
    names = arbiter.cluster_names()
    exact = _spelled(wanted)
    return (exact,) if exact in names else tuple(name for name in names if printable(name) == wanted)


def _spelled(wanted: object) -> ClusterName:
    """The name that `wanted` is, taken as it is."""
    if not isinstance(wanted, str):
        raise Refusal("the cluster's name is not a string", 'for example {"command": "snapshot", "cluster": "mycluster"}')
    try:
        return ClusterName(wanted.encode("utf-8", "surrogateescape"))  # as a command line hands over what is no UTF-8
    except UnicodeEncodeError:
        return ClusterName(wanted.encode("utf-8", "surrogatepass"))


def _wanted_nodes(request: Request) -> frozenset[NodeId] | None:
    """None: whichever are lost."""
    wanted = request.get("node")
    if wanted is None:
        return None
    ids = wanted if isinstance(wanted, list) else [wanted]
    if not ids or not all(isinstance(node_id, int) and not isinstance(node_id, bool) for node_id in ids):
        raise Refusal("the node is not a number, nor a list of numbers", 'for example {"command": "release", "cluster": "c", "node": 2}')
    return frozenset(NodeId(node_id) for node_id in ids)


def _releasable(
    cluster: str, holders: Iterable[HolderSnapshot], wanted: frozenset[NodeId] | None, connected: frozenset[NodeId]
) -> tuple[HolderSnapshot, ...]:
    """Lost nodes of those that are wanted. A node that is connected speaks for itself, whatever anybody says of it."""
    present = sorted((wanted or frozenset()) & connected)
    if present:
        hint = "switch it off or take it off the network; it is let go at once when it ends in order"
        raise Refusal(f"node {present[0]} of {cluster} is connected: it is not lost", hint)
    lost = tuple(holder for holder in holders if not holder.connected and holder.node_id not in connected)
    chosen = tuple(holder for holder in lost if wanted is None or holder.node_id in wanted)
    if not chosen:
        which = "no lost node" if wanted is None else f"no node {', '.join(map(str, sorted(wanted)))}"
        hint = f"nothing waits for it; `thirdvote clusters {cluster}` shows for whom the vote is held back, if it is"
        raise Refusal(f"{which} of {cluster} may still report quorum by a vote: there is nothing to release", hint)
    return chosen


def _peer(writer: asyncio.StreamWriter) -> str:
    """Who is at the other end, by what the kernel knows."""
    connection = writer.get_extra_info("socket")
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        process, user, _ = _PEER.unpack(same.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return f"user {user}{' (root)' if user == 0 else ''}, process {process}"


def _selection(request: Request, limits: Limits) -> Selection:
    limit = request.get("limit", HISTORY_EVENTS)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise Refusal("the limit is not a number above 0", 'for example {"command": "history", "limit": 100}')
    return Selection(min(limit, limits.history_events), **_of_cluster(request.get("cluster")), since=_since(request.get("since")))


def _of_cluster(wanted: object) -> dict[str, Any]:
    """The history has names as they are printed, which is how `wanted` may already be written."""
    if wanted is None:
        return {}
    printed = printable(_spelled(wanted))
    return {"cluster": printed, "spelling": wanted if isinstance(wanted, str) and wanted.isprintable() else printed}


def _since(text: object) -> float:
    if text is None:
        return float("-inf")
    hint = "ISO 8601 with an offset, for example 2026-01-31T12:00:00+01:00"
    try:
        time = datetime.fromisoformat(text)  # type: ignore[arg-type]  # what is no text is refused like a text that is no time
    except (TypeError, ValueError):
        raise Refusal("since is not a time", hint) from None
    if time.tzinfo is None:
        raise Refusal("since has no offset from UTC", hint)
    return time.timestamp()


async def _next_page(pages: AsyncIterator[str]) -> str | None:
    """One that fails when others were sent before it leaves an answer that can not be ended."""
    try:
        return await anext(pages, None)
    except Unreadable as error:
        raise OSError(str(error)) from None
