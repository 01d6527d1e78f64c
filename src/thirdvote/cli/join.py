"""`thirdvote join`: puts the device into the cluster of this node."""

from __future__ import annotations

import click

from thirdvote import join_url
from thirdvote.cli import device_work, output
from thirdvote.cli.device_work import by_hand_option, confirmation, join_options, perform, say, services, shared
from thirdvote.cli.options import Command
from thirdvote.device import join as device_join
from thirdvote.device import site as device_site
from thirdvote.device.join import Join, Options
from thirdvote.device.site import Seen, Site
from thirdvote.device.steps import Interruption
from thirdvote.device.token_enrolment import TokenEnrolment


@click.command(cls=Command)
@click.argument("url")
@click.option("--host", metavar="ADDR", help="where nodes find the arbitrator (default: as in the URL)")
@join_options()
@by_hand_option()
def join(url: str, host: str | None, timeout_ms: int | None, forced: bool, replaces: bool, ssh: str, dry_run: bool, by_hand: bool) -> int:
    """put the device into the cluster of this node

    URL is what `thirdvote enroll token CLUSTER` prints on the arbitrator. All nodes have to be on, and this one has to reach
    the others by ssh as root. Every step is said, and undone when a later one fails.
    """
    how = shared(None, ssh, dry_run, by_hand)
    token_url = join_url.parse(url)
    options = Options(host or token_url.host, timeout_ms, forced, replaces)
    enrolment = TokenEnrolment(token_url)

    def work(site: Site, interruption: Interruption) -> Join:
        return Join(site, enrolment, services(), options, say, interruption, confirmation(interruption))

    perform(how, first_look(options), work)
    if not dry_run:
        joined(options)
    return output.OK


def first_look(options: Options) -> device_work.FirstLook:
    def refuse(seen: Seen) -> None:
        device_join.check(seen.cluster, options)
        device_site.check_everybody(seen.cluster, seen.quorum, seen.node.label)

    return refuse


def joined(options: Options) -> None:
    output.line(("done", output.GOOD), f": the arbitrator at {options.host} has its vote in this cluster")
