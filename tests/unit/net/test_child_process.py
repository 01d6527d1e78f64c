from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from thirdvote.arbiter.interface import Level
from thirdvote.domain import ClusterName
from thirdvote.net import child_process
from thirdvote.net.child_process import ChildProcess, event_of
from thirdvote.net.log import Event

LINE = b'{"level": "info", "event": "enrolment", "text": "hello", "cluster": "web", "address": "192.0.2.1:4"}\n'


def test_an_event_of_the_child() -> None:
    assert event_of(LINE) == Event(Level.INFO, "enrolment", "hello", ClusterName(b"web"), address="192.0.2.1:4")
    assert event_of(b'{"level": "error", "event": "e", "text": "t"}\n') == Event(Level.ERROR, "e", "t")


@pytest.mark.parametrize("line", [b"", b"hello\n", b"[]", b"{}", b'{"level": "loud", "event": "e", "text": "t"}', b"\xff", b"[" * 10_000])
def test_what_is_no_event(line: bytes) -> None:
    assert event_of(line) is None


def child(folder: Path, monkeypatch: pytest.MonkeyPatch, program: str, told: list[Event]) -> ChildProcess:
    """`program` is what it runs."""
    (folder / "child_of_this_test.py").write_text(program, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return ChildProcess("enrolment", "child_of_this_test", b"settings\n", told.append)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError


def test_it_gets_its_line_and_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Event] = []
    program = (
        "import sys\nline = sys.stdin.readline().strip()\n"
        'print(\'{"level": "info", "event": "enrolment", "text": "\' + line + \'"}\', flush=True)\n'
        "print('x' * 100_000)\n"
        'print(\'no event\')\nprint(\'{"level": "info", "event": "e", "text": "last"}\', flush=True)\nsys.stdin.read()\n'
    )
    here = child(tmp_path, monkeypatch, program, told)

    async def run() -> None:
        here.start()
        await until(lambda: len(told) == 2)
        assert here.status()["restarts"] == 0
        assert isinstance(here.status()["pid"], int)
        await here.stop()

    asyncio.run(run())
    assert [event.text for event in told] == ["settings", "last"]


def test_it_is_started_again_with_growing_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "PAUSE_S_MIN", 0.05)
    monkeypatch.setattr(child_process, "PAUSE_S_MAX", 0.1)
    told: list[Event] = []
    here = child(tmp_path, monkeypatch, "import sys\nsys.exit(3)\n", told)

    async def run() -> None:
        here.start()
        await until(lambda: here.status()["restarts"] == 3)
        await here.stop()

    asyncio.run(run())
    assert told[0].text == "the enrolment ended with status 3; it is started again in 0 s, votes are not affected"
    assert {event.level for event in told} == {Level.WARNING}
    assert here._pause_s == 0.1


def test_one_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "STOP_S", 0.2)
    told: list[Event] = []
    program = (
        "import os, signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        'print(\'{"level": "info", "event": "e", "text": "\' + str(os.getpid()) + \'"}\', flush=True)\ntime.sleep(600)\n'
    )
    here = child(tmp_path, monkeypatch, program, told)

    async def run() -> int:
        here.start()
        await until(lambda: len(told) == 1)
        pid = int(told[0].text)
        await here.stop()
        return pid

    with pytest.raises(ProcessLookupError):
        os.kill(asyncio.run(run()), 0)


def test_an_interpreter_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    told: list[Event] = []
    here = ChildProcess("enrolment", "x", b"", told.append)

    async def run() -> None:
        here.start()
        await until(lambda: len(told) == 1)
        await here.stop()

    asyncio.run(run())
    assert "can not be started (no such file or directory)" in told[0].text


def test_one_that_was_never_started_is_stopped() -> None:
    asyncio.run(ChildProcess("enrolment", "x", b"", lambda event: None).stop())
