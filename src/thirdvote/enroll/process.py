"""The process that lets nodes in: its services, their control socket, and its end with the voter that started it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from thirdvote.config import OFF
from thirdvote.enroll.addresses import best_address
from thirdvote.enroll.control import Command, Control, Request
from thirdvote.enroll.report import Reporter
from thirdvote.enroll.settings import CONTROL_NAME, EnrollSettings, listen_of
from thirdvote.errors import UserError
from thirdvote.pki import files, paths, revocation, running, store

NICENESS = 5
"""A handshake can wait for a vote, never a vote for a handshake."""

STOP_S = 2.0
"""Until then a service has said goodbye to whom it serves; who does not read it is left behind."""

SUPPRESSED_S = 10.0
"""How often it is told what was not written."""

LISTEN_RETRY_S = 30.0
"""A port that another program has may be free later."""


@dataclass(frozen=True, slots=True)
class Context:
    """What every service is given."""

    settings: EnrollSettings
    report: Reporter

    @property
    def data(self) -> Path:
        return Path(self.settings.data)

    def address(self, place: str) -> str:
        """By which nodes reach a service that listens there."""
        return self.settings.address or best_address(listen_of(place))

    def authority(self) -> bytes:
        """What a new node gets, PEM. UserError."""
        return files.read(paths.folder_in(self.data).authority, "certificate of the authority")

    def sign(self, request: bytes, cluster_name: str, *, way: str, asked_by: str, replace: bool) -> bytes:
        """DER. Takes its time. UserError."""
        control = Path(self.settings.control) if self.settings.control else None
        return store.sign(self.data, request, cluster_name, way=way, asked_by=asked_by, replace=replace, control=control)

    def revoke(self, serial_number: str, because: str) -> None:
        """A certificate that was signed for nothing; the voter has to be told. UserError."""
        revocation.revoke(self.data, revocation.choose(self.data, serial_number), because)

    def revoke_others(self, cluster_name: str, serial_number: str) -> bool:
        """All of the cluster but that one. Whether the voter has to be told. UserError."""
        return revocation.revoke_others(self.data, cluster_name, serial_number)

    def tell_voter(self) -> None:
        """What is revoked. Takes its time. UserError."""
        running.read_again(Path(self.settings.control) if self.settings.control else running.usual_control(self.data))


class Service(Protocol):
    """One way in. `name` is its key in the answer to `status`."""

    name: str

    def commands(self) -> Mapping[str, Command]:
        """Of the control socket."""

    def status(self) -> dict[str, Any]: ...

    async def start(self) -> str:
        """Where it listens, for a person. UserError when it can not now; it is tried again later."""

    async def stop(self) -> None: ...


def services_of(context: Context) -> list[Service]:
    """Those that are not off; only they are loaded."""
    found: list[Service] = []
    if context.settings.ssh != OFF:
        from thirdvote.enroll.ssh import SshService

        found.append(SshService(context))
    if context.settings.https != OFF:
        from thirdvote.enroll.https import HttpsService

        found.append(HttpsService(context))
    return found


class EnrollProcess:
    """Runs until its standard input ends, SIGTERM or SIGINT."""

    def __init__(self, context: Context, services: list[Service]) -> None:
        self._context = context
        self._services = services
        self._problems: dict[str, str] = {}
        self._control = Control(context.data / CONTROL_NAME)
        self._control.add({"status": self._status})
        for service in services:
            self._control.add(service.commands())
        present = {service.name for service in services}
        self._control.add({command: _switched_off(option) for command, (name, option) in _NEEDS.items() if name not in present})

    async def run(self, parent: Callable[[], Any] | None = None) -> None:
        """`parent` blocks until whoever started this is gone. UserError."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        await self._control.start()
        tasks = [loop.create_task(self._keep_started(service)) for service in self._services]
        tasks.append(loop.create_task(self._tell_suppressed()))
        if parent is not None:
            _watch(parent, lambda: loop.call_soon_threadsafe(ended.set))
        await ended.wait()
        for task in tasks:
            task.cancel()
        for stop in (*(service.stop for service in self._services), self._control.stop):
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await stop()

    async def _keep_started(self, service: Service) -> None:
        while True:
            try:
                where = await service.start()
            except UserError as error:
                self._fail(service, error)
                await asyncio.sleep(LISTEN_RETRY_S)
                continue
            self._problems.pop(service.name, None)
            self._context.report.info(f"{service.name} listens on {where}")
            return

    def _fail(self, service: Service, error: UserError) -> None:
        text = error.with_hint
        if self._problems.get(service.name) != text:
            self._problems[service.name] = text
            self._context.report.warning(f"{service.name} can not be used: {text}; votes are not affected")

    async def _tell_suppressed(self) -> None:
        while True:
            await asyncio.sleep(SUPPRESSED_S)
            self._context.report.tell_suppressed()

    async def _status(self, request: Request) -> dict[str, Any]:
        services = {service.name: service.status() | {"problem": self._problems.get(service.name)} for service in self._services}
        return {"status": {"pid": os.getpid(), **services}}


_NEEDS = {"open": ("ssh", "enroll-ssh"), "close": ("ssh", "enroll-ssh"), "token": ("https", "enroll-https")}
"""What a person asks for, the service that does it, and the setting that switches it on."""


def _switched_off(option: str) -> Command:
    async def refuse(request: Request) -> dict[str, Any]:
        raise UserError(f"this way in is switched off ({option})", f"start the arbitrator with --{option} [ADDR:]PORT")

    return refuse


def _watch(parent: Callable[[], Any], gone: Callable[[], Any]) -> None:
    """In a thread that nobody waits for: it may wait for ever."""

    def wait() -> None:
        parent()
        with suppress(RuntimeError):  # the loop is closed: this process ends already
            gone()

    threading.Thread(target=wait, name="parent", daemon=True).start()


def become_nicer() -> None:
    with suppress(OSError):
        os.nice(NICENESS)
