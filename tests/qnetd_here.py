"""Our voter under the stock name, as a daemon with files and a port of its own."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "import sys; from thirdvote.__main__ import dispatch; sys.exit(dispatch(sys.argv[1], sys.argv[2:]))"
PATIENCE_S = 30.0


def free_port() -> int:
    """Free a moment ago; a test that finds it taken was unlucky, and says so."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class QnetdHere:
    folder: Path
    port: int

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def socket(self) -> Path:
        return self.folder / "s"

    @property
    def files(self) -> str:
        return f"lock_file={self.lock},local_socket_file={self.socket}"

    @property
    def pid(self) -> int:
        return int(self.lock.read_text())

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._called("corosync-qnetd", "-s", "off", "-l", "127.0.0.1", "-p", str(self.port), *arguments)

    def tool(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._called("corosync-qnetd-tool", "-p", str(self.socket), *arguments)

    def wait_for_end(self) -> None:
        """A daemon is nobody's child: its end is read from its process descriptor."""
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.pid)
            try:
                assert select.select([descriptor], [], [], PATIENCE_S)[0], "it has not ended"
            finally:
                os.close(descriptor)

    def _called(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {name: text for name, text in os.environ.items() if not name.startswith("THIRDVOTE_")}
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        command = [sys.executable, "-c", PROGRAM, name, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=PATIENCE_S)


@contextmanager
def qnetd_here(folder: Path) -> Iterator[QnetdHere]:
    folder.mkdir(parents=True, exist_ok=True)
    server = QnetdHere(folder, free_port())
    started = server.run("-S", server.files)
    assert (started.returncode, started.stdout, started.stderr) == (0, "", "")
    try:
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.kill(server.pid, signal.SIGTERM)
        server.wait_for_end()
