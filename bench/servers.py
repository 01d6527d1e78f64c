"""The two arbitrators that are measured, each in a folder and on a port of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

START_TIMEOUT_S = 30.0


class BenchError(Exception):
    """The bench can not go on; the text is for a person."""


@dataclass(slots=True)
class Server:
    """`command` gives the words of the command line for a port and a folder that `prepare` has filled."""

    name: str
    command: Callable[[int, Path], list[str]]
    folder: Path
    port: int = 0
    process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def start(self) -> None:
        """Returns when it takes connections."""
        self.port = self.port or free_port()
        log = (self.folder / "log").open("ab")
        with log:
            self.process = await asyncio.create_subprocess_exec(*self.command(self.port, self.folder), stdout=log, stderr=log)
        end = time.monotonic() + START_TIMEOUT_S
        while not await _answers(self.port):
            if self.process.returncode is not None or time.monotonic() > end:
                raise BenchError(f"{self.name} does not start: {(self.folder / 'log').read_text(errors='replace')[-2_000:]}")
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        if self.process is None or self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), 10)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


def stock_server(folder: Path) -> Server | None:
    """None where Debian's programs are not installed."""
    if shutil.which("corosync-qnetd") is None or shutil.which("certutil") is None:
        return None
    database = folder / "nssdb"
    database.mkdir(parents=True)
    noise = folder / "noise"
    noise.write_bytes(os.urandom(40))
    common = ["-d", f"sql:{database}", "-z", str(noise), "-v", "12", "-k", "rsa", "-g", "2048"]
    _run("certutil", "-N", "-d", f"sql:{database}", "--empty-password")
    _run("certutil", "-S", "-n", "QNet CA", "-s", "CN=QNet CA", "-x", "-t", "CTu,u,u", "-m", "1", *common)
    _run("certutil", "-S", "-n", "QNetd Cert", "-s", "CN=Qnetd Server", "-c", "QNet CA", "-t", "u,u,u", "-m", "2", *common)
    return Server("corosync-qnetd", _stock_command, folder)


def our_server(folder: Path) -> Server:
    folder.mkdir(parents=True)
    return Server("thirdvote", _our_command, folder)


def _stock_command(port: int, folder: Path) -> list[str]:
    files = f"nss_db_dir={folder / 'nssdb'},lock_file={folder / 'lock'},local_socket_file={folder / 'socket'}"
    return ["corosync-qnetd", "-f", "-l", "127.0.0.1", "-p", str(port), "-s", "on", "-c", "off", "-S", files]


def _our_command(port: int, folder: Path) -> list[str]:
    place = ["--data", str(folder / "data"), "--control", str(folder / "control"), "--listen", f"127.0.0.1:{port}"]
    return [
        sys.executable,
        "-m",
        "thirdvote",
        "serve",
        *place,
        "--tls",
        "on",
        "--client-cert",
        "off",
        "--enroll-ssh",
        "off",
        "--enroll-https",
        "off",
    ]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
