"""The network between the machines of one lab: a switch with one port a machine, in a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, permutations

from tests.e2e.lab.namespaces import Namespaces, run

PARTITION_TABLE = "bridge partition"


class Switch:
    def __init__(self) -> None:
        self._namespaces = Namespaces("ip link add bridge type bridge\nip link set bridge up")
        self._cable_pulled: set[str] = set()

    @property
    def pid(self) -> int:
        """The process that holds its namespace."""
        return self._namespaces.pid

    def connect(self, port: str, machine: Namespaces, address: str, mac: str) -> None:
        """A cable from `port` to a new interface of the machine. A machine that comes back keeps its MAC address, so no neighbour
        holds an old one."""
        end = ["type", "veth", "peer", "name", port, "netns", str(self._namespaces.pid)]
        run(["ip", "link", "add", "lan", "address", mac, "netns", str(machine.pid), *end])
        self._ip("link", "set", port, "master", "bridge", "up")
        run(machine.network_command("ip", "address", "add", f"{address}/24", "dev", "lan"))
        run(machine.network_command("ip", "link", "set", "lan", "up"))
        self._cable_pulled.discard(port)

    def disconnect(self, port: str) -> None:
        """Takes the cable away together with both of its ends."""
        self._ip("link", "delete", port)
        self._cable_pulled.discard(port)

    def pull(self, port: str) -> None:
        self._ip("link", "set", port, "down")
        self._cable_pulled.add(port)

    def plug(self, port: str) -> None:
        self._ip("link", "set", port, "up")
        self._cable_pulled.discard(port)

    def partition(self, *sides: Iterable[str], lost: Iterable[tuple[str, str]] = ()) -> None:
        """Ports of different sides do not hear each other; ports of no side hear all. What goes from the first port of a pair in
        `lost` to the second is dropped too, what comes back is not. Replaces an earlier partition in one step."""
        pairs = [pair for one, other in combinations(sides, 2) for a in one for b in other for pair in permutations((a, b))]
        pairs += lost
        rules = "\n".join(f'iifname "{a}" oifname "{b}" drop' for a, b in pairs)
        chain = f"chain forward {{\ntype filter hook forward priority 0\n{rules}\n}}"
        run(
            self._namespaces.network_command("nft", "-f", "-"),
            text=f"table {PARTITION_TABLE}\ndelete table {PARTITION_TABLE}\ntable {PARTITION_TABLE} {{\n{chain}\n}}\n",
        )

    def heal(self) -> None:
        """Everybody hears everybody again."""
        self.partition()
        for port in list(self._cable_pulled):
            self.plug(port)

    def end(self) -> None:
        self._namespaces.end()

    def _ip(self, *arguments: str) -> None:
        run(self._namespaces.network_command("ip", *arguments))
