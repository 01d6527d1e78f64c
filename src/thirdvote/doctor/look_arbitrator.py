"""Looks at the arbitrator of this host: the running one, its files, its certificates, and what is around it; nothing is changed."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from thirdvote import __version__
from thirdvote.config import CONTROL_SOCKET, Settings
from thirdvote.config_options import read_listen
from thirdvote.control_client import ControlClient, NotRunning
from thirdvote.device.host import Host
from thirdvote.doctor import look_node
from thirdvote.doctor.facts import Answer, Arbitrator, Certificate, ClusterSeen, File, FileSystem, NodeSeen
from thirdvote.doctor.look_certificates import as_fact
from thirdvote.doctor.quick import answers, local_address
from thirdvote.errors import UserError
from thirdvote.net import instance
from thirdvote.pki import expiry, inventory, material, paths, rollover

CONTROL_S = 5.0
"""For each piece of an answer."""

LEDGER = "ledger.db"
UNIT = "thirdvote"
KEY_SUFFIX = ".key"
SOCKETS = (CONTROL_SOCKET, "enroll.sock")
"""Who may use one of these rules the arbitrator."""


def is_arbitrator(settings: Settings) -> bool:
    """Something of it is here."""
    data = Path(settings.data)
    return os.path.lexists(settings.control) or any(os.path.lexists(data / name) for name in ("lock", paths.FOLDER, LEDGER))


def look(host: Host, settings: Settings) -> Arbitrator:
    data = Path(settings.data)
    found = Arbitrator(
        where=host.name,
        stock=False,
        data=settings.data,
        answer=Answer.NOT_RUNNING,
        listen_host=settings.listen_host,
        listen_port=settings.listen_port,
        holder=instance.holder(data),
        units=look_node.units(host, UNIT),
        addresses=look_node.addresses(host),
        installed=__version__,
    )
    found = _with_port(host, _with_answer(settings, found))
    data = Path(found.data)
    return _with_certificates(data, _with_data(data, found))


def _with_answer(settings: Settings, found: Arbitrator) -> Arbitrator:
    try:
        with ControlClient(settings.control, CONTROL_S) as client:
            status = client.request({"command": "status"})["status"]
            clusters = client.request({"command": "snapshot"})["snapshot"]["clusters"]
    except NotRunning as error:
        answer = Answer.SILENT if found.holder is not None else Answer.NOT_RUNNING
        return replace(found, answer=answer, said=str(error), hint=error.hint or "")
    except UserError as error:
        closed = "permission" in str(error)
        return replace(found, answer=Answer.CLOSED if closed else Answer.SILENT, said=str(error), hint=error.hint or "")
    listen_host, listen_port = read_listen(status["listen"])
    seen = tuple(map(_cluster, clusters))
    return replace(
        found, answer=Answer.ANSWERS, status=status, clusters=seen, listen_host=listen_host, listen_port=listen_port, data=status["data"]
    )


def _cluster(view: dict[str, Any]) -> ClusterSeen:
    return ClusterSeen(
        name=view["name"],
        nodes=tuple(_node(node) for node in view["nodes"]),
        missing=tuple(view["missing"]),
        waiting=view["waiting"],
        overlap_s=view["bounds"]["overlap_s"],
        advice=view["bounds"]["advice"],
    )


def _node(view: dict[str, Any]) -> NodeSeen:
    address = str(view["address"]).rpartition(":")[0]
    return NodeSeen(view["node"], address, view["has_vote"], view["because"], view["round_trip_s"], view["heartbeat_ms"])


def _with_port(host: Host, found: Arbitrator) -> Arbitrator:
    if found.answer is Answer.ANSWERS:
        return replace(found, port_problem=answers(local_address(found.listen_host), found.listen_port))
    if found.answer is Answer.NOT_RUNNING:
        return replace(found, port_user=port_user(host, found.listen_port))
    return found


def port_user(host: Host, port: int) -> str:
    """Who listens there, as `ss` says it; empty when nobody does."""
    lines = host.run("ss", "-Hltnp", f"sport = :{port}").text.splitlines()
    return next((line.split()[-1] if "users:" in line else "another program" for line in lines if line.strip()), "")


def _with_data(data: Path, found: Arbitrator) -> Arbitrator:
    try:
        user = data.stat().st_uid
        room = os.statvfs(data)
    except OSError:
        return found
    system = FileSystem(room.f_bavail * room.f_frsize, _kind_of(data), bool(room.f_flag & os.ST_RDONLY))
    return replace(found, user=user, file_system=system, files=tuple(_files(data)), ledger_problem=_ledger_problem(data, found))


def _kind_of(data: Path) -> str:
    """Of the file system, by the longest of its mount points above."""
    place = str(data.resolve())
    try:
        lines = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return ""
    above = [(len(line[1]), line[2]) for line in lines if f"{place}/".startswith(f"{line[1].rstrip('/')}/")]
    return max(above, default=(0, ""))[1]


def _files(data: Path) -> Iterable[File]:
    folders = (data, data / paths.FOLDER)
    for path in (*folders, *(path for folder in folders for path in _in(folder))):
        try:
            found = path.lstat()
        except OSError:
            continue
        is_secret = path.suffix == KEY_SUFFIX or path.name in SOCKETS
        yield File(str(path), stat.S_IMODE(found.st_mode), found.st_uid, stat.S_ISDIR(found.st_mode), is_secret)


def _in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.is_dir())
    except OSError:
        return []


def _ledger_problem(data: Path, found: Arbitrator) -> str:
    """Only of one that nobody uses; the running arbitrator says itself what is wrong with its own."""
    path = data / LEDGER
    if found.answer is not Answer.NOT_RUNNING or not path.is_file():
        return ""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as database:
            (said,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return "" if said == "ok" else str(said)


def _with_certificates(data: Path, found: Arbitrator) -> Arbitrator:
    folder = paths.folder_in(data)
    if not folder.path.is_dir():
        return found
    now = datetime.now(UTC)
    try:
        warned = tuple(warning.text for warning in expiry.warnings(data, now))
        revoked = tuple(each.serial_number for each in inventory.every(folder.path) if each.revoked_at is not None)
        own = [folder.authority, *([folder.old_authority] if rollover.is_under_way(folder) else []), folder.server]
        read = [material.read_certificate(path, "certificate") for path in own]
    except UserError as error:
        return replace(found, certificates_problem=str(error), certificates_hint=error.hint or "")
    certificates: list[Certificate] = [as_fact(each) for each in read]
    return replace(
        found,
        certificates=tuple(certificates),
        certificates_ending=warned,
        authorities=tuple(each.fingerprint for each in certificates[:-1]),
        revoked=revoked,
    )
