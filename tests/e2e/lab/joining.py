"""A cluster of real nodes without a device, on machines with sshd and what stands for systemd; an arbitrator that lets nodes in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.lab.arbitrator import OwnNames
from tests.e2e.lab.machine import SYSTEM_PROGRAMS, Machine
from tests.e2e.lab.namespaces import POLL_SECONDS, CommandFailed, run
from tests.e2e.lab.network import Switch
from tests.e2e.lab.node import Node
from thirdvote.device import quorum_text
from thirdvote.device.quorum_text import Quorum

NAME = "office"
QUORUM_SECONDS_MAX = 60
PROGRAMS = ("sshd", "ssh", "ssh-keygen", "openssl")

SYSTEMCTL = """\
#!/bin/sh
# Stands for systemd: starts the real daemon. What is in /etc/corosync/systemctl.fails fails.
echo "$*" >> /var/log/systemctl.log
while [ $# -gt 0 ] && [ "$1" != enable ] && [ "$1" != disable ] && [ "$1" != start ] && [ "$1" != restart ] &&
    [ "$1" != stop ] && [ "$1" != is-active ] && [ "$1" != show ]; do shift; done
[ $# -gt 0 ] || exit 0
pid=/run/corosync-qdevice.pid
# The first process of a machine collects no children that have ended: they stay, as zombies.
alive() { [ -s $pid ] && grep -qs '^State:.[^Z]' "/proc/$(cat $pid)/status"; }
stop() { alive && corosync-qdevice-tool -H > /dev/null; while alive; do sleep 0.1; done; rm -f $pid; }
if [ "$1" = show ]; then
    for unit; do case $unit in
        corosync) printf 'Id=corosync.service\\nLoadState=loaded\\nActiveState=active\\nUnitFileState=enabled\\n\\n' ;;
        corosync-qdevice)
            active=inactive; alive && active=active
            enabled=disabled; [ -e /etc/corosync/enabled ] && enabled=enabled
            printf 'Id=%s.service\\nLoadState=loaded\\nActiveState=%s\\nUnitFileState=%s\\n' $unit $active $enabled ;;
    esac; done
    exit 0
fi
if grep -qsx "$1" /etc/corosync/systemctl.fails; then echo "$1 failed" >&2; exit 1; fi
case $1 in
    is-active) alive ;;
    enable) touch /etc/corosync/enabled ;;
    disable) rm -f /etc/corosync/enabled ;;
    stop) stop; exit 0 ;;
    start | restart)
        stop
        setsid sh -c 'echo $$ > /run/corosync-qdevice.pid; exec corosync-qdevice -f -d' > /var/log/qdevice.log 2>&1 < /dev/null &
        for attempt in 1 2 3 4 5 6 7 8 9 10; do corosync-qdevice-tool -s > /dev/null 2>&1 && exit 0; sleep 0.3; done
        alive ;;
