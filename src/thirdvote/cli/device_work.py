"""What `join`, `setup` and `remove` have in common: their options, how nodes are reached, and how what is done is shown."""

from __future__ import annotations

import os
import select
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import click

from thirdvote.cli import output
from thirdvote.cli.options import Decorator
from thirdvote.device.cluster import ConfiguredNode
from thirdvote.device.host import Host, LocalHost, SharedConnections, SshHost, shared_connections
from thirdvote.device.services import Systemd
from thirdvote.device.site import Seen, Site, from_inside, from_outside, look, reach
from thirdvote.device.steps import Interrupted, Interruption, Step, interruptible
from thirdvote.errors import UsageError, UserError


@dataclass(frozen=True, slots=True)
class Shared:
    """`nodes` None: this host is one of them."""

    nodes: Sequence[str] | None
    ssh: tuple[str, ...]
    dry_run: bool
    by_hand: bool = False
    """Nodes that ssh does not reach are done by a person, who is told what to type there."""


FirstLook = Callable[[Seen], None]
"""Refuses, with a UserError, what one node shows already."""


class Work(Protocol):
    def prepare(self) -> list[str]: ...
    def steps(self) -> list[Step]: ...
    def run(self) -> None: ...


def shared_options() -> Decorator:
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        command = click.option("--dry-run", is_flag=True, help="check everything and show what would be done, and change nothing")(command)
        help_of_ssh = "the ssh command with its options that reaches the nodes as root (default ssh)"
        return click.option("--ssh", metavar="COMMAND", default="ssh", help=help_of_ssh)(command)

    return decorate


def join_options() -> Decorator:
    """Of `join` and `setup`."""
    help_of_timeout = "quorum.device.timeout: a lost node is noticed faster with less (corosync's default 10000)"
    options = (
        click.option("--timeout", "timeout_ms", metavar="MS", type=int, help=help_of_timeout),
        click.option("--force", "forced", is_flag=True, help="also with an odd number of nodes, by the algorithm lms"),
        click.option("--replace", "replaces", is_flag=True, help="in place of the device and the certificates that are there"),
    )

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return shared_options()(command)

    return decorate


def by_hand_option() -> Decorator:
    return click.option("--by-hand", is_flag=True, help="nodes that ssh does not reach: show what to type there, and wait for it")


def shared(nodes: Sequence[str] | None, ssh: str, dry_run: bool, by_hand: bool = False) -> Shared:
    """UsageError."""
    if by_hand and not dry_run and not output.can_ask():
        raise UsageError("--by-hand has to ask when something is done, and there is no terminal", "run it at a terminal")
    try:
        words = tuple(shlex.split(ssh))
    except ValueError:
        words = ()
    if not words:
        raise UsageError(f"--ssh {ssh!r} is no command", "for example --ssh 'ssh -p 2022'")
    return Shared(nodes, words, dry_run, by_hand)


def perform(how: Shared, first_look: FirstLook, work: Callable[[Site, Interruption], Work]) -> None:
    """UserError or KeyboardInterrupt, and then nothing has changed."""
    with interruptible() as interruption, shared_connections() as connections:
        try:
            job = work(_site(how, first_look, connections), interruption)
            _show_difference(job.prepare())
            interruption.check()
            if how.dry_run:
                _show_steps(job)
            else:
                job.run()
        except Interrupted:
            raise KeyboardInterrupt from None


def services() -> Systemd:
    return Systemd(say)


def confirmation(interruption: Interruption) -> Callable[[str], None]:
    """Waits for Enter, and sees Ctrl-C meanwhile. UserError at the end of input."""

    def confirm(question: str) -> None:
        output.prompt(question)
        interruption.wait(lambda: bool(select.select([sys.stdin], [], [], 0)[0]), float("inf"))
        if not sys.stdin.readline():
            raise UserError("nobody is there any more who could say that it is done", "run it at a terminal")

    return confirm


def say(text: str) -> None:
    output.line(text)
    output.flush()


def _site(how: Shared, first_look: FirstLook, connections: SharedConnections) -> Site:
    if how.nodes is None:
        return _site_of_this_node(how, first_look, connections)
    hosts: list[Host] = [SshHost(name, name, how.ssh, connections=connections) for name in how.nodes]
    seen = look(hosts[0])
    first_look(seen)
    return from_outside(hosts, seen)


def _site_of_this_node(how: Shared, first_look: FirstLook, connections: SharedConnections) -> Site:
    if os.geteuid() != 0:
        raise UserError("only root may change the cluster of this node", "run it with sudo")
    seen = look(LocalHost("this host"))
    first_look(seen)

    def connect(node: ConfiguredNode) -> Host | None:
        try:
            return reach(node, how.ssh, seen.is_proxmox, os.path.exists, connections)
        except UserError as error:
            if not how.by_hand:
                raise UserError(str(error), f"{error.hint}; or --by-hand, which shows what to type on {node.label}") from None
            say(f"{error}: by hand then")
            return None

    return from_inside(LocalHost(seen.node.label), seen, connect)


def _show_steps(job: Work) -> None:
    for step in job.steps():
        if step.what:
            output.line(f"would do: {step.what}")


def _show_difference(lines: list[str]) -> None:
    styles = {"+": output.GOOD, "-": output.BAD}
    for line in lines:
        output.line((line.encode("utf-8", "replace").decode(), styles.get(line[:1], output.QUIET)))
