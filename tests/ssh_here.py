"""The enrolment's SSH endpoint in this process, on loopback, with a clock that a test turns, and a client that speaks to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import asyncssh

from tests.voter_process import PATIENCE_S, free_port
from thirdvote.enroll.process import Context
from thirdvote.enroll.report import Reporter
from thirdvote.enroll.settings import EnrollSettings
from thirdvote.enroll.ssh import SshService
from thirdvote.pki import store

FIXED = "a password of ours"


@dataclass
class SshHere:
    service: SshService
    port: int
    events: list[dict[str, Any]]
    data: Path
    now: list[float] = field(default_factory=lambda: [1_000.0])

    async def open(self, **request: Any) -> str:
        """The password."""
        answer = await self.service.commands()["open"](request)
        return str(answer["password"] or FIXED)

    async def close(self, **request: Any) -> None:
        await self.service.commands()["close"](request)

    def connect(self, password: str | None, key: asyncssh.SSHKey | None = None, user: str = "root") -> Any:
        """An asynchronous context with the connection."""
        return asyncssh.connect(
            "127.0.0.1", self.port, username=user, password=password, client_keys=[key] if key is not None else [], known_hosts=None,
            config=None, agent_path=None, connect_timeout=PATIENCE_S,
        )  # fmt: skip

    def texts(self) -> str:
        return "\n".join(event["text"] for event in self.events)


@asynccontextmanager
async def ssh_here(folder: Path, **settings: Any) -> AsyncIterator[SshHere]:
    data = folder / "data"
    if not data.exists():
        store.ensure(data)
    events: list[dict[str, Any]] = []
    port = free_port()
    wanted = replace(EnrollSettings(data=str(data), ssh=f"127.0.0.1:{port}"), **settings)
    now = [1_000.0]
    context = Context(wanted, Reporter(lambda line: events.append(json.loads(line)), lambda: now[0]))
    service = SshService(context, lambda: now[0], lambda: 1_800_000_000 + now[0])
    await service.start()
    try:
        yield SshHere(service, port, events, data, now)
    finally:
        await service.stop()


def in_loop(test: Callable[[Path], Coroutine[Any, Any, None]]) -> Callable[[Path], None]:
    """A test that is a coroutine, of the test's folder."""

    def run(tmp_path: Path) -> None:
        asyncio.run(asyncio.wait_for(test(tmp_path), 3 * PATIENCE_S))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run