esac
"""

NODE = "  node {{\n    name: n{number}\n    nodeid: {number}\n    ring0_addr: {address}\n  }}\n"


class JoiningNode(Node):
    """With a root that its fellows let in by a key, and `systemctl`."""

    def __init__(self, switch: Switch, number: int, folder: Path, keys: Path) -> None:
        super().__init__(switch, number, folder)
        self._keys = keys
        links = folder / "bin"
        links.mkdir()
        (links / "systemctl").write_text(SYSTEMCTL)
        (links / "systemctl").chmod(0o755)
        self.programs.append(str(links))

    def power_on(self) -> None:
        super().power_on()
        self.run("mkdir", "-p", "/run/systemd/system", "/run/sshd")
        self.start_sshd()

    def start_sshd(self) -> None:
        path = os.pathsep.join([*self.programs, *SYSTEM_PROGRAMS])
        lines = (
            f"HostKey {self._keys / 'host'}",
            f"AuthorizedKeysFile {self._keys / 'root.pub'}",
            "PermitRootLogin prohibit-password",
            "StrictModes no",
            "UsePAM no",
            "PidFile none",
            f"SetEnv PATH={path}",
        )
        config = self.folder / "sshd_config"
        config.write_text("".join(f"{line}\n" for line in lines))
        self.sshd = self.start("sshd", "/usr/sbin/sshd", "-D", "-e", "-f", config)

    def configure_without_device(self, fellows: list[JoiningNode], authkey: bytes, quorum: str) -> None:
        nodes = "".join(NODE.format(number=node.number, address=node.address) for node in fellows)
        self.configure(
            "# kept as it is\ntotem {\n  version: 2\n"
            f"  cluster_name: {NAME}\n  config_version: 4\n  token: 1000\n  secauth: on\n}}\n\n"
            f"nodelist {{\n{nodes}}}\n\nquorum {{\n  # votes\n  provider: corosync_votequorum\n{quorum}}}\n\n"
            "logging {\n  to_syslog: no\n  to_logfile: yes\n  logfile: /var/log/corosync/corosync.log\n}\n"
            "system {\n  move_to_root_cgroup: no\n  sched_rr: no\n}\n",
            authkey,
        )

    @property
    def conf(self) -> str:
        return (self.etc / "corosync.conf").read_text()

    @property
    def quorum(self) -> Quorum:
        return quorum_text.read(self.quorumtool())

    @property
    def is_enabled(self) -> bool:
        return (self.etc / "enabled").exists()

    @property
    def device_runs(self) -> bool:
        try:
            self.qdevice_tool()
        except CommandFailed:
            return False
        return True


class JoiningLab:
    def __init__(self, switch: Switch, nodes: int, folder: Path, quorum: str) -> None:
        keys = folder / "keys"
        keys.mkdir()
        for name in ("root", "host"):
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)])
        self.arbitrator = OwnNames(switch, folder / "arbitrator", options=("--enroll-https", "*:5443"))
        self.arbitrator.options += ("--enroll-address", self.arbitrator.address)
        self.nodes = [JoiningNode(switch, number, folder / f"n{number}", keys) for number in range(1, nodes + 1)]
        self.switch = switch
        host = " ".join((keys / "host.pub").read_text().split()[:2])
        known = "".join(f"{node.address} {host}\n" for node in self.nodes)
        (keys / "known_hosts").write_text(known)
        options = f"-o IdentitiesOnly=yes -o UserKnownHostsFile={keys / 'known_hosts'} -o GlobalKnownHostsFile=none"
        self.ssh = f"ssh -F none -i {keys / 'root'} {options}"
        authkey = os.urandom(256)
        for node in self.nodes:
            node.configure_without_device(self.nodes, authkey, quorum)

    def start(self) -> None:
        self.arbitrator.power_on()
        self.arbitrator.start_server()
        for node in self.nodes:
            node.power_on()
            node.start_corosync()
        self.wait(lambda: all(len(node.quorum.members) == len(self.nodes) for node in self.nodes), "all nodes see each other")

    def token(self, cluster: str = NAME, *options: str) -> str:
        return str(self.asked_token(cluster, *options)["url"])

    def asked_token(self, cluster: str = NAME, *options: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.arbitrator.thirdvote("enroll", "token", cluster, "--json", *options))
        return answer

    def on(self, node: Machine, *arguments: str) -> tuple[int, str]:
        """Status and all output of our program on that node."""
        command = node.command(sys.executable, "-m", "thirdvote", *arguments)
        done = subprocess.run(command, capture_output=True, text=True, env=dict(node.environment()), timeout=180, check=False)
        return done.returncode, done.stdout + done.stderr

    def join(self, *arguments: str, node: int = 1) -> tuple[int, str]:
        return self.on(self.nodes[node - 1], "join", *arguments, "--ssh", self.ssh)

    def remove(self, *arguments: str, node: int = 1) -> tuple[int, str]:
        return self.on(self.nodes[node - 1], "remove", *arguments, "--ssh", self.ssh)

    def wait(self, until: Any, what: str) -> None:
        deadline = time.monotonic() + QUORUM_SECONDS_MAX
        while True:
            try:
                if until():
                    return
            except Exception as error:
                problem: Exception | None = error
            else:
                problem = None
            assert time.monotonic() < deadline, f"{what}: {problem}\n{self.evidence()}"
            time.sleep(POLL_SECONDS * 5)

    def evidence(self) -> str:
        parts = []
        for machine in (self.arbitrator, *self.nodes):
            for log in sorted(machine.logs.rglob("*.log")):
                parts.append(f"--- {machine.name}: {log.name}\n{log.read_text(errors='replace')[-3_000:]}")
        return "\n".join(parts)

    def end(self) -> None:
        for machine in (self.arbitrator, *self.nodes):
            machine.end()


def needs_openssh() -> None:
    """Leaves the test out where the nodes could not reach each other."""
    if missing := [program for program in PROGRAMS if shutil.which(program, path=os.pathsep.join(SYSTEM_PROGRAMS)) is None]:
        pytest.skip(f"not installed: {', '.join(missing)} (Debian: openssh-server, openssh-client, openssl)")


@contextmanager
def joining_lab(folder: Path, nodes: int = 2, quorum: str = "") -> Iterator[JoiningLab]:
    """Running; all nodes see each other, and none has a device."""
    needs_openssh()
    switch = Switch()
    try:
        lab = JoiningLab(switch, nodes, folder, quorum)
        try:
            lab.start()
            yield lab
        finally:
            lab.end()
    finally:
        switch.end()
