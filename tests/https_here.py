"""The enrolment's HTTPS service in this process, with certificates of its own, for tests of both of its ends."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.certificates import NOW
from tests.voter_process import free_port
from thirdvote import join_url
from thirdvote.enroll.https import HttpsService
from thirdvote.enroll.process import Context
from thirdvote.enroll.report import Reporter
from thirdvote.enroll.settings import EnrollSettings
from thirdvote.join_url import JoinUrl
from thirdvote.pki import store

T = TypeVar("T")


@dataclass
class Clock:
    now: float = NOW.timestamp()


@dataclass
class HttpsHere:
    service: HttpsService
    data: Path
    clock: Clock
    said: list[dict[str, Any]]
    loop: asyncio.AbstractEventLoop
    threads: list[threading.Thread] = field(default_factory=list)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def token(self, cluster: str = "office", **more: Any) -> JoinUrl:
        answer = self.run(_called(self.service, {"cluster": cluster, **more}))
        return join_url.parse(str(answer["url"]))

    @property
    def port(self) -> int:
        return int(self.service.status()["listen"].rpartition(":")[2])


async def _called(service: HttpsService, request: dict[str, Any]) -> dict[str, Any]:
    return await service.commands()["token"](request)


@contextmanager
def https_here(data: Path, place: str | None = None) -> Iterator[HttpsHere]:
    """Its certificates are made if there are none; they are of today."""
    store.ensure(data)
    said: list[dict[str, Any]] = []
    clock = Clock()
    reporter = Reporter(lambda line: said.append(json.loads(line)), lambda: 0.0)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    service = HttpsService(
        Context(EnrollSettings(data=str(data), https=place or f"127.0.0.1:{free_port()}", vote_port=5403), reporter), lambda: clock.now
    )
    here = HttpsHere(service, data, clock, said, loop)
    try:
        here.run(service.start())
        yield here
    finally:
        here.run(service.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
