"""Looks at a node of a cluster, this host or over ssh, with the node's own programs; nothing is changed."""

from __future__ import annotations

import re
import time
from dataclasses import replace

from thirdvote.device import corosync_conf, quorum_text
from thirdvote.device.cluster import VOTE_PORT
from thirdvote.device.corosync_conf import Document
from thirdvote.device.host import Ended, Host, exists
from thirdvote.device.services import SYSTEMD, UNIT
from thirdvote.device.site import CONF, NOT_QUORATE, PROGRAMS, PROXMOX_CONF, QUORATE
from thirdvote.doctor import batch, device_text, look_certificates
from thirdvote.doctor.facts import Node, Unit
from thirdvote.doctor.probe import Credentials, probe, wish_of
from thirdvote.doctor.relay import Reachable
from thirdvote.errors import UserError

_SHOW = ("systemctl", "show", "-p", "Id", "-p", "LoadState", "-p", "ActiveState", "-p", "UnitFileState")

COMMANDS: dict[str, tuple[str, ...]] = {
    "proxmox": ("cat", PROXMOX_CONF),
    "conf": ("cat", CONF),
    "systemd": ("test", "-d", SYSTEMD),
    "programs": ("sh", "-c", 'for each in "$@"; do command -v "$each" > /dev/null || echo "$each"; done', "sh", *PROGRAMS),
    "units": (*_SHOW, "corosync", UNIT),
    "map": ("corosync-cmapctl",),
    "quorum": ("corosync-quorumtool", "-s"),
    "device": ("corosync-qdevice-tool", "-s", "-v"),
    "log": ("journalctl", "-u", UNIT, "-n", "1", "-o", "cat", "--no-pager"),
    "addresses": ("ip", "-o", "address", "show"),
    "clock": ("timedatectl", "show", "-p", "NTPSynchronized", "--value"),
}

_YES_OR_NO = {"yes": True, "no": False}

_KEY_AND_VALUE = re.compile(r"^(\S+) \(\w+\) = (.*)$", re.MULTILINE)
_ADDRESS = re.compile(r" inet6? ([0-9a-fA-F.:]+)")


def is_node(host: Host) -> bool:
    return exists(host, CONF) or exists(host, PROXMOX_CONF)


def look(host: Reachable, is_this_host: bool) -> Node:
    """UserError when it is not reached, also halfway."""
    ahead = None if is_this_host else clock_ahead(host)
    said = batch.run(host, COMMANDS)
    is_proxmox, has_systemd = said["proxmox"].status == 0, said["systemd"].status == 0
    conf = said["proxmox"] if is_proxmox else said["conf"]
    node = Node(
        where=host.name,
        conf=PROXMOX_CONF if is_proxmox else CONF,
        conf_text=None if conf.status else conf.text,
        missing_programs=tuple(said["programs"].text.split()),
        has_systemd=has_systemd,
        units=units_of(said["units"].text) if has_systemd else (),
        in_force=dict(_KEY_AND_VALUE.findall(said["map"].text)),
        addresses=addresses_of(said["addresses"].text),
        clock_ahead_s=ahead,
        clock_synchronized=_YES_OR_NO.get(said["clock"].text.strip()),
    )
    return _with_the_way(host, _with_device(_with_quorum(node, said["quorum"]), said["device"], said["log"]))


def units(host: Host, name: str) -> tuple[Unit, ...]:
    """That one, if there is such a unit on a host with systemd."""
    said = batch.run(host, {"systemd": ("test", "-d", SYSTEMD), "units": (*_SHOW, name)})
    return units_of(said["units"].text) if said["systemd"].status == 0 else ()


def units_of(text: str) -> tuple[Unit, ...]:
    """Of what `systemctl show` says, those that there are."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.partition("=")[::2] for line in block.splitlines())
        if fields.get("LoadState") == "loaded":
            name = fields.get("Id", "").removesuffix(".service")
            found.append(Unit(name, fields.get("ActiveState") == "active", fields.get("UnitFileState") == "enabled"))
    return tuple(found)


def addresses(host: Host) -> tuple[str, ...]:
    """Of its interfaces."""
    return addresses_of(host.run(*COMMANDS["addresses"]).text)


def addresses_of(text: str) -> tuple[str, ...]:
    """Of what `ip -o address` says, those that other hosts can use."""
    return tuple(address for address in _ADDRESS.findall(text) if not address.startswith(("fe80:", "127.")) and address != "::1")


def clock_synchronized(host: Host) -> bool | None:
    return _YES_OR_NO.get(host.run(*COMMANDS["clock"]).text.strip())


def clock_ahead(host: Host) -> float | None:
    before = time.time()
    said = host.run("date", "+%s.%N").text.strip()
    after = time.time()
    return float(said) - (before + after) / 2 if re.fullmatch(r"\d+\.\d+", said) else None


def device_place(text: str | None) -> tuple[str, int]:
    """Where corosync.conf says that the arbitrator is; an empty name when it does not."""
    try:
        document = Document(text or "")
        port = document.value("quorum.device.net.port") or str(VOTE_PORT)
        return document.value("quorum.device.net.host") or "", int(port) if port.isdigit() and 0 < int(port) < 65_536 else VOTE_PORT
    except corosync_conf.ConfError:
        return "", VOTE_PORT


def _with_quorum(node: Node, said: Ended) -> Node:
    if said.status not in (QUORATE, NOT_QUORATE):
        return replace(node, quorum_problem=said.last_words, quorum_hangs=said.status == batch.TIMED_OUT)
    try:
        return replace(node, quorum=quorum_text.read(said.text))
    except UserError as error:
        return replace(node, quorum_problem=str(error))


def _with_device(node: Node, said: Ended, log: Ended) -> Node:
    device = device_text.read(said.text) if said.status == 0 else None
    if device is not None:
        return replace(node, device=device)
    last = log.text.strip()[:300] if node.has_systemd and log.status == 0 else ""
    return replace(node, device_problem=said.last_words, device_hangs=said.status == batch.TIMED_OUT, device_log=last)


def _with_the_way(host: Reachable, node: Node) -> Node:
    """What is between it and the arbitrator that corosync.conf names."""
    address, port = device_place(node.conf_text)
    if not address:
        return node
    named = host.run("timeout", str(batch.COMMAND_S), "getent", "ahosts", address)
    resolved = tuple(dict.fromkeys(line.split()[0] for line in named.text.splitlines() if line.strip()))
    with look_certificates.folder_in_memory() as folder:
        material = look_certificates.look(host, folder)
        node = replace(node, database=material.database, resolved=resolved)
        if not resolved:
            return replace(node, resolve_problem=named.last_words)
        document = Document(node.conf_text or "")
        wish = wish_of(document.value("quorum.device.net.tls"))
        credentials = Credentials(document.value("totem.cluster_name") or "", wish, material.context, material.authorities)
        return replace(node, probe=probe(host, address, port, credentials))
