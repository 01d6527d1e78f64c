"""One server, from its start to its end, with more and more clients."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bench.figures import Figures, Plan, Spread, Tier, memory_of
from bench.nodes import BenchNode
from bench.servers import BenchError, Server
from thirdvote.node.connection import client_context

PROBES = 2
SETTLE_S = 0.5
"""After a start or a change, before memory is looked at or a time is taken."""

Say = Callable[[str], None]


class LoadProcess:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, **command: object) -> float:
        """Returns the seconds that it took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise BenchError("the load generator ended by itself")
        seconds: float = json.loads(line)["seconds"]
        return seconds


@asynccontextmanager
async def load_process(port: int) -> AsyncIterator[LoadProcess]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.load", str(port), stdin=pipe, stdout=pipe)
    try:
        yield LoadProcess(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def measure(server: Server, plan: Plan, say: Say) -> Figures:
    try:
        await server.start()
        await asyncio.sleep(SETTLE_S)
        figures = Figures(server.name, memory_of(server.pid))
        async with load_process(server.port) as load:
            for clients in plan.tiers:
                say(f"{server.name}: {clients} clients")
                figures.tiers.append(await _tier(server, load, clients, plan))
                if clients == plan.restart_tier:
                    say(f"{server.name}: restart")
                    figures.restart_clients, figures.restart_s = clients, await _restart(server, load)
        return figures
    finally:
        await server.stop()


async def _tier(server: Server, load: LoadProcess, clients: int, plan: Plan) -> Tier:
    grown_s = await load.ask(grow=clients - PROBES)
    await asyncio.sleep(SETTLE_S)
    memory = memory_of(server.pid)
    gc.collect()
    gc.disable()
    try:
        echo = await _echoes(server.port, plan)
        failover = Spread.of([await _failover(server.port, f"pair-{clients}-{number}") for number in range(plan.failovers)])
    finally:
        gc.enable()
    return Tier(clients, memory, echo, failover, grown_s)


async def _echoes(port: int, plan: Plan) -> Spread:
    pair = await _pair(port, "probe")
    end = time.monotonic() + plan.echo_seconds
    samples: list[float] = []
    while len(samples) < plan.echoes and (time.monotonic() < end or not samples):
        samples.append(await pair[0].echo())
    for node in pair:
        node.leave()
    return Spread.of(samples)


async def _failover(port: int, name: str) -> float:
    """Seconds from the moment in which one node of a pair goes until the other, alone in its ring already, has the vote."""
    lost, survivor = await _pair(port, name)
    survivor.alone()
    await survivor.echo()  # the arbitrator has the new membership when this is answered
    vote = survivor.expect_vote()
    start = time.perf_counter()
    lost.leave()
    async with asyncio.timeout(30):
        await vote
    seconds = time.perf_counter() - start
    survivor.leave()
    return seconds


async def _pair(port: int, name: str) -> tuple[BenchNode, BenchNode]:
    context = client_context(None)
    first, second = BenchNode(port, name, 1, context), BenchNode(port, name, 2, context)
    await first.join()
    await second.join()
    return first, second


async def _restart(server: Server, load: LoadProcess) -> float:
    await server.stop()
    await load.ask(out=True)
    start = time.monotonic()
    await server.start()
    await load.ask(back=True)
    return time.monotonic() - start
