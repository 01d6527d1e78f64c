"""What `pvecm qdevice setup` does at the arbitrator and on the nodes, in its order and form; a driver of ours, as there is no
Proxmox VE here.

Taken from what the program does in Proxmox VE 7 to 9, where these commands are the same. Its nodes share the folder /etc/pve; here
it is a folder of the driver. What it does on the cluster's nodes over SSH is done by `on_node`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

QNETD_DATABASE = "/etc/corosync/qnetd/nssdb"
NODE_DATABASE = "/etc/corosync/qdevice/net/nssdb"
AUTHORITY = "qnetd-cacert.crt"
REQUEST = "qdevice-net-node.crq"
BUNDLE = "qdevice-net-node.p12"


class SetupFailed(AssertionError):
    pass


class Done(Protocol):
    returncode: int
    stdout: str
    stderr: str


Run = Callable[[Sequence[str]], Done]


@dataclass
class Pvecm:
    """`run` runs a command on the node where somebody typed `pvecm`, `on_node` one on the node of that number, `shared` is /etc/pve."""

    address: str
    cluster: str
    nodes: Sequence[int]
    run: Run
    on_node: Callable[[int, Sequence[str]], Done]
    shared: Path
    identity: str = "/root/.ssh/id_rsa"

    def certificates(self) -> None:
        """Everything up to the certificates on all nodes."""
        ssh, scp = ["ssh", "-o", "BatchMode=yes", "-lroot"], ["scp", "-o", "BatchMode=yes"]
        there = f"root@[{self.address}]"
        self._must(["ssh-copy-id", "-i", self.identity, f"root@{self.address}"])
        self.run([*ssh, self.address, "corosync-qnetd-certutil", "-i"])  # its errors are not looked at
        self._must([*scp, f"{there}:{QNETD_DATABASE}/{AUTHORITY}", f"{self.shared}/{AUTHORITY}"])
        for node in self.nodes:
            self.on_node(node, ["corosync-qdevice-net-certutil", "-i", "-c", f"{self.shared}/{AUTHORITY}"])
        (self.shared / AUTHORITY).unlink()
        self._must(["corosync-qdevice-net-certutil", "-r", "-n", self.cluster])
        self._must([*scp, f"{NODE_DATABASE}/{REQUEST}", f"{there}:/tmp"])
        self._must([*ssh, self.address, "corosync-qnetd-certutil", "-s", "-c", f"/tmp/{REQUEST}", "-n", self.cluster])
        self._must([*scp, f"{there}:{QNETD_DATABASE}/cluster-{self.cluster}.crt", NODE_DATABASE])
        self._must(["corosync-qdevice-net-certutil", "-M", "-c", f"{NODE_DATABASE}/cluster-{self.cluster}.crt"])
        self._must([*scp, f"{NODE_DATABASE}/{BUNDLE}", f"{self.shared}/"])
        for node in self.nodes:
            self._must_on(node, ["corosync-qdevice-net-certutil", "-m", "-c", f"{self.shared}/{BUNDLE}"])
        (self.shared / BUNDLE).unlink()

    def remove(self) -> None:
        """`pvecm qdevice remove`: it does not go to the arbitrator at all."""
        for node in self.nodes:
            self._must_on(node, ["rm", "-rf", "/etc/corosync/qdevice"])

    def _must(self, command: Sequence[str]) -> Done:
        return _checked(command, self.run(command))

    def _must_on(self, node: int, command: Sequence[str]) -> Done:
        return _checked(command, self.on_node(node, command))


def _checked(command: Sequence[str], done: Done) -> Done:
    if done.returncode:
        raise SetupFailed(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done
