"""`thirdvote setup`: puts the device into a cluster from outside, over ssh."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thirdvote import join_url
from thirdvote.cli import output
from thirdvote.cli.device_work import join_options, perform, say, services, shared
from thirdvote.cli.join import first_look, joined
from thirdvote.cli.options import Command, given, settings_options
from thirdvote.cli.settings import load
from thirdvote.device.join import Enrolment, Join, Options
from thirdvote.device.token_enrolment import TokenEnrolment
from thirdvote.errors import UsageError


@click.command(cls=Command)
@click.argument("nodes", metavar="NODE...", nargs=-1, required=True)
@click.option("--token", metavar="URL", help="what `thirdvote enroll token` prints; from any host that reaches nodes and arbitrator")
@click.option("--arbitrator", metavar="ADDR", help="this host is the arbitrator, and nodes find it at this address; no token is needed")
@click.option("--host", metavar="ADDR", help="with --token: where nodes find the arbitrator (default: as in the URL)")
@join_options()
@settings_options("data")
def setup(
    nodes: tuple[str, ...],
    token: str | None,
    arbitrator: str | None,
    host: str | None,
    timeout_ms: int | None,
    forced: bool,
    replaces: bool,
    ssh: str,
    dry_run: bool,
    **parameters: Any,
) -> int:
    """put the device into a cluster from outside: over ssh, as root, on all of its nodes

    The nodes need corosync-qdevice and nothing of ours. Key and certificates pass through this host, and are not kept here.
    """
    how = shared(nodes, ssh, dry_run)
    if (token is None) == (arbitrator is None):
        raise UsageError(
            "either --token or --arbitrator has to be there", "on the arbitrator itself: --arbitrator ADDR; elsewhere --token URL"
        )
    if arbitrator is not None and host is not None:
        raise UsageError("--host goes with --token", "--arbitrator says already where nodes find it")
    enrolment: Enrolment
    if token is not None:
        url = join_url.parse(token)
        enrolment, place = TokenEnrolment(url), host or url.host
    else:
        assert arbitrator is not None
        settings = load(given(parameters)).settings
        enrolment, place = LocalEnrolment(Path(settings.data), settings.listen_port), arbitrator
    options = Options(place, timeout_ms, forced, replaces)
    perform(how, first_look(options), lambda site, interruption: Join(site, enrolment, services(), options, say, interruption))
    if not dry_run:
        joined(options)
    return output.OK


class LocalEnrolment:
    """With the authority on this host. As `device.join.Enrolment`."""

    def __init__(self, data: Path, port: int) -> None:
        self._data = data
        self._port = port
        self._signed = ""

    def authority(self) -> str:
        from thirdvote.pki import material, store

        return material.certificate_pem(store.load_authority(self._data).certificate).decode()

    def vote_port(self, cluster_name: str) -> int:
        from thirdvote.pki import policy

        policy.check_name(cluster_name)
        return self._port

    def certificate(self, cluster_name: str, request: bytes) -> tuple[str, str]:
        import ssl

        from thirdvote.pki import material, store

        certificate = store.sign(self._data, request, cluster_name, asked_by="thirdvote setup")
        self._signed = material.serial_number_of(certificate)
        return ssl.DER_cert_to_PEM_cert(certificate), self.authority()

    def keep(self, cluster_name: str) -> None:
        """Older certificates stay: `ca revoke` ends them."""

    def give_back(self, cluster_name: str) -> str:
        from thirdvote.pki import revocation, running

        if not self._signed:
            return "no certificate was signed"
        revocation.revoke(self._data, revocation.choose(self._data, self._signed), "given back: setup failed")
        running.read_again(running.usual_control(self._data))
        return f"the certificate {self._signed[:16]} is revoked"
