"""Looks at a corosync-qnetd on this host, with its own tool; nothing is changed."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import replace
from pathlib import Path

from thirdvote.config import VOTE_PORT
from thirdvote.device.host import Host
from thirdvote.doctor import batch, look_node, qnetd_list
from thirdvote.doctor.facts import Answer, Arbitrator, File
from thirdvote.doctor.look_arbitrator import port_user
from thirdvote.doctor.look_certificates import as_fact
from thirdvote.doctor.quick import answers, local_address
from thirdvote.errors import UserError
from thirdvote.pki import nss_read, stock
from thirdvote.pki.paths import SERVER_NICKNAME, STOCK_DIRECTORY

UNIT = "corosync-qnetd"
SOCKET = "/var/run/corosync-qnetd/corosync-qnetd.sock"
OURS = "/run/corosync-qnetd/corosync-qnetd.sock.d/control.sock"
"""Is there where it is our program that runs under the stock name: then we ask that."""

_LISTENS = re.compile(r"^QNetd address:\s+(.*):(\d+)$", re.MULTILINE)
_TLS = re.compile(r"^TLS:\s+(\w+)", re.MULTILINE)

TLS_WORDS = {"Unsupported": "off", "Supported": "on", "Required": "required"}


def is_arbitrator() -> bool:
    """A link is that of our image, by which the stock tool finds our socket."""
    return os.path.lexists(SOCKET) and not Path(SOCKET).is_symlink() and not os.path.lexists(OURS)


def look(host: Host) -> Arbitrator:
    found = Arbitrator(
        where=host.name,
        stock=True,
        data=str(STOCK_DIRECTORY),
        answer=Answer.NOT_RUNNING,
        listen_port=VOTE_PORT,
        units=look_node.units(host, UNIT),
        addresses=look_node.addresses(host),
    )
    return _with_folder(with_certificates(_with_answer(host, found)))


def _with_answer(host: Host, found: Arbitrator) -> Arbitrator:
    said = host.run("timeout", str(batch.COMMAND_S), "corosync-qnetd-tool", "-s", "-v")
    if said.status:
        silent = said.status == batch.TIMED_OUT
        closed = not silent and "denied" in said.last_words.lower()
        answer = Answer.SILENT if silent else Answer.CLOSED if closed else Answer.NOT_RUNNING
        return replace(found, answer=answer, said=said.last_words, port_user=port_user(host, VOTE_PORT))
    listens, tls = _LISTENS.search(said.text), _TLS.search(said.text)
    place = None if listens is None or listens[1] == "*" else listens[1]
    port = VOTE_PORT if listens is None else int(listens[2])
    listed = host.run("timeout", str(batch.COMMAND_S), "corosync-qnetd-tool", "-l", "-v")
    return replace(
        found,
        answer=Answer.ANSWERS,
        status={"tls": TLS_WORDS.get(tls[1], "") if tls is not None else "", "client_certificate": "required)" in said.text},
        clusters=qnetd_list.read(listed.text),
        listen_host=place,
        listen_port=port,
        port_problem=answers(local_address(place), port),
    )


def with_certificates(found: Arbitrator) -> Arbitrator:
    """Those of the stock directory, which our program uses too under the stock name."""
    if not STOCK_DIRECTORY.is_dir():
        return replace(found, certificates_problem=f"{STOCK_DIRECTORY} is not there", certificates_hint="corosync-qnetd-certutil -i")
    try:
        warned = tuple(warning.text for warning in stock.warnings(STOCK_DIRECTORY))
        entries = nss_read.read(STOCK_DIRECTORY).entries
    except UserError as error:
        return replace(found, certificates_problem=str(error), certificates_hint=error.hint or "")
    trusted = [as_fact(entry.certificate) for entry in entries if entry.trusted_for_clients]
    server = [as_fact(entry.certificate) for entry in entries if entry.nickname == SERVER_NICKNAME]
    authorities = tuple(each.fingerprint for each in trusted)
    return replace(found, certificates=(*trusted, *server), certificates_ending=warned, authorities=authorities)


def _with_folder(found: Arbitrator) -> Arbitrator:
    if not STOCK_DIRECTORY.is_dir():
        return found
    state = STOCK_DIRECTORY.stat()
    folder = File(str(STOCK_DIRECTORY), stat.S_IMODE(state.st_mode), state.st_uid, is_folder=True, is_secret=True)
    return replace(found, files=(folder,), user=state.st_uid)
