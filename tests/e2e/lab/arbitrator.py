"""The machine with the server under test, which is reached by the names of the stock programs, whoever's they are."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from tests.e2e.lab.machine import Machine
from tests.e2e.lab.namespaces import POLL_SECONDS, CommandFailed, Program, run
from tests.e2e.lab.network import Switch
from tests.e2e.lab.settings import TlsOfServer

STOCK_NAMES = ("corosync-qnetd", "corosync-qnetd-tool", "corosync-qnetd-certutil")
DATABASE = "qnetd/nssdb"
LAST_NUMBER = 100
START_SECONDS_MAX = 20

SERVER = os.environ.get("THIRDVOTE_TEST_SERVER", "thirdvote")
"""Whose programs are tested: "thirdvote" for ours, "stock" for Debian's."""


class Arbitrator(Machine):
    def __init__(self, switch: Switch, folder: Path) -> None:
        super().__init__(switch, "arbitrator", LAST_NUMBER, folder)
        self.server: Program | None = None
        self.tls: TlsOfServer = "on"
        self.database = self.etc / DATABASE
        self.path_first = folder / "bin"
        self.path_first.mkdir(exist_ok=True)
        if SERVER == "stock":
            link_stock_programs(self.path_first)
        else:
            run([sys.executable, "-m", "thirdvote", "compat", str(self.path_first)])

    def start_server(self) -> None:
        """Returns when it answers."""
        self.server = self.start("qnetd", "corosync-qnetd", "-f", "-d", "-s", self.tls)
        deadline = time.monotonic() + START_SECONDS_MAX
        while self.server.running and time.monotonic() < deadline:
            try:
                self.qnetd_tool("-s")
            except CommandFailed:
                time.sleep(POLL_SECONDS)
            else:
                return
        raise CommandFailed(f"the server did not start:\n{self.server.log.read_text(encoding='utf-8', errors='replace')[-4000:]}")

    def stop_server(self) -> int:
        server, self.server = self.server, None
        return server.stop() if server else 0

    def power_off(self) -> None:
        super().power_off()
        self.server = None

    def qnetd_tool(self, *options: str) -> str:
        return self.run("corosync-qnetd-tool", *options)

    def certutil(self, *arguments: str | Path) -> str:
        return self.run("corosync-qnetd-certutil", *arguments)


def link_stock_programs(folder: Path) -> None:
    for name in STOCK_NAMES:
        program = shutil.which(name)
        assert program is not None, name
        (folder / name).symlink_to(program)
