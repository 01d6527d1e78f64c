"""A cluster node: Debian's corosync and corosync-qdevice on a machine of the lab."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.lab.machine import Machine
from tests.e2e.lab.namespaces import Program
from tests.e2e.lab.network import Switch
from tests.e2e.lab.settings import Settings

NODE_DATABASE = "qdevice/net/nssdb"


class Node(Machine):
    def __init__(self, switch: Switch, number: int, folder: Path) -> None:
        super().__init__(switch, f"n{number}", number, folder)
        self.number = number
        self.corosync: Program | None = None
        self.qdevice: Program | None = None
        self.database = self.etc / NODE_DATABASE

    def configure(self, text: str, authkey: bytes) -> None:
        (self.etc / "corosync.conf").write_text(text, encoding="utf-8")
        (self.etc / "authkey").write_bytes(authkey)

    def start_corosync(self) -> None:
        self.corosync = self.start("corosync.out", "corosync", "-f")

    def start_qdevice(self) -> None:
        self.qdevice = self.start("qdevice", "corosync-qdevice", "-f", "-d")

    def stop_qdevice(self) -> int:
        """The exit status. By its tool: a SIGTERM that comes while the stock device handles a message is noted and not acted on."""
        qdevice, self.qdevice = self.qdevice, None
        if qdevice is None or not qdevice.running:
            return 0
        self.run("corosync-qdevice-tool", "-H")
        return qdevice.wait()

    def power_off(self) -> None:
        super().power_off()
        self.corosync = self.qdevice = None

    def quorumtool(self) -> str:
        return self.run("corosync-quorumtool", "-s", check=False)  # its status tells whether there is quorum

    def qdevice_tool(self, *options: str) -> str:
        return self.run("corosync-qdevice-tool", "-s", *options)

    def certutil(self, *arguments: str | Path) -> str:
        return self.run("corosync-qdevice-net-certutil", *arguments)


def corosync_conf(settings: Settings, nodes: list[Node], host: str, version: int) -> str:
    """As `pvecm create`, `pvecm add` and `pvecm qdevice setup` leave it; the token's timeout and the log's place aside."""
    node_list = "".join(
        f"  node {{\n    name: {node.name}\n    nodeid: {node.number}\n    quorum_votes: 1\n    ring0_addr: {node.address}\n  }}\n"
        for node in nodes
    )
    device = "".join(f"    {key}: {value}\n" for key, value in settings.device_keys())
    if settings.heuristics_s is not None:
        device += f"    heuristics {{\n      mode: on\n      exec_wait: /bin/sleep {settings.heuristics_s}\n    }}\n"
    return (
        "logging {\n  debug: off\n  to_syslog: no\n  to_logfile: yes\n  logfile: /var/log/corosync/corosync.log\n  timestamp: hires\n}\n"
        f"nodelist {{\n{node_list}}}\n"
        "quorum {\n  provider: corosync_votequorum\n"
        f"  device {{\n    model: net\n{device}"
        f"    net {{\n      algorithm: {settings.algorithm}\n      host: {host}\n      tls: {settings.tls}\n    }}\n  }}\n}}\n"
        f"totem {{\n  cluster_name: {settings.cluster_name}\n  config_version: {version}\n  interface {{\n    linknumber: 0\n  }}\n"
        f"  ip_version: ipv4-6\n  link_mode: passive\n  secauth: on\n  token: {settings.token_ms}\n  version: 2\n}}\n"
        "system {\n  move_to_root_cgroup: no\n  sched_rr: no\n}\n"
    )
