"""`thirdvote remove`: takes the device out of a cluster again."""

from __future__ import annotations

import click

from thirdvote.cli import output
from thirdvote.cli.device_work import perform, say, services, shared, shared_options
from thirdvote.cli.options import Command
from thirdvote.device import remove as device_remove
from thirdvote.device import site as device_site
from thirdvote.device.remove import Remove
from thirdvote.device.site import Seen


@click.command(cls=Command)
@click.argument("nodes", metavar="[NODE...]", nargs=-1)
@click.option("--certificates", "forgets", is_flag=True, help="remove key and certificates from the nodes too")
@shared_options()
def remove(nodes: tuple[str, ...], forgets: bool, ssh: str, dry_run: bool) -> int:
    """take the device out of the cluster of this node; with NODE... from outside, over ssh, out of the cluster of these

    It is refused when the cluster would have no quorum without the device's vote.
    """
    how = shared(nodes or None, ssh, dry_run)
    perform(how, _first_look, lambda site, interruption: Remove(site, services(), forgets, say, interruption))
    if not dry_run:
        output.line(("done", output.GOOD), ": the cluster has no device any more")
    return output.OK


def _first_look(seen: Seen) -> None:
    device_remove.check(seen.cluster, seen.quorum, seen.node.label)
    device_site.check_everybody(seen.cluster, seen.quorum, seen.node.label)
