"""`thirdvote remove`: takes the device out of a cluster again."""

from __future__ import annotations

import click

from thirdvote.cli import output
from thirdvote.cli.device_work import by_hand_option, confirmation, perform, say, services, shared, shared_options
from thirdvote.cli.options import Command
from thirdvote.device import remove as device_remove
from thirdvote.device import site as device_site
from thirdvote.device.remove import Remove
from thirdvote.device.site import Seen, Site
from thirdvote.device.steps import Interruption
from thirdvote.errors import UsageError


@click.command(cls=Command)
@click.argument("nodes", metavar="[NODE...]", nargs=-1)
@click.option("--certificates", "forgets", is_flag=True, help="remove key and certificates from the nodes too")
@shared_options()
@by_hand_option()
def remove(nodes: tuple[str, ...], forgets: bool, ssh: str, dry_run: bool, by_hand: bool) -> int:
    """take the device out of the cluster of this node; with NODE... from outside, over ssh, out of the cluster of these

    It is refused when the cluster would have no quorum without the device's vote.
    """
    if nodes and by_hand:
        raise UsageError("--by-hand is for a node of the cluster", "run `thirdvote remove --by-hand` there")
    how = shared(nodes or None, ssh, dry_run, by_hand)

    def work(site: Site, interruption: Interruption) -> Remove:
        return Remove(site, services(), forgets, say, interruption, confirmation(interruption))

    perform(how, _first_look, work)
    if not dry_run:
        output.line(("done", output.GOOD), ": the cluster has no device any more")
    return output.OK


def _first_look(seen: Seen) -> None:
    device_remove.check(seen.cluster, seen.quorum, seen.node.label)
    device_site.check_everybody(seen.cluster, seen.quorum, seen.node.label)
