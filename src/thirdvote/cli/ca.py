"""`thirdvote ca`: the authority of this arbitrator and what it signs."""

from __future__ import annotations

import os
import pwd
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thirdvote.cli import output
from thirdvote.cli.ca_database import export_nss, import_nss
from thirdvote.cli.ca_inventory import listing, revoke
from thirdvote.cli.ca_renew import renew, rollover_lines, who_needs_the_old
from thirdvote.cli.options import CONTROL_OPTIONS, Command, Group, as_json, given, settings_options
from thirdvote.cli.settings import load
from thirdvote.cli.vote_needed import check_not_needed, force_option
from thirdvote.cli.words import counted
from thirdvote.errors import UserError

if TYPE_CHECKING:
    from thirdvote.pki.material import CertificateFacts


@click.group(cls=Group)
def ca() -> None:
    """show the authority, sign what nodes ask for, see it through its life"""


@ca.command(cls=Command, short_help="show the authority and the server certificate")
@settings_options(*CONTROL_OPTIONS)
@as_json()
def show(wants_json: bool, **parameters: Any) -> int:
    """show the authority's and the server's certificate, and how far a new authority has taken over"""
    from thirdvote.pki import expiry, store

    settings = load(given(parameters)).settings
    data = Path(settings.data)
    facts = store.facts(data)
    needing = who_needs_the_old(data, Path(settings.control))
    if wants_json:
        shown: dict[str, Any] = {fact.role.replace(" ", "_"): fact.as_json() for fact in facts}
        output.structured(shown if needing is None else {**shown, "need_the_old_authority": needing})
        return output.OK
    for index, fact in enumerate(facts):
        if index:
            output.line()
        output.columns([((name, output.STRONG), text) for name, text in _lines(fact)])
    if needing is not None:
        rollover_lines(needing)
    for warned in expiry.warnings(data):
        output.warning(warned.text)
    return output.OK


@ca.command(cls=Command)
@click.argument("request", metavar="FILE", type=click.Path())
@click.option("--name", metavar="CLUSTER", required=True, help="the cluster's name, as in the request and in corosync.conf")
@click.option("--out", metavar="FILE|-", default="-", help="write the certificate (PEM) to this file (default -: standard output)")
@click.option("--replace", "replaces", is_flag=True, help="revoke the cluster's other certificates, at once (default: they stay)")
@force_option()
@settings_options(*CONTROL_OPTIONS)
def sign(request: str, name: str, out: str, replaces: bool, forced: bool, **parameters: Any) -> int:
    """sign the request in FILE (- for standard input) for a cluster

    A node makes it: corosync-qdevice-net-certutil -r -n CLUSTER; and takes the certificate: corosync-qdevice-net-certutil
    -M -c CERTIFICATE. The request has to be made for that very name; what else it wants is not granted.

    With --replace the nodes of the cluster are disconnected until they have the new certificate: do it while all of them
    are together.
    """
    import ssl

    from thirdvote.pki import files, store

    settings = load(given(parameters)).settings
    control = Path(settings.control)
    if replaces and not forced:
        check_not_needed(control, name, "nothing was signed or revoked")
    certificate = store.sign(Path(settings.data), _read(request), name, asked_by=_user(), replace=replaces, control=control)
    pem = ssl.DER_cert_to_PEM_cert(certificate)
    if out == "-":
        output.raw(pem)
        return output.OK
    files.write(Path(out), pem.encode(), files.CERTIFICATE_MODE, "certificate")
    output.notice(f"the certificate for {name!r} is in {out}")
    return output.OK


for _command in (listing, revoke, renew, import_nss, export_nss):
    ca.add_command(_command)


def _user() -> str:
    """Who asked, also through sudo."""
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return f"user {os.environ.get('SUDO_USER') or name}"


def _read(request: str) -> bytes:
    from thirdvote.pki import files, policy

    if request == "-":
        return sys.stdin.buffer.read(policy.REQUEST_BYTES_MAX + 1)
    path = Path(request)
    if not files.is_there(path):
        raise UserError(f"there is no request {path}", "make it on a node: corosync-qdevice-net-certutil -r -n CLUSTER")
    return files.read(path, "request")


def _lines(fact: CertificateFacts) -> list[tuple[str, str]]:
    days = (fact.valid_until - datetime.now(UTC)).days
    left = f"in {counted(days, 'day')}" if days >= 0 else "expired"
    return [
        (fact.role, fact.subject),
        ("valid until", f"{fact.valid_until:%Y-%m-%d} ({left})"),
        ("key", fact.key),
        ("SHA-256", fact.fingerprint_sha256),
        ("file", str(fact.file)),
    ]
