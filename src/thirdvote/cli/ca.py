"""`thirdvote ca`: the authority of this arbitrator and what it signs."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thirdvote.cli import output
from thirdvote.cli.options import Command, Group, as_json, given, settings_options
from thirdvote.cli.settings import load
from thirdvote.cli.words import counted
from thirdvote.errors import UserError

if TYPE_CHECKING:
    from thirdvote.pki.material import CertificateFacts


@click.group(cls=Group)
def ca() -> None:
    """show the authority, sign what nodes ask for"""


@ca.command(cls=Command)
@settings_options("data")
@as_json()
def show(wants_json: bool, **parameters: Any) -> int:
    """show the authority's and the server's certificate"""
    from thirdvote.pki import expiry, store

    data = _data(parameters)
    facts = store.facts(data)
    if wants_json:
        output.structured({fact.role: fact.as_json() for fact in facts})
        return output.OK
    for index, fact in enumerate(facts):
        if index:
            output.line()
        output.columns([((name, output.STRONG), text) for name, text in _lines(fact)])
    for warned in expiry.warnings(data):
        output.warning(warned.text)
    return output.OK


@ca.command(cls=Command)
@click.argument("request", metavar="FILE", type=click.Path())
@click.option("--name", metavar="CLUSTER", required=True, help="the cluster's name, as in the request and in corosync.conf")
@click.option("--out", metavar="FILE|-", default="-", help="write the certificate (PEM) to this file (default -: standard output)")
@settings_options("data")
def sign(request: str, name: str, out: str, **parameters: Any) -> int:
    """sign the request in FILE (- for standard input) for a cluster

    A node makes it: corosync-qdevice-net-certutil -r -n CLUSTER; and takes the certificate: corosync-qdevice-net-certutil
    -M -c CERTIFICATE. The request has to be made for that very name; what else it wants is not granted.
    """
    import ssl

    from thirdvote.pki import files, store

    certificate = store.sign(_data(parameters), _read(request), name)
    pem = ssl.DER_cert_to_PEM_cert(certificate)
    if out == "-":
        output.raw(pem)
        return output.OK
    files.write(Path(out), pem.encode(), files.CERTIFICATE_MODE, "certificate")
    output.notice(f"the certificate for {name!r} is in {out}")
    return output.OK


def _data(parameters: dict[str, Any]) -> Path:
    return Path(load(given(parameters)).settings.data)


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
