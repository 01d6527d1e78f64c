"""Facts of hosts on which nothing is wrong; a test changes what it is about."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from thirdvote.device.host import Ended, LocalHost
from thirdvote.device.quorum_text import Member, Quorum
from thirdvote.doctor.device_text import Device
from thirdvote.doctor.facts import (
    Answer,
    Arbitrator,
    Certificate,
    ClusterSeen,
    Database,
    Facts,
    FileSystem,
    Node,
    NodeSeen,
    Passed,
    Probe,
    Unit,
)
from thirdvote.doctor.findings import Finding

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)

AUTHORITY = Certificate("thirdvote CA", "thirdvote CA", NOW - timedelta(9), NOW + timedelta(3650), "aa" * 32, "1")
SERVER = Certificate("Qnetd Server", "thirdvote CA", NOW - timedelta(9), NOW + timedelta(365), "bb" * 32, "2")
CLUSTER = Certificate("office", "thirdvote CA", NOW - timedelta(9), NOW + timedelta(365), "cc" * 32, "3")

CONF = """\
totem {
  version: 2
  cluster_name: office
  config_version: 5
}
nodelist {
  node {
    name: n1
    nodeid: 1
    ring0_addr: 192.0.2.1
  }
  node {
    name: n2
    nodeid: 2
    ring0_addr: 192.0.2.2
  }
}
quorum {
  provider: corosync_votequorum
  device {
    model: net
    votes: 1
    timeout: 1250
    net {
      tls: on
      host: 192.0.2.20
      algorithm: ffsplit
    }
  }
}
"""

DEVICE = Device("Connected", True, "192.0.2.20:5403", "Fifty-Fifty split", "Supported", 1250, "", "now")

PROBE = Probe(Passed.ALL, server_tls="required", used_tls=True, round_trip_s=0.001, server=SERVER, server_is_of_authority=True)

UNITS = (Unit("corosync", True, True), Unit("corosync-qdevice", True, True))

STATUS: dict[str, Any] = {
    "version": "0.1.0",
    "tls": "required",
    "client_certificate": True,
    "test_algorithm": False,
    "connections": 2,
    "connections_max": 16_000,
    "ledger": {"state": "ok", "problem": None, "hint": None, "past_complete": True, "path": "/var/lib/thirdvote/ledger.db"},
    "history": {"problem": None},
    "enrolment": {"pid": 1, "always": False},
}


def quorum(*flags: str, quorate: bool = True, own: int = 1) -> Quorum:
    """Of nodes 1, 2 and so on with these flags of their devices."""
    members = {number: Member(1, each or None) for number, each in enumerate(flags, start=1)}
    return Quorum(own, quorate, 3, len(flags) + 1, 2, members, 1)


def node(**changes: Any) -> Node:
    whole = Node(
        where="n1",
        conf="/etc/corosync/corosync.conf",
        conf_text=CONF,
        has_systemd=True,
        units=UNITS,
        in_force={"totem.config_version": "5", "quorum.device.net.host": "192.0.2.20", "quorum.device.votes": "1"},
        quorum=quorum("A,V,NMW", "A,V,NMW"),
        device=DEVICE,
        database=Database(True, 0o770, authorities=(AUTHORITY,), cluster=CLUSTER, has_key=True, is_of_authority=True),
        addresses=("192.0.2.1",),
        resolved=("192.0.2.20",),
        probe=PROBE,
    )
    return replace(whole, **changes)


def arbitrator(**changes: Any) -> Arbitrator:
    whole = Arbitrator(
        where="this host",
        stock=False,
        data="/var/lib/thirdvote",
        answer=Answer.ANSWERS,
        status=STATUS,
        clusters=(cluster(),),
        listen_port=5403,
        file_system=FileSystem(1 << 40, "ext4", False),
        certificates=(AUTHORITY, SERVER),
        authorities=(AUTHORITY.fingerprint,),
        addresses=("192.0.2.20",),
        installed="0.1.0",
    )
    return replace(whole, **changes)


def cluster(**changes: Any) -> ClusterSeen:
    nodes = tuple(NodeSeen(number, f"192.0.2.{number}", True, "both are here", 0.001, 1_000) for number in (1, 2))
    return replace(ClusterSeen("office", nodes, ()), **changes)


def facts(*nodes: Node, arbitrators: tuple[Arbitrator, ...] = (), **changes: Any) -> Facts:
    return replace(Facts(NOW, arbitrators, nodes), **changes)


def ids(findings: Any) -> list[str]:
    """Those that are not fine."""
    return [finding.kind.id for finding in findings if finding.kind.level]


def only(findings: Any, kind: str) -> Finding:
    found: list[Finding] = [finding for finding in findings if finding.kind.id == kind]
    assert len(found) == 1, found
    return found[0]


class RootHost(LocalHost):
    """This host, but with a folder of its own for /etc/corosync and /run/systemd, and scripts in place of the programs that are given."""

    def __init__(self, root: Path, **programs: str) -> None:
        super().__init__("n1")
        self.root = root
        self._programs = root / "programs"
        self._programs.mkdir(parents=True)
        (root / "corosync").mkdir()
        for name, script in programs.items():
            path = self._programs / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)

    def run(self, *command: str, data: bytes = b"") -> Ended:
        return super().run("env", f"PATH={self._programs}:{os.environ['PATH']}", *map(self._mapped, command), data=data)

    def _mapped(self, word: str) -> str:
        for seen, own in (("/etc/corosync", "corosync"), ("/etc/pve", "pve"), ("/run/systemd", "systemd")):
            word = word.replace(seen, str(self.root / own))
        return word
