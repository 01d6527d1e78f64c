"""`thirdvote ca import-nss` and `thirdvote ca export-nss`: from a stock server and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thirdvote.cli import output
from thirdvote.cli.options import CONTROL_OPTIONS, Command, given, settings_options
from thirdvote.cli.settings import load
from thirdvote.cli.words import counted

SHOWN_MAX = 20


@click.command(name="import-nss", cls=Command, short_help="take over from a stock corosync-qnetd")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="though there is an authority here already, of which a backup is kept")
@settings_options(*CONTROL_OPTIONS)
def import_nss(directory: Path, force: bool, **parameters: Any) -> int:
    """take over from a stock corosync-qnetd: its authority, its server certificate, its clusters

    DIR is a copy of its database, on its host /etc/corosync/qnetd/nssdb. It is only read. When this arbitrator then has
    the address of the stock one, its nodes connect here with no change.
    """
    from thirdvote.pki import running, takeover

    settings = load(given(parameters)).settings
    data = Path(settings.data)
    taken = takeover.import_stock(directory, data, force)
    output.line(f"the authority of {directory} is that of {data} now: nodes that trust it need no change")
    if taken.made_server:
        output.line("it had no server certificate that can be used: a new one was made, which the nodes trust as well")
    names = ", ".join(taken.clusters[:SHOWN_MAX]) + (", …" if len(taken.clusters) > SHOWN_MAX else "")
    output.line(f"{counted(len(taken.clusters), 'cluster')} with a certificate in it{': ' if names else ''}{names}")
    for reason in taken.skipped[:SHOWN_MAX]:
        output.warning(f"left out: {reason}")
    if taken.backup is not None:
        output.notice(f"what was there before is in {taken.backup}")
    if running.read_again(Path(settings.control)) is None:
        output.notice("next: stop corosync-qnetd, give this host its address, and start: thirdvote serve")
    else:
        output.line("the running arbitrator uses it; next: stop corosync-qnetd, and give this host its address")
    return output.OK


@click.command(name="export-nss", cls=Command, short_help="write a database to go back to a stock corosync-qnetd")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@settings_options("data")
def export_nss(directory: Path, **parameters: Any) -> int:
    """go back to a stock corosync-qnetd: write a database with which it serves the same nodes

    DIR is made; on the stock server's host it is /etc/corosync/qnetd/nssdb, and belongs to the user of corosync-qnetd.
    """
    from thirdvote.pki import takeover

    data = Path(load(given(parameters)).settings.data)
    revoked = takeover.export_stock(data, directory, output.notice)
    output.line(f"{directory} has the authority and the server certificate of {data}")
    if revoked:
        output.warning(
            f"{counted(revoked, 'certificate')} revoked here would be accepted there",
            "corosync-qnetd knows of no revocation: a new authority is the only way to keep somebody out",
        )
    output.line("next, on the host of corosync-qnetd: chown -R coroqnetd: /etc/corosync/qnetd/nssdb; systemctl start corosync-qnetd")
    return output.OK
