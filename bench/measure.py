"""One server, from its start to its end, with more and more clients."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from bench.figures import Figures, Plan, Spread, Tier, memory_of
from bench.nodes import BenchNode
from bench.servers import BenchError, Server
from thirdvote.node.connection import client_context

PROBES = 2
SETTLE_S = 0.5
"""After a start or a change, before memory is looked at or a time is taken."""
LOAD_TIMEOUT_S = 150.0
"""For the clients to be in, or out. The stock server takes 40 to 130 s for the last 2,000 of 4,000 on two slow cores."""

Say = Callable[[str], None]

_PAIRS = itertools.count()
"""Each pair of nodes has a cluster of its own, so that it never meets what the one before has left."""


class TooSlow(BenchError):
    """A server did not take its clients in the time that it is given."""


class LoadProcess:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, **command: object) -> float:
        """Returns the seconds that it took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), LOAD_TIMEOUT_S)
        except TimeoutError:
            raise TooSlow(f"not done by the clients within {LOAD_TIMEOUT_S:.0f} s: {json.dumps(command)}") from None
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
                try:
                    await _add_tier(server, load, clients, plan, figures, say)
                except TooSlow as problem:
                    say(f"{server.name}: no figures from {clients} clients on: {problem}")
                    break
        return figures
    finally:
        await server.stop()


async def _add_tier(server: Server, load: LoadProcess, clients: int, plan: Plan, figures: Figures, say: Say) -> None:
    grown_s = await load.ask(grow=clients - PROBES)
    say(f"{server.name}: {clients} clients, the last of them in after {grown_s:.1f} s")
    figures.tiers.append(await _tier(server.pid, server.port, clients, plan))
    if clients == plan.restart_tier:
        figures.restart_clients, figures.restart_s = clients, await _restart(server, load)
        say(f"{server.name}: all in after a restart in {figures.restart_s:.1f} s")


async def _tier(pid: int, port: int, clients: int, plan: Plan) -> Tier:
    await asyncio.sleep(SETTLE_S)
    memory = memory_of(pid)
    gc.collect()
    gc.disable()
    try:
        first, second = await _pair(port, f"pair-{next(_PAIRS)}")
        echo = await _repeat(first.echo, plan.echoes, plan.seconds)
        failover = await _repeat(lambda: _failover(port), plan.failovers, plan.seconds)
        first.leave()
        second.leave()
    finally:
        gc.enable()
    return Tier(clients, memory, echo, failover)


async def _repeat(sample: Callable[[], Awaitable[float]], count: int, seconds: float) -> Spread:
    """`count` samples, or as many as fit into `seconds`, but one at least."""
    end = time.monotonic() + seconds
    samples = [await sample()]
    while len(samples) < count and time.monotonic() < end:
        samples.append(await sample())
    return Spread.of(samples)


async def _failover(port: int) -> float:
    """Seconds from the moment in which one node of a pair goes until the other, alone in its ring already, has the vote."""
    lost, survivor = await _pair(port, f"pair-{next(_PAIRS)}")
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
