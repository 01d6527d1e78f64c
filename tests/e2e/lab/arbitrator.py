"""The machine with the server under test: under the names of the stock programs, whoever's they are, or as `thirdvote serve`."""

from __future__ import annotations

import os
import shutil
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path

from tests.e2e.lab.machine import Machine
from tests.e2e.lab.namespaces import POLL_SECONDS, CommandFailed, Program, run
from tests.e2e.lab.network import Switch
from tests.e2e.lab.settings import TlsOfServer

STOCK_NAMES = ("corosync-qnetd", "corosync-qnetd-tool", "corosync-qnetd-certutil")
STOCK_DATABASE = "qnetd/nssdb"
LAST_NUMBER = 100
START_SECONDS_MAX = 20

SERVER = os.environ.get("THIRDVOTE_TEST_SERVER", "thirdvote")
"""Whose programs are tested under the stock names: "thirdvote" for ours, "stock" for Debian's."""


class Arbitrator(Machine, ABC):
    def __init__(self, switch: Switch, folder: Path) -> None:
        super().__init__(switch, "arbitrator", LAST_NUMBER, folder)
        self.server: Program | None = None

    @abstractmethod
    def make_authority(self) -> Path:
        """The certificate that the nodes have to trust."""

    @abstractmethod
    def sign(self, request: Path, cluster_name: str) -> Path:
        """The cluster's certificate."""

    @abstractmethod
    def start_server(self) -> None:
        """Returns when it answers."""

    def stop_server(self) -> int:
        server, self.server = self.server, None
        return server.stop() if server else 0

    def power_off(self) -> None:
        super().power_off()
        self.server = None

    def _start_and_wait(self, log: str, command: tuple[str, ...], question: tuple[str, ...]) -> None:
        """Asks by the command `question` whether the server answers."""
        self.server = self.start(log, *command)
        deadline = time.monotonic() + START_SECONDS_MAX
        while self.server.running and time.monotonic() < deadline:
            try:
                self.run(*question)
            except CommandFailed:
                time.sleep(POLL_SECONDS)
            else:
                return
        raise CommandFailed(f"the server did not start:\n{self.server.log.read_text(encoding='utf-8', errors='replace')[-4000:]}")


class StockNames(Arbitrator):
    """What `pvecm` and the nodes' tools expect."""

    def __init__(self, switch: Switch, folder: Path, server: str = SERVER) -> None:
        super().__init__(switch, folder)
        self.tls: TlsOfServer = "on"
        links = folder / "bin"
        links.mkdir()
        self.programs.append(str(links))
        if server == "stock":
            _link_stock_programs(links)
        else:
            run([sys.executable, "-m", "thirdvote", "compat", str(links)])

    def make_authority(self) -> Path:
        self.run("corosync-qnetd-certutil", "-i")
        return self.etc / STOCK_DATABASE / "qnetd-cacert.crt"

    def sign(self, request: Path, cluster_name: str) -> Path:
        self.run("corosync-qnetd-certutil", "-s", "-c", request, "-n", cluster_name)
        return self.etc / STOCK_DATABASE / f"cluster-{cluster_name}.crt"

    def start_server(self) -> None:
        self._start_and_wait("qnetd", ("corosync-qnetd", "-f", "-d", "-s", self.tls), ("corosync-qnetd-tool", "-s"))

    def qnetd_tool(self, *options: str) -> str:
        return self.run("corosync-qnetd-tool", *options)


class OwnNames(Arbitrator):
    """The program under its own name, with the data where it is for root. `options` are those of `thirdvote serve`."""

    def __init__(self, switch: Switch, folder: Path, options: tuple[str, ...] = ()) -> None:
        super().__init__(switch, folder)
        self.options = ("--enroll-ssh", "off", "--enroll-https", "off", *options)

    def make_authority(self) -> Path:
        self.start_server()
        return self.folder / "lib" / "thirdvote" / "pki" / "ca.crt"

    def sign(self, request: Path, cluster_name: str) -> Path:
        certificate = self.folder / f"cluster-{cluster_name}.crt"
        self.thirdvote("ca", "sign", request, "--name", cluster_name, "--out", certificate)
        return certificate

    def start_server(self) -> None:
        ours = (sys.executable, "-m", "thirdvote")
        self._start_and_wait("thirdvote", (*ours, "serve", *self.options), (*ours, "status"))

    def thirdvote(self, *arguments: str | Path) -> str:
        return self.run(sys.executable, "-m", "thirdvote", *arguments)


def _link_stock_programs(folder: Path) -> None:
    for name in STOCK_NAMES:
        program = shutil.which(name)
        assert program is not None, name
        (folder / name).symlink_to(program)
