"""Namespaces of a machine, and the programs that run in them.

Nothing here can be left behind: the first process of the pid namespace waits at a pipe from this process, so it ends when this
process does, however that happens, and the kernel then ends everything in the namespace and takes its network and mounts away.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.e2e.lab.allowance import Allowance

START_SECONDS_MAX = 20
END_SECONDS_MAX = 20
COMMAND_SECONDS_MAX = 60
POLL_SECONDS = 0.02


class CommandFailed(AssertionError):
    pass


class Program:
    """A daemon inside of namespaces. Its output goes to the end of a file."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        with log.open("ab") as output:
            self._entrance = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(environment), start_new_session=True
            )
        self._pid = only_child(self._entrance)
        self.stopped = False
        self._allowance: Allowance | None = None

    @property
    def pid(self) -> int:
        assert self._pid is not None, f"it ended at once, see {self.log}"
        return self._pid

    @property
    def running(self) -> bool:
        return self._entrance.poll() is None

    def bound(self) -> None:
        """From now on it gets only so much of a processor."""
        if self._allowance is None and self._pid is not None and self.running:
            self._allowance = Allowance(self._pid)

    def signal(self, number: signal.Signals) -> None:
        if not self.running:
            return
        os.kill(self.pid, number)
        if number in (signal.SIGSTOP, signal.SIGCONT):
            self.stopped = number is signal.SIGSTOP
        if number is signal.SIGCONT:  # nsenter stops itself when its child is stopped
            self._entrance.send_signal(number)

    def wait(self, seconds: float = END_SECONDS_MAX) -> int:
        """The exit status, or the negative number of the signal that ended it."""
        if self.stopped:  # and nsenter with it, which would not see the end
            self._entrance.send_signal(signal.SIGCONT)
        status = self._entrance.wait(seconds)
        if self._allowance is not None:
            self._allowance.end()
        return status

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()


class Namespaces:
    """Own network, mounts and pids, after `setup`, a shell script that runs in them."""

    def __init__(self, setup: str) -> None:
        script = f"set -e\nmount -t proc proc /proc\nip link set lo up\n{setup}\necho ready\nexec cat\n"
        command = ["unshare", "--fork", "--kill-child", "--pid", "--mount", "--net", "--propagation", "private", "sh", "-c", script]
        self._unshare = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            self._await_ready()
            self.pid = self._first_process()
        except BaseException:
            self._unshare.kill()
            self._unshare.communicate()
            raise

    def command(self, *arguments: str | Path) -> list[str]:
        """The command line that runs `arguments` in here. Its child is the program itself."""
        return ["nsenter", "--target", str(self.pid), "--mount", "--net", "--pid", "--", *map(str, arguments)]

    def network_command(self, *arguments: str) -> list[str]:
        return ["nsenter", "--target", str(self.pid), "--net", "--", *arguments]

    def end(self) -> None:
        """Returns when nothing that ran in here is left: the first process is reaped after all others."""
        if self._unshare.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        self._unshare.communicate(timeout=END_SECONDS_MAX)

    def _first_process(self) -> int:
        pid = only_child(self._unshare)
        assert pid is not None, "the namespaces ended at once"
        return pid

    def _await_ready(self) -> None:
        assert self._unshare.stdout is not None
        output = b""
        deadline = time.monotonic() + START_SECONDS_MAX
        while b"ready\n" not in output:
            readable, _, _ = select.select([self._unshare.stdout], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self._unshare.stdout.fileno(), 4096) if readable else b""
            if not chunk:
                raise CommandFailed(f"the namespaces were not set up: {output.decode(errors='replace')}")
            output += chunk


def run(command: Sequence[str], *, environment: Mapping[str, str] | None = None, text: str | None = None, check: bool = True) -> str:
    """Standard output; what a failed command said is in the exception."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=environment, timeout=COMMAND_SECONDS_MAX, check=False)
    if check and done.returncode != 0:
        raise CommandFailed(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def only_child(process: subprocess.Popen[bytes]) -> int | None:
    """The pid of what unshare or nsenter runs, as seen from outside; None when that has ended already."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if pids := children.read_text(encoding="ascii").split():
            return int(pids[0])
        if process.poll() is not None:
            return None
        time.sleep(POLL_SECONDS)
    raise CommandFailed(f"not started within {START_SECONDS_MAX} s: {process.args!r}")
