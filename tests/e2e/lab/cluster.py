"""A cluster of real Corosync nodes, its arbitrator and the network between them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Generic, TypeVar

from tests.e2e.lab.arbitrator import Arbitrator, StockNames
from tests.e2e.lab.machine import Machine
from tests.e2e.lab.network import Switch
from tests.e2e.lab.node import Node, corosync_conf
from tests.e2e.lab.settings import Settings, TlsOfNode
from tests.e2e.lab.watch import State, Watch

ALL_VOTES_SECONDS_MAX = 60
"""A node tries again to reach its arbitrator every 8 s, and corosync waits up to 30 s for a device in a change of membership."""

LOG_TAIL_LINES = 120

ArbitratorT = TypeVar("ArbitratorT", bound=Arbitrator)


class Cluster(Generic[ArbitratorT]):
    """Two or more nodes at one arbitrator."""

    def __init__(self, switch: Switch, settings: Settings, nodes: int, arbitrator: ArbitratorT, folder: Path) -> None:
        self.settings = settings
        self.switch = switch
        self.watch = Watch()
        self.arbitrator = arbitrator
        self.nodes = [Node(switch, number, folder / f"n{number}") for number in range(1, nodes + 1)]
        self._authkey = os.urandom(256)
        self._version = 0

    def node(self, number: int) -> Node:
        return self.nodes[number - 1]

    @property
    def votes(self) -> int:
        return len(self.nodes) + self.settings.device_votes(len(self.nodes))

    def start(self) -> None:
        """Everything up to all votes."""
        self.arbitrator.power_on()
        for node in self.nodes:
            self._power_on(node)
        self.enrol()
        self.configure()
        self.restore()

    def restore(self) -> None:
        """Repairs what a test has broken, and returns when the cluster has all votes."""
        self.switch.heal()
        for program in (self.arbitrator.server, *(node.qdevice for node in self.nodes)):
            if program is not None and program.stopped:
                program.kill()
        if not self.arbitrator.on:
            self.arbitrator.power_on()
        if self.arbitrator.server is None or not self.arbitrator.server.running:
            self.arbitrator.start_server()
        for node in self.nodes:
            self.start_node(node)
        self.wait_all_votes()

    def start_node(self, node: Node) -> None:
        """Starts what does not run: the power, corosync, its device."""
        if not node.on:
            self._power_on(node)
        if node.corosync is None or not node.corosync.running:
            node.start_corosync()
            self.watch.wait(lambda now: now[node.number].ring != frozenset(), ALL_VOTES_SECONDS_MAX, f"corosync starts on {node.name}")
        if node.qdevice is None or not node.qdevice.running:
            node.start_qdevice()

    def cut_power(self, node: Node) -> None:
        node.power_off()
        self.watch.remove(node.number)

    def wait_all_votes(self) -> float:
        since = self.watch.wait(self.all_votes, ALL_VOTES_SECONDS_MAX, f"all {self.votes} votes on every node")
        for node in self.nodes:
            if node.corosync is not None:
                node.corosync.bound()
        return since

    def all_votes(self, now: Mapping[int, State]) -> bool:
        everybody = frozenset(node.number for node in self.nodes)
        return all(
            state.quorate and state.members == everybody and state.total_votes == self.votes for state in (now[node] for node in everybody)
        )

    def configure(self, tls: TlsOfNode | None = None) -> None:
        """Writes corosync.conf everywhere, and has it read where corosync runs. The device reads it when it starts."""
        if tls is not None:
            self.settings = replace(self.settings, tls=tls)
        self._version += 1
        text = corosync_conf(self.settings, self.nodes, self.arbitrator.address, self._version)
        for node in self.nodes:
            node.configure(text, self._authkey)
        if running := [node for node in self.nodes if node.corosync is not None and node.corosync.running]:
            running[0].run("corosync-cfgtool", "-R")

    def enrol(self) -> None:
        """The certificates, in the steps of `pvecm qdevice setup`; copies stand for scp."""
        first, *others = self.nodes
        name = self.settings.cluster_name
        authority = self.arbitrator.make_authority()
        for node in self.nodes:
            node.certutil("-i", "-c", _copy(authority, node.folder))
        first.certutil("-r", "-n", name)
        request = _copy(first.database / "qdevice-net-node.crq", self.arbitrator.folder)
        first.certutil("-M", "-c", _copy(self.arbitrator.sign(request, name), first.folder))
        for node in others:
            node.certutil("-m", "-c", _copy(first.database / "qdevice-net-node.p12", node.folder))

    def evidence(self) -> str:
        """What to look at after a failure: what the nodes reported, and the ends of all logs."""
        parts = ["\n".join(map(str, self.watch.changes()))]
        for machine in self._machines():
            for log in sorted(machine.logs.rglob("*.log")):
                lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
                parts.append(f"--- {machine.name}: {log.name}\n" + "\n".join(lines))
        return "\n".join(parts)

    def end(self) -> None:
        for machine in self._machines():
            machine.end()
        self.watch.end()

    def _machines(self) -> Iterator[Machine]:
        yield self.arbitrator
        yield from self.nodes

    def _power_on(self, node: Node) -> None:
        node.power_on()
        self.watch.add(node.number, node)


StockCluster = Cluster[StockNames]
"""With the server under the stock names."""


@contextmanager
def running_cluster(
    settings: Settings, nodes: int, kind: Callable[[Switch, Path], ArbitratorT], folder: Path
) -> Iterator[Cluster[ArbitratorT]]:
    """With all votes."""
    switch = Switch()
    try:
        cluster = Cluster(switch, settings, nodes, kind(switch, folder / "arbitrator"), folder)
        try:
            _start(cluster)
            yield cluster
        finally:
            cluster.end()
    finally:
        switch.end()


def _start(cluster: Cluster[ArbitratorT]) -> None:
    try:
        cluster.start()
    except Exception as error:
        error.add_note(cluster.evidence())
        raise


def _copy(source: Path, folder: Path) -> Path:
    return Path(shutil.copy(source, folder))
