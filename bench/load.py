"""A process full of connected nodes. Commands come as lines of JSON on standard input, answers go to standard output.

{"grow": 500}   connect until 500 nodes have their vote; answers {"seconds": …, "failed": …}
{"out": true}   wait until every node has lost its connection; answers likewise
{"back": true}  wait until every node has its vote again; answers likewise
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from bench.nodes import BenchNode
from thirdvote.node.connection import client_context

T = TypeVar("T")

CONNECTING_MAX = 8
"""Connections being made at a time, handshake included: what the stock server's backlog of 10 takes without losing any."""
RETRY_S = 0.1


class Load:
    def __init__(self, port: int) -> None:
        self.port = port
        self.context = client_context(None)
        self.nodes: list[asyncio.Task[None]] = []
        self.with_vote = 0
        self.failed = 0
        self._changed = asyncio.Event()
        self._connecting = asyncio.Semaphore(CONNECTING_MAX)

    async def grow(self, count: int) -> None:
        for number in range(len(self.nodes), count):
            node = BenchNode(self.port, f"load-{number // 2}", 1 + number % 2, self.context)
            self.nodes.append(asyncio.create_task(self._keep(node)))
        await self.all_in()

    async def all_in(self) -> None:
        while self.with_vote < len(self.nodes):
            self._changed.clear()
            await self._changed.wait()

    async def all_out(self) -> None:
        while self.with_vote:
            self._changed.clear()
            await self._changed.wait()

    async def _keep(self, node: BenchNode) -> None:
        while True:
            try:
                async with self._connecting:
                    await node.join()
            except OSError:
                self.failed += 1
                await asyncio.sleep(RETRY_S * random.uniform(0.5, 1.5))
                continue
            self._count(1)
            assert node.closed is not None
            await node.closed
            self._count(-1)

    def _count(self, change: int) -> None:
        self.with_vote += change
        self._changed.set()


async def main(port: int) -> None:
    load = Load(port)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        start, load.failed = time.monotonic(), 0
        if "grow" in command:
            await load.grow(command["grow"])
        elif "out" in command:
            await load.all_out()
        else:
            await load.all_in()
        print(json.dumps({"seconds": time.monotonic() - start, "failed": load.failed}), flush=True)
    for task in load.nodes:
        task.cancel()


def raise_file_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """On uvloop where it is installed, as the server does."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(coroutine)
    return uvloop.run(coroutine)


if __name__ == "__main__":
    raise_file_limit()
    run(main(int(sys.argv[1])))
