"""Root's SSH on a machine of the lab: keys, a server for the other machines, and a person who types a password."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence

from tests.e2e.lab.machine import Machine
from tests.e2e.lab.namespaces import COMMAND_SECONDS_MAX, POLL_SECONDS, START_SECONDS_MAX, Program

HOME = "/run/home"
"""Of root there, in place of this system's own."""

PROGRAMS = ("ssh", "scp", "ssh-copy-id", "ssh-keygen", "sshd")

Done = subprocess.CompletedProcess[str]


class SshUser:
    """`machine` has power, and keeps all this until it has none."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.folder = machine.folder / "ssh"
        self.folder.mkdir()
        self.prompts = self.folder / "prompts"
        self._password = self.folder / "password"
        self._asks = self.folder / "askpass"
        self._asks.write_text(
            f"#!/bin/sh\necho \"$1\" >>'{self.prompts}'\ncase \"$1\" in\n*yes/no*) echo yes ;;\n*) cat '{self._password}' ;;\nesac\n",
            encoding="utf-8",
        )
        self._asks.chmod(0o700)
        passwd = self.folder / "passwd"
        self.must("sh", "-c", f"sed 's|:/root:|:{HOME}:|' /etc/passwd >'{passwd}' && mount --bind '{passwd}' /etc/passwd")
        self.must("sh", "-c", f"mkdir -p -m 700 {HOME}/.ssh && ssh-keygen -q -t rsa -b 2048 -N '' -f {HOME}/.ssh/id_rsa")

    def types(self, password: str) -> None:
        """From now on, whenever it is asked for one."""
        self._password.write_text(f"{password}\n", encoding="utf-8")

    def run(self, command: Sequence[str]) -> Done:
        return run_on(self.machine, command, SSH_ASKPASS=str(self._asks), SSH_ASKPASS_REQUIRE="force", DISPLAY=":0", HOME=HOME)

    def must(self, *command: str) -> str:
        done = self.run(command)
        assert done.returncode == 0, f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def public_key(self) -> str:
        return self.must("cat", f"{HOME}/.ssh/id_rsa.pub")

    def lets_in(self, *others: SshUser) -> Program:
        """Starts a server for their keys."""
        for other in others:
            self.must("sh", "-c", f"echo '{other.public_key().strip()}' >>{HOME}/.ssh/authorized_keys")
        key = self.folder / "host_key"
        self.must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        self.must("mkdir", "-p", "/run/sshd")
        options = [
            f"HostKey={key}",
            "UsePAM=no",
            "StrictModes=no",
            "PidFile=none",
            "Subsystem=sftp internal-sftp",
            f"AuthorizedKeysFile={HOME}/.ssh/authorized_keys",
        ]
        words = [word for option in options for word in ("-o", option)]
        program = self.machine.start("sshd", "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", *words)
        deadline = time.monotonic() + START_SECONDS_MAX
        while self.run(["ssh-keyscan", "-T", "2", "127.0.0.1"]).stdout == "":
            assert program.running, "sshd ended"
            assert time.monotonic() < deadline, "sshd does not answer"
            time.sleep(POLL_SECONDS)
        return program


def run_on(machine: Machine, command: Sequence[str], **environment: str) -> Done:
    """Whatever its status."""
    return subprocess.run(
        machine.command(*command), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env={**machine.environment(), **environment}, timeout=COMMAND_SECONDS_MAX, check=False,
    )  # fmt: skip
