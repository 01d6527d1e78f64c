"""What the voter that runs has to do with certificates: it is told of changes, and asked what its nodes show."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from thirdvote.config import CONTROL_SOCKET
from thirdvote.control_client import ControlClient, NotRunning
from thirdvote.pki import inventory, paths
from thirdvote.pki.inventory import Signed, Use
from thirdvote.pki.needed import who_needs_it

TIMEOUT_S = 90.0
"""A process of its own reads the certificates for it, which takes seconds on a small board."""

NODES_MAX = 40
"""Of those that show one certificate, in the inventory; a cluster has two or three."""

Shown = Mapping[str, Any]
"""A node's certificate, as the control socket gives it."""


def usual_control(data: Path) -> Path:
    return data / CONTROL_SOCKET


def read_again(control: Path) -> int | None:
    """The voter takes over certificates and the list of revoked ones. How many connections ended; None when none runs. UserError."""
    try:
        with ControlClient(control, TIMEOUT_S) as client:
            ended = client.request({"command": "reload-certificates"})["ended"]
    except NotRunning:
        return None
    return int(ended)


def shown_by_nodes(control: Path) -> list[Shown] | None:
    """None when no voter runs. UserError."""
    try:
        with ControlClient(control, TIMEOUT_S) as client:
            return list(client.request({"command": "certificates"})["certificates"])
    except NotRunning:
        return None


def who_needs_the_vote(control: Path, cluster: str, serial_numbers: Collection[str] | None = None) -> list[int] | None:
    """Nodes of the cluster that have quorum only by the arbitrator's vote now; of those that show one of these certificates, None: of all.
    None when no voter runs. UserError.
    """
    try:
        with ControlClient(control, TIMEOUT_S) as client:
            clusters = client.request({"command": "snapshot", "cluster": cluster})["snapshot"]["clusters"]
            shown = client.request({"command": "certificates", "cluster": cluster})["certificates"] if serial_numbers is not None else []
    except NotRunning:
        return None
    nodes = None if serial_numbers is None else [int(each["node"]) for each in shown if each["serial_number"] in serial_numbers]
    return [node for each in clusters for node in who_needs_it(each, nodes)]


def shown_and_recorded(data: Path, control: Path) -> list[Shown] | None:
    """What nodes show at this moment, and into the inventory with it; None when no voter runs. UserError."""
    shown = shown_by_nodes(control)
    record(data, shown or [])
    return shown


def record(data: Path, shown: Sequence[Shown], now: datetime | None = None) -> None:
    """Into the inventory: what was used and by which nodes, also what was not known before. UserError."""
    if not shown:
        return
    now = now or datetime.now(UTC)
    folder = paths.folder_in(data).path
    by_number = {each["serial_number"]: each for each in shown}
    nodes: dict[str, list[str]] = {number: [] for number in by_number}
    for each in shown:
        nodes[each["serial_number"]].append(str(each["node"]))
    known = {signed.serial_number for signed in inventory.every(folder)}
    unknown = [_signed(each) for number, each in by_number.items() if number not in known]
    if unknown:
        inventory.add(folder, unknown, now)
    inventory.used(folder, [Use(number, now, ", ".join(those[:NODES_MAX])) for number, those in nodes.items()])


def who_needs_the_old(known: Iterable[Signed], shown: Iterable[Shown], old: str, new: str, now: datetime) -> dict[str, str]:
    """While the authority `new` takes over from `old`, by their common names: clusters that are out when it ends, and why."""
    usable = [each for each in known if each.revoked_at is None and each.valid_until > now and each.way != "demo"]
    has_new = {each.cluster for each in usable if each.authority == new}
    found = {
        each.cluster: "has no certificate of the new authority" for each in usable if each.authority == old and each.cluster not in has_new
    }
    for each in shown:
        if each["authority"] == old:
            found[str(each["cluster"])] = f"node {each['node']} still shows a certificate of the old authority"
    return dict(sorted(found.items()))


def _signed(shown: Shown) -> Signed:
    return Signed(
        serial_number=str(shown["serial_number"]),
        authority=str(shown["authority"]),
        cluster=str(shown["cluster"]),
        subject=f"CN={shown['subject']}",
        fingerprint_sha256=str(shown["fingerprint_sha256"]),
        way="seen",
        asked_by="",
        signed_at=None,
        valid_from=datetime.fromisoformat(shown["valid_from"]),
        valid_until=datetime.fromisoformat(shown["valid_until"]),
    )
