"""A node's shell: commands and files, on this host or over ssh in the same way.

Files are read and written by commands too, so that a node needs nothing but its own programs.
"""

from __future__ import annotations

import itertools
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from thirdvote.errors import UserError

COMMAND_SECONDS_MAX = 180.0
"""The longest is a start of the device by systemd, which gives up after 90 s."""

CONNECT_SECONDS_MAX = 10
OUTPUT_BYTES_MAX = 1 << 22

STILL_THERE = ("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3")
"""A connection to a node that has lost its power ends after 15 s, not when the command has had its time."""

SHARED_SECONDS_MAX = 300
"""How long a shared connection lasts when nobody uses it: longer than any step, and it ends if this process did not come to that."""

SSH_FAILED = 255
"""ssh's own status when it is not the command that failed."""

NOT_FOUND = 127


@dataclass(frozen=True, slots=True)
class Ended:
    status: int
    output: bytes
    error: str

    @property
    def text(self) -> str:
        return self.output.decode("utf-8", "surrogateescape")

    @property
    def last_words(self) -> str:
        """What it said at its end, in one line."""
        lines = [line.strip() for line in f"{self.text}\n{self.error}".splitlines() if line.strip()]
        return lines[-1][:300].encode("utf-8", "replace").decode() if lines else f"status {self.status}"


class CommandFailed(UserError):
    """A node's command ended with another status than 0."""


class Host(Protocol):
    """`name` is what it is called in what is said."""

    name: str

    def run(self, *command: str, data: bytes = b"") -> Ended:
        """Whatever its status is. UserError when the node can not be reached, or the command does not end."""


class LocalHost:
    """This one."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *command: str, data: bytes = b"") -> Ended:
        return _run(self.name, command, data)

    def command_line(self, *command: str) -> list[str]:
        """With which a process of this host runs it there."""
        return list(command)


class SharedConnections:
    """One connection for each node, which all of its commands share, as OpenSSH can; `folder` is for their sockets, and nobody else's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ends: list[tuple[str, ...]] = []
        self._numbers = itertools.count()  # several threads may ask, and no two nodes may share one

    def open(self, ssh: Sequence[str], rest: Sequence[str]) -> tuple[str, ...]:
        """The options with which a command takes part in it; none where that can not be, and each command has a connection of its own."""
        take_part = ("-S", str(self._folder / str(next(self._numbers))))
        begins = _is_done((*ssh, *take_part, "-M", "-N", "-f", "-o", f"ControlPersist={SHARED_SECONDS_MAX}", *rest))
        if not begins:
            return ()
        self._ends.append((*ssh, *take_part, "-O", "exit", *rest))
        return take_part

    def close(self) -> None:
        for command in self._ends:
            _is_done(command)


@contextmanager
def shared_connections() -> Iterator[SharedConnections]:
    with tempfile.TemporaryDirectory(prefix="thirdvote-") as folder:
        connections = SharedConnections(Path(folder))
        try:
            yield connections
        finally:
            connections.close()


def _is_done(command: Sequence[str]) -> bool:
    """Without input, and with nobody who would wait for its output: what it leaves in the background would keep that open."""
    nowhere = subprocess.DEVNULL
    try:
        done = subprocess.run(
            command, stdin=nowhere, stdout=nowhere, stderr=nowhere, timeout=2 * CONNECT_SECONDS_MAX, check=False, start_new_session=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


class SshHost:
    """Over ssh as root, with the keys and known hosts of whoever runs this: it never asks. The first command that comes through makes the
    connection that the others share.
    """

    def __init__(
        self,
        name: str,
        address: str,
        ssh: Sequence[str] = ("ssh",),
        options: Sequence[str] = (),
        connections: SharedConnections | None = None,
    ) -> None:
        self.name = name
        self.address = address
        common = ("-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS_MAX}", *STILL_THERE, "-T")
        user = () if "@" in address else ("-l", "root")
        self._ssh = tuple(ssh)
        self._rest = (*common, *options, *user, address)
        self._connections = connections
        self._takes_part: tuple[str, ...] = ()

    def run(self, *command: str, data: bytes = b"") -> Ended:
        ended = _run(self.name, self.command_line(*command), data)
        if ended.status == SSH_FAILED:
            hint = f"as root on this host, `ssh root@{self.address} true` has to work without a question: copy a key, accept the host's key"
            raise UserError(f"{self.name} can not be reached over ssh: {ended.last_words}", hint)
        if self._connections is not None:
            self._takes_part = self._connections.open(self._ssh, self._rest)
            self._connections = None
        return ended

    def command_line(self, *command: str) -> list[str]:
        """As of LocalHost."""
        return [*self._ssh, *self._takes_part, *self._rest, "--", shlex.join(command)]


def _run(name: str, command: Sequence[str], data: bytes) -> Ended:
    """In a session of its own: Ctrl-C ends nothing halfway, see `steps`."""
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=COMMAND_SECONDS_MAX, check=False, start_new_session=True)
    except FileNotFoundError:
        return Ended(NOT_FOUND, b"", f"{command[0]} is not installed")
    except subprocess.TimeoutExpired:
        hint = f"try it there by hand: {shlex.join(command)}"
        raise UserError(f"{name}: {command[0]} did not end within {COMMAND_SECONDS_MAX:.0f} s", hint) from None
    except OSError as error:
        raise UserError(f"{name}: {command[0]} can not be run ({(error.strerror or str(error)).lower()})", "see what is missing") from None
    return Ended(done.returncode, done.stdout[:OUTPUT_BYTES_MAX], done.stderr[:OUTPUT_BYTES_MAX].decode("utf-8", "replace"))


def must(host: Host, *command: str, data: bytes = b"", hint: str | None = None) -> Ended:
    """CommandFailed unless the status is 0."""
    ended = host.run(*command, data=data)
    if ended.status:
        shown = command[-1] if command[:2] == ("sh", "-c") else command[0]
        advice = hint or f"try it on {host.name} by hand: {shlex.join(command)}"
        raise CommandFailed(f"{host.name}: {shown.split()[0] if hint else shown} failed: {ended.last_words}", advice)
    return ended


def shell(host: Host, script: str, *arguments: str, data: bytes = b"", what: str) -> Ended:
    """`script` with "$1", "$2" and so on. CommandFailed, in which `what` names what failed."""
    ended = host.run("sh", "-c", script, "sh", *arguments, data=data)
    if ended.status:
        raise CommandFailed(f"{host.name}: {what} failed: {ended.last_words}", f"look at it on {host.name}, then try again")
    return ended


def read(host: Host, path: str) -> bytes | None:
    """None when it is not there. CommandFailed."""
    if host.run("test", "-e", path).status:
        return None
    return must(host, "cat", path, hint=f"see whether {path} can be read on {host.name}").output


def exists(host: Host, path: str) -> bool:
    return host.run("test", "-e", path).status == 0


def write(host: Host, path: str, content: bytes, mode: int) -> None:
    """The whole file in one step, with its folder. CommandFailed."""
    script = 'set -e; mkdir -p "$(dirname "$1")"; umask 077; cat > "$1.new"; chmod "$2" "$1.new"; mv -f "$1.new" "$1"'
    shell(host, script, path, f"{mode:o}", data=content, what=f"writing {path}")
