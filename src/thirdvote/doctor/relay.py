"""A TCP connection that begins on a node: through a shell there, so that the node's addresses, names and firewall are tried."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from thirdvote.device.host import Host

RELAY_S = 6.0
"""For all that is said; a first packet that is lost is sent again after 1 s and 3 s. A stock node gives up after 8 s."""

READ_BYTES = 65_536

SCRIPT = """\
before=$EPOCHREALTIME
exec 3<> "/dev/tcp/$1/$2" 4<&0 || exit 1
printf '%s %s\\n' "$before" "$EPOCHREALTIME"
cat <&3 &
reader=$!
{ cat <&4 >&3; kill "$reader"; } > /dev/null 2>&1 &
wait "$reader"
"""
"""Says when it began and when it was connected, then passes bytes both ways, until either side ends. A bash before 5.0 does not know the
times. What sends holds no output of ours open, so that the end of what receives is seen."""

SAYS_WHY = "bash: "
"""How bash's own lines begin: of several the first one has the reason."""


class Reachable(Host, Protocol):
    def command_line(self, *command: str) -> list[str]:
        """With which a process of this host runs it there."""


class Ended(Exception):
    """The other side or the time came to an end; the text says why."""


class Relay:
    def __init__(self, shell: subprocess.Popen[bytes]) -> None:
        self._shell = shell
        self._until = time.monotonic() + RELAY_S
        self._early = b""

    def connected(self) -> float | None:
        """How many seconds that took, where it is known. Ended."""
        try:
            line = self._first_line()
        except Ended as ended:
            raise Ended(self._last_words() or str(ended)) from None
        before, _, after = line.replace(b",", b".").partition(b" ")
        return float(after) - float(before) if before and after else None

    def send(self, data: bytes) -> None:
        """Ended."""
        assert self._shell.stdin is not None
        try:
            self._shell.stdin.write(data)
            self._shell.stdin.flush()
        except OSError:
            raise Ended("the connection was closed") from None

    def receive(self) -> bytes:
        """At least one byte. Ended."""
        if self._early:
            data, self._early = self._early, b""
            return data
        assert self._shell.stdout is not None
        readable, _, _ = select.select([self._shell.stdout], [], [], max(self._until - time.monotonic(), 0.0))
        if not readable:
            raise Ended(f"no answer within {RELAY_S:.0f} s")
        data = os.read(self._shell.stdout.fileno(), READ_BYTES)
        if not data:
            raise Ended("the connection was closed")
        return data

    def _first_line(self) -> bytes:
        data = b""
        while b"\n" not in data:
            data += self.receive()
        line, _, self._early = data.partition(b"\n")
        return line

    def _last_words(self) -> str:
        """Of a shell that could not connect: what stands behind the last colon of its reason."""
        assert self._shell.stderr is not None
        try:
            self._shell.wait(1.0)
        except subprocess.TimeoutExpired:
            return ""
        lines = [line.strip() for line in self._shell.stderr.read().decode("utf-8", "replace").splitlines() if line.strip()]
        reasons = [line for line in lines if line.startswith(SAYS_WHY)] or lines[-1:]
        return reasons[0].rpartition(": ")[2].lower() if reasons else ""


@contextmanager
def relay(host: Reachable, address: str, port: int) -> Iterator[Relay]:
    limit = f"{RELAY_S + 5:.0f}"
    command = host.command_line("env", "LC_ALL=C", "timeout", limit, "bash", "-c", SCRIPT, "bash", address, str(port))
    pipe = subprocess.PIPE
    shell = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    try:
        yield Relay(shell)
    finally:
        _close(shell.stdin)
        try:
            shell.wait(1.0)
        except subprocess.TimeoutExpired:
            shell.kill()
        for end in (shell.stdin, shell.stdout, shell.stderr):
            _close(end)
        shell.wait()


def _close(end: object) -> None:
    try:
        end.close()  # type: ignore[attr-defined]
    except OSError:
        return  # what was still to be written has nobody to read it
