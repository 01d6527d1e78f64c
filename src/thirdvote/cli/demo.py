"""`thirdvote demo`: gives the made-up nodes a certificate and an address to go to, and prints the story."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from thirdvote.cli import output
from thirdvote.cli.demo_story import READING_S, Line, Scene, play, reasons
from thirdvote.cli.options import CONTROL_OPTIONS, Command, control_client, given, settings_options
from thirdvote.cli.settings import load
from thirdvote.domain import ClusterName
from thirdvote.errors import UserError
from thirdvote.node.connection import client_context
from thirdvote.node.made_up import DEVICE_VOTES, Place

PREFIX = "demo-"
"""No cluster of a careful person begins with it; the rest of the name is by chance."""

_ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "::1"}


@click.command(cls=Command)
@settings_options(*CONTROL_OPTIONS)
@click.option("--fast", is_flag=True, help="without the pauses for reading")
def demo(fast: bool, **parameters: Any) -> int:
    """see the running arbitrator at work: two made-up nodes join it, lose each other, one dies, they heal"""
    with control_client(parameters) as client:
        status = client.request({"command": "status"})["status"]
        name = PREFIX + secrets.token_hex(2)
        context = None if status["tls"] == "off" else certified(_data(parameters, status), name)
        output.line(("demo", output.STRONG), f": two made-up nodes join the arbitrator on {status['listen']} as the cluster {name}")
        output.line(("no real cluster is touched; what happens stays in the log and in the history", output.QUIET))

        def explain() -> dict[int, str]:
            return reasons(client.request({"command": "snapshot", "cluster": name})["snapshot"])

        place = Place(*address(status["listen"]), context)
        try:
            asyncio.run(play(ClusterName(name.encode()), place, explain, _Printer().show, 0.0 if fast else READING_S))
        finally:
            _forget(parameters, name)
    output.line()
    output.line(f"the demo is over, and {name} is gone from the arbitrator; for a real cluster see `thirdvote --help`")
    return output.OK


def _forget(parameters: dict[str, Any], name: str) -> None:
    """Where the end of a made-up node did not tell that it is off (it can not without TLS), this does: nobody will ever come for it."""
    with suppress(UserError), control_client(parameters) as client:
        client.request({"command": "release", "cluster": name})


def address(listen: str) -> tuple[str, int]:
    """Where to connect, out of the status' "port 5403", "192.0.2.1:5403" or "[::]:5403"."""
    host, _, port = listen.removeprefix("port ").rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    return _ANY_ADDRESS.get(host, host), int(port)


class _Printer:
    def __init__(self) -> None:
        self._number = 0

    def show(self, scene: Scene) -> None:
        self._number += 1
        output.line()
        output.line((f"{self._number}. {scene.title}", output.STRONG))
        output.columns(scene_rows(scene), indent=3)
        output.line(("   so: ", output.QUIET), scene.moral)
        output.flush()


def scene_rows(scene: Scene) -> list[list[output.Piece]]:
    return [_row(line, len(scene.lines)) for line in scene.lines]


def _row(line: Line, nodes: int) -> list[output.Piece]:
    if line.has_vote is None:
        return [f"node {line.node_id}", ("off", output.QUIET), "", ""]
    vote = ("vote", output.GOOD) if line.has_vote else ("no vote", output.BAD)
    state = "goes on" if line.is_quorate else "stops"
    count = (f"{line.votes} of {nodes + DEVICE_VOTES} votes: {state}", output.GOOD if line.is_quorate else output.BAD)
    return [f"node {line.node_id}", vote, count, line.because]


def _data(parameters: dict[str, Any], status: Mapping[str, Any]) -> Path:
    """The arbitrator's own word counts; only where it was started with a relative path, nobody but the caller knows from where."""
    data = Path(status["data"])
    return data if data.is_absolute() else Path(load(given(parameters)).settings.data)


def certified(data: Path, name: str) -> ssl.SSLContext:
    """TLS with a certificate that the arbitrator's authority signs for the cluster; the files are gone when it returns."""
    # The commands that need no certificate start faster without these.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import NameOID

    from thirdvote.pki import issue, material, paths, store

    key = issue.new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    certificate = x509.load_der_x509_certificate(store.sign(data, request.public_bytes(serialization.Encoding.DER), name, way="demo"))
    authority = paths.data_directory(data).ca_certificate
    with tempfile.TemporaryDirectory(prefix="thirdvote-demo-") as folder:  # only its owner may look into it
        file = Path(folder) / "node.pem"
        file.write_bytes(material.certificate_pem(certificate) + material.key_pem(key))
        try:
            return client_context(authority, file)
        except OSError as error:
            text = f"can not read the certificate of the authority, {authority} ({error.strerror or error})"
            raise UserError(text, "run this as the user that runs the arbitrator") from None
