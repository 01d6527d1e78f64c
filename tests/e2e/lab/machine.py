"""A machine of the lab: its own network, processes and folders, on this system's programs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.lab.namespaces import Namespaces, Program, run
from tests.e2e.lab.network import Switch

PRIVATE_FOLDERS = {"etc": "/etc/corosync", "lib": "/var/lib", "log": "/var/log"}
"""Kept over a power cut, as a disk is."""

MADE_FOLDERS = ("etc/qnetd", "etc/qdevice/net", "lib/corosync", "log/corosync")
VOLATILE_FOLDERS = ("/run", "/dev/shm")
RUN_FOLDERS = "/run/corosync-qnetd /run/corosync-qdevice"


SYSTEM_PROGRAMS = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")


class Machine:
    """`number` is the last part of its address."""

    def __init__(self, switch: Switch, name: str, number: int, folder: Path) -> None:
        self.name = name
        self.address = f"10.91.0.{number}"
        self.folder = folder
        self.programs: list[str] = []  # folders before the system's
        self._mac = f"02:00:00:00:00:{number:02x}"
        self._switch = switch
        self._namespaces: Namespaces | None = None
        self._programs: list[Program] = []
        for made in MADE_FOLDERS:
            (folder / made).mkdir(parents=True, exist_ok=True)

    @property
    def on(self) -> bool:
        return self._namespaces is not None

    @property
    def pid(self) -> int:
        """Its first process, as seen from outside."""
        assert self._namespaces is not None, f"{self.name} has no power"
        return self._namespaces.pid

    @property
    def etc(self) -> Path:
        """What the machine sees as /etc/corosync."""
        return self.folder / "etc"

    @property
    def logs(self) -> Path:
        """What the machine sees as /var/log."""
        return self.folder / "log"

    def power_on(self) -> None:
        assert not self.on, self.name
        lines = [f"mount --bind {self.folder / private} {seen}" for private, seen in PRIVATE_FOLDERS.items()]
        lines += [f"mount -t tmpfs tmpfs {seen}" for seen in VOLATILE_FOLDERS]
        self._namespaces = Namespaces("\n".join([*lines, f"mkdir {RUN_FOLDERS}"]))
        self._switch.connect(self.name, self._namespaces, self.address, self._mac)

    def power_off(self) -> None:
        """As by a cut of the power: the network falls silent first, so no connection is closed in order."""
        if self._namespaces is None:
            return
        self._switch.disconnect(self.name)
        self.end()

    def end(self) -> None:
        """Ends all programs at once, with the network they had."""
        namespaces, self._namespaces = self._namespaces, None
        if namespaces is not None:
            namespaces.end()
        while self._programs:
            self._programs.pop().wait()

    def start(self, name: str, *command: str | Path) -> Program:
        """`name` is that of its log file."""
        program = Program(self.command(*command), self.logs / f"{name}.log", self.environment())
        self._programs.append(program)
        return program

    def run(self, *command: str | Path, check: bool = True) -> str:
        return run(self.command(*command), environment=self.environment(), check=check)

    def command(self, *arguments: str | Path) -> list[str]:
        assert self._namespaces is not None, f"{self.name} has no power"
        return self._namespaces.command(*arguments)

    def environment(self) -> Mapping[str, str]:
        """Without settings of whoever runs the tests."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("THIRDVOTE_")}
        return {**kept, "LC_ALL": "C.UTF-8", "PATH": os.pathsep.join([*self.programs, *SYSTEM_PROGRAMS])}
