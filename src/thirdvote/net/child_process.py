"""A process beside the voter: started, watched, restarted with growing pauses, and outlived.

It is given one line on standard input, and ends by itself when that pipe does: with the voter, however the voter ends. What it
has to say are events, one JSON object a line on its standard output. They are read no faster than is good for the voter.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import thirdvote
from thirdvote.arbiter.interface import Level
from thirdvote.domain import ClusterName
from thirdvote.net.log import LEVELS, Event

PAUSE_S_MIN, PAUSE_S_MAX = 1.0, 60.0
STEADY_S = 60.0
"""A process that ran for so long is started again without the pauses of before."""

STOP_S = 3.0
"""From the request to end until it is killed."""

ENDS_S = 1.0
"""From the end of its output to its own."""

LINE_BYTES_MAX = 8_192
LINE_S = 0.01
"""Between two of its lines: what it says costs the voter next to nothing, however much there is of it."""


class ChildProcess:
    """`name` is for people; `module` is what Python runs."""

    def __init__(self, name: str, module: str, first_line: bytes, tell: Callable[[Event], None]) -> None:
        self._name = name
        self._module = module
        self._first_line = first_line
        self._tell = tell
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._restarts = 0
        self._pause_s = PAUSE_S_MIN

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep_running())

    def status(self) -> dict[str, Any]:
        return {"pid": None if self._process is None else self._process.pid, "restarts": self._restarts}

    async def stop(self) -> None:
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._process is not None:
            await self._end(self._process)

    async def _keep_running(self) -> None:
        while True:
            began = time.monotonic()
            ended = await self._run()
            if time.monotonic() - began >= STEADY_S:
                self._pause_s = PAUSE_S_MIN
            self._say(Level.WARNING, f"the {self._name} {ended}; it is started again in {self._pause_s:.0f} s, votes are not affected")
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(2 * self._pause_s, PAUSE_S_MAX)
            self._restarts += 1

    async def _run(self) -> str:
        """How it ended."""
        command = (sys.executable, "-P", "-m", self._module)
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, env=_environment(), limit=LINE_BYTES_MAX, start_new_session=True
            )
        except OSError as error:
            return f"can not be started ({(error.strerror or str(error)).lower()})"
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):
            process.stdin.write(self._first_line)
            await process.stdin.drain()
        await self._listen(process.stdout)
        with suppress(TimeoutError):  # a signal to one that has just ended would take its status away from who waits for it
            await asyncio.wait_for(process.wait(), ENDS_S)
        await self._end(process)
        self._process = None
        status = process.returncode or 0
        return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stream.readline()
            except ValueError:
                continue  # far too long: what was read of it is gone
            if not line:
                return
            event = event_of(line)
            if event is not None:
                self._tell(event)
            await asyncio.sleep(LINE_S)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _say(self, level: Level, text: str) -> None:
        self._tell(Event(level, self._name, text))


def event_of(line: bytes) -> Event | None:
    """None for what is no event: whoever speaks there may be in the hands of a stranger."""
    try:
        found = json.loads(line)
        level, event, text = LEVELS[found["level"]], str(found["event"]), str(found["text"])
        cluster = None if found.get("cluster") is None else ClusterName(str(found["cluster"]).encode("utf-8", "surrogateescape"))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    address = found.get("address")
    return Event(level, event, text, cluster, address=None if address is None else str(address))


def _environment() -> dict[str, str]:
    """The child finds this very package, wherever it was found."""
    own = Path(thirdvote.__file__).parents[1]
    rest = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{own}{os.pathsep}{rest}" if rest else str(own)}
