"""OpenSSH's own clients, with a configuration, keys and known hosts of a test's folder, and a password that is typed by a script."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

TIMEOUT_S = 120.0

MISSING = [program for program in ("ssh", "scp", "sftp", "ssh-copy-id", "ssh-keygen") if shutil.which(program) is None]

needs_openssh = pytest.mark.skipif(bool(MISSING), reason="needs OpenSSH's clients (Debian: openssh-client)")

Ended = subprocess.CompletedProcess[str]


class OpenSsh:
    """Clients of the host `address`, whose SSH port is `port`, as a node's `~/.ssh` has it."""

    def __init__(self, folder: Path, address: str, port: int, password: str = "") -> None:
        self.folder = folder / "client"
        self.folder.mkdir(parents=True)
        self._home = tempfile.TemporaryDirectory(prefix="tv-")  # of a short name: ssh-copy-id -s makes a socket in it
        (Path(self._home.name) / ".ssh").mkdir(mode=0o700)
        self.address = address
        self.port = port
        self.config = self.folder / "config"
        self.key = self.folder / "id"
        self.public_key = self.folder / "id.pub"
        self._password = self.folder / "password"
        self.password = password
        self._asks = self.folder / "askpass"
        self._asks.write_text(f"#!/bin/sh\ncat '{self._password}'\n", encoding="utf-8")
        self._asks.chmod(0o700)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True, timeout=TIMEOUT_S)
        self.config.write_text(
            f"Host *\n  Port {port}\n  UserKnownHostsFile {self.folder}/known_hosts\n  StrictHostKeyChecking accept-new\n"
            f"  IdentityFile {self.key}\n  IdentitiesOnly yes\n  NumberOfPasswordPrompts 1\n",
            encoding="utf-8",
        )

    @property
    def password(self) -> str:
        return self._password.read_text(encoding="utf-8").strip()

    @password.setter
    def password(self, password: str) -> None:
        self._password.write_text(f"{password}\n", encoding="utf-8")

    def ssh(self, *command: str, options: Sequence[str] = (), text: str = "") -> Ended:
        return self.run("ssh", *options, f"root@{self.address}", *command, text=text)

    def batch(self, *command: str, text: str = "") -> Ended:
        """As `pvecm` calls it."""
        return self.run("ssh", "-o", "BatchMode=yes", "-lroot", self.address, *command, text=text)

    def copy_id(self, *options: str) -> Ended:
        return self.run("ssh-copy-id", *options, "-i", str(self.public_key), f"root@{self.address}")

    def scp(self, source: str | Path, target: str | Path, *options: str) -> Ended:
        return self.run("scp", *options, str(source), str(target))

    def sftp(self, script: str) -> Ended:
        return self.run("sftp", "-b", "-", f"root@{self.address}", text=script)

    def at(self, path: str) -> str:
        """A file there, in scp's words."""
        return f"root@[{self.address}]:{path}"

    def run(self, program: str, *words: str, text: str = "") -> Ended:
        """With our configuration."""
        return subprocess.run(
            [program, "-F", str(self.config), *words], input=text, capture_output=True, text=True, env=self.environment(),
            timeout=TIMEOUT_S, check=False,
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        asks = {"SSH_ASKPASS": str(self._asks), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"}
        kept = {name: value for name, value in os.environ.items() if name not in ("SSH_AUTH_SOCK",)}
        return kept | asks | {"HOME": self._home.name, "LC_ALL": "C.UTF-8"}
