"""The enrolment as a process of its own, without a voter, on loopback and in a folder of the test."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.voter_process import free_port
from thirdvote.control_client import ControlClient
from thirdvote.enroll.settings import EnrollSettings
from thirdvote.pki import store

PATIENCE_S = 60.0
"""It is the last to get a processor that others want, too."""


class EnrolmentProcess:
    def __init__(self, folder: Path, **settings: Any) -> None:
        self.data = folder / "data"
        self.port = free_port()
        store.ensure(self.data)
        self.settings = replace(EnrollSettings(str(self.data), ssh=f"127.0.0.1:{self.port}"), **settings)
        self._news = threading.Condition()
        self._events: list[dict[str, Any]] = []
        self._process = subprocess.Popen([sys.executable, "-m", "thirdvote.enroll"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        self._process.stdin.write(self.settings.to_line())
        self._process.stdin.flush()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self._events.append(json.loads(line))
                self._news.notify_all()

    def texts(self) -> list[str]:
        with self._news:
            return [event["text"] for event in self._events]

    def wait_for(self, text: str) -> dict[str, Any]:
        """The first event with that in its text."""

        def found() -> dict[str, Any] | None:
            return next((event for event in self._events if text in event["text"]), None)

        with self._news:
            assert self._news.wait_for(lambda: found() is not None, PATIENCE_S), f"no {text!r} in {self._events}"
            return found() or {}

    def ask(self, command: str, **request: Any) -> dict[str, Any]:
        with ControlClient(self.data / "enroll.sock", PATIENCE_S) as client:
            return client.request({"command": command, **request})

    def open(self, **request: Any) -> str:
        """The password."""
        return str(self.ask("open", **request)["password"])

    def windows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("status")["status"]["ssh"]["windows"]
        return found

    def stop(self) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            return self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join(PATIENCE_S)
            self._process.stdout.close()


@contextmanager
def enrolment_process(folder: Path, **settings: Any) -> Iterator[EnrolmentProcess]:
    process = EnrolmentProcess(folder, **settings)
    try:
        process.wait_for("ssh listens on")
        yield process
    finally:
        process.stop()
