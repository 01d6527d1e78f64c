from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.ssh_here import in_loop
from thirdvote.config import OFF
from thirdvote.control_client import ControlClient
from thirdvote.enroll import process
from thirdvote.enroll.control import Command, Request
from thirdvote.enroll.process import Context, EnrollProcess, services_of
from thirdvote.enroll.report import Reporter
from thirdvote.enroll.settings import EnrollSettings
from thirdvote.errors import UserError


class ServiceHere:
    name = "here"

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.started = self.stopped = False

    def commands(self) -> Mapping[str, Command]:
        return {"hello": self._hello}

    async def _hello(self, request: Request) -> dict[str, Any]:
        return {"hello": "you"}

    def status(self) -> dict[str, Any]:
        return {"started": self.started}

    async def start(self) -> str:
        if self.failures:
            self.failures -= 1
            raise UserError("the port is in use", "stop the other one")
        self.started = True
        return "a place"

    async def stop(self) -> None:
        self.stopped = True


class StuckHere(ServiceHere):
    name = "stuck"

    def commands(self) -> Mapping[str, Command]:
        return {}

    async def stop(self) -> None:
        await asyncio.Event().wait()


def context(folder: Path) -> tuple[Context, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    return Context(EnrollSettings(str(folder)), Reporter(lambda line: events.append(json.loads(line)), lambda: 0.0)), events


async def asked(folder: Path, command: str) -> dict[str, Any]:
    def ask() -> dict[str, Any]:
        with ControlClient(folder / "enroll.sock") as client:
            return client.request({"command": command})

    return await asyncio.to_thread(ask)


@in_loop
async def test_it_runs_until_its_parent_is_gone(tmp_path: Path) -> None:
    parent, service = threading.Event(), ServiceHere()
    found, events = context(tmp_path)
    running = asyncio.create_task(EnrollProcess(found, [service]).run(parent.wait))
    await asyncio.sleep(0.1)
    assert (await asked(tmp_path, "hello"))["hello"] == "you"
    assert (await asked(tmp_path, "status"))["status"]["here"] == {"started": True, "problem": None}
    assert events[0]["text"] == "here listens on a place"
    parent.set()
    await running
    assert service.stopped
    assert not (tmp_path / "enroll.sock").exists()


def test_a_service_that_does_not_stop_keeps_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_S", 0.05)
    parent, stuck, other = threading.Event(), StuckHere(), ServiceHere()
    parent.set()
    asyncio.run(EnrollProcess(context(tmp_path)[0], [stuck, other]).run(parent.wait))
    assert other.stopped


def test_what_can_not_start_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LISTEN_RETRY_S", 0.01)
    found, events = context(tmp_path)

    async def run() -> None:
        parent = threading.Event()
        running = asyncio.create_task(EnrollProcess(found, [ServiceHere(failures=5)]).run(parent.wait))
        for _ in range(1_000):
            await asyncio.sleep(0.01)
            if any("listens" in event["text"] for event in events):
                break
        parent.set()
        await running

    asyncio.run(asyncio.wait_for(run(), 20))
    assert [event["text"] for event in events] == [
        "here can not be used: the port is in use (hint: stop the other one); votes are not affected",
        "here listens on a place",
    ]


def test_what_is_off_is_not_loaded(tmp_path: Path) -> None:
    assert services_of(Context(EnrollSettings(str(tmp_path), OFF, OFF), Reporter(lambda line: None, lambda: 0.0))) == []
    both = services_of(Context(EnrollSettings(str(tmp_path), "*:2222", "*:5443"), Reporter(lambda line: None, lambda: 0.0)))
    assert [service.name for service in both] == ["ssh", "https"]


@in_loop
async def test_what_is_switched_off_says_how_to_switch_it_on(tmp_path: Path) -> None:
    parent = threading.Event()
    found, _ = context(tmp_path)
    running = asyncio.create_task(EnrollProcess(found, []).run(parent.wait))
    await asyncio.sleep(0.1)
    for command, option in (("open", "enroll-ssh"), ("close", "enroll-ssh"), ("token", "enroll-https")):
        with pytest.raises(UserError, match=option) as caught:
            await asked(tmp_path, command)
        assert f"--{option} [ADDR:]PORT" in str(caught.value.hint)
    parent.set()
    await running
