"""The stock server's local socket, so that Debian's corosync-qnetd-tool works against ours: one line is asked, one answer given."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from thirdvote.net.voter import Voter
from thirdvote.qnetd_text import ServerStatus, ToolRequest, cluster_text, parse_request, status_text, unknown_command_text

CLUSTERS_PER_SLICE = 16
"""Of a list, made between two looks at the nodes: about half a millisecond."""


class QnetdSocket:
    def __init__(self, voter: Voter, status: Callable[[], ServerStatus], shutdown: Callable[[], None]) -> None:
        self._voter = voter
        self._status = status
        self._shutdown = shutdown
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self, listening: socket.socket) -> None:
        self._server = await asyncio.start_unix_server(self._accept, sock=listening, limit=self._voter.limits.ipc_receive_size)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._clients) >= self._voter.limits.ipc_clients > 0:
            writer.close()
            return
        self._clients.add(task)
        try:
            await asyncio.wait_for(self._serve(reader, writer), self._voter.limits.ipc_idle_s)
        except (OSError, TimeoutError, ValueError):
            writer.transport.abort()  # it went away, took too long, or sent a line that is too long
        except asyncio.CancelledError:
            pass  # the voter stops
        finally:
            self._clients.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await _read_line(reader, self._voter.limits.ipc_receive_size)
        if line is None:
            return
        request = parse_request(line)
        match request.command:
            case "":
                writer.write(b"Error\nNo command specified\n")
            case "status":
                writer.write(f"OK\n{status_text(self._status(), request.verbose)}".encode())
            case "list":
                await self._list(request, writer)
            case "shutdown":
                writer.write(b"OK\n")
                self._shutdown()
            case _:
                writer.write(f"Error\n{unknown_command_text(request.word)}".encode())
        await writer.drain()

    async def _list(self, request: ToolRequest, writer: asyncio.StreamWriter) -> None:
        names = (request.cluster,) if request.cluster else self._voter.arbiter.cluster_names()
        answer = bytearray(b"OK\n")
        for start in range(0, len(names), CLUSTERS_PER_SLICE):
            now = self._voter.now()
            snapshots = [self._voter.arbiter.cluster_snapshot(name, now) for name in names[start : start + CLUSTERS_PER_SLICE]]
            answer += "".join(cluster_text(snapshot, request.verbose) for snapshot in snapshots if snapshot is not None).encode()
            if len(answer) > self._voter.limits.ipc_send_size:
                writer.write(b"Error\nInternal IPC buffer too small\n")
                return
            await asyncio.sleep(0)
        writer.write(answer)


async def _read_line(reader: asyncio.StreamReader, most: int) -> bytes | None:
    """Up to CR or LF; None when the stream ends before. ValueError when the line is longer than `most`."""
    line = b""
    while b"\n" not in line and b"\r" not in line:
        more = await reader.read(most)
        if not more:
            return None
        line += more
        if len(line) > most:
            raise ValueError("the line is too long")
    return line.replace(b"\r", b"\n").partition(b"\n")[0]
