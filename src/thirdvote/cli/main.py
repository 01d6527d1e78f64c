"""`thirdvote`: its commands in groups, each loaded when it is asked for."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from thirdvote import __version__
from thirdvote.cli import output
from thirdvote.cli.options import Group
from thirdvote.cli.voter import Start
from thirdvote.config_sources import quoted
from thirdvote.errors import UsageError


def _serve() -> click.Command:
    from thirdvote.cli.serve import serve

    return serve


def _config() -> click.Command:
    from thirdvote.cli.configuration import config

    return config


def _status() -> click.Command:
    from thirdvote.cli.status import status

    return status


def _clusters() -> click.Command:
    from thirdvote.cli.clusters import clusters

    return clusters


def _watch() -> click.Command:
    from thirdvote.cli.watch import watch

    return watch


def _history() -> click.Command:
    from thirdvote.cli.history import history

    return history


def _release() -> click.Command:
    from thirdvote.cli.release import release

    return release


def _backup() -> click.Command:
    from thirdvote.cli.backup import backup

    return backup


def _restore() -> click.Command:
    from thirdvote.cli.backup import restore

    return restore


def _doctor() -> click.Command:
    from thirdvote.cli.doctor import doctor

    return doctor


def _demo() -> click.Command:
    from thirdvote.cli.demo import demo

    return demo


def _simulate() -> click.Command:
    from thirdvote.cli.simulate import simulate

    return simulate


def _join() -> click.Command:
    from thirdvote.cli.join import join

    return join


def _setup() -> click.Command:
    from thirdvote.cli.setup import setup

    return setup


def _remove() -> click.Command:
    from thirdvote.cli.remove import remove

    return remove


def _ca() -> click.Command:
    from thirdvote.cli.ca import ca

    return ca


def _enroll() -> click.Command:
    from thirdvote.cli.enroll import enroll

    return enroll


def _compat() -> click.Command:
    from thirdvote.cli.compat import compat

    return compat


def _completion() -> click.Command:
    from thirdvote.cli.completion import completion

    return completion


@dataclass(frozen=True, slots=True)
class Entry:
    """`summary` is what the list of commands says; it stands here so that the list needs no command loaded."""

    group: str
    summary: str
    load: Callable[[], click.Command]


NAME_WIDTH = 10
"""The longest name, so that the groups are one table."""

RUN, LOOK, STEP_IN, CERTIFICATES = "run it", "look at it", "step in when a node is lost", "let nodes in"
DEVICE = "on the nodes of a cluster"
KEEP = "keep it, and move it"
STOCK, SHELL = "in place of corosync-qnetd", "in your shell"

COMMANDS = {
    "serve": Entry(RUN, "run the arbitrator", _serve),
    "config": Entry(RUN, "show the settings that are in force, and where each comes from", _config),
    "status": Entry(LOOK, "show what the running arbitrator does, and what is wrong", _status),
    "clusters": Entry(LOOK, "show each cluster's nodes, who has the vote, and why", _clusters),
    "watch": Entry(LOOK, "show votes and nodes as they come and go", _watch),
    "history": Entry(LOOK, "show what has happened and why, also before the last restart", _history),
    "doctor": Entry(LOOK, "look for what is wrong here, on nodes and in between", _doctor),
    "demo": Entry(LOOK, "see it at work with two made-up nodes, without a cluster", _demo),
    "simulate": Entry(LOOK, "break simulated clusters at random, and check what must hold", _simulate),
    "release": Entry(STEP_IN, "count a lost node as off, on your word", _release),
    "enroll": Entry(CERTIFICATES, "let nodes in for a while, or by a token", _enroll),
    "join": Entry(DEVICE, "put the device into the cluster of this node, by a token", _join),
    "setup": Entry(DEVICE, "put the device into a cluster from outside, over ssh", _setup),
    "remove": Entry(DEVICE, "take the device out of a cluster again", _remove),
    "ca": Entry(CERTIFICATES, "show the authority; sign, list, revoke and renew certificates", _ca),
    "backup": Entry(KEEP, "write everything that lasts into one file", _backup),
    "restore": Entry(KEEP, "make a data directory from such a file", _restore),
    "compat": Entry(STOCK, "put the names of the stock programs into a directory", _compat),
    "completion": Entry(SHELL, "print the script with which a shell completes our commands", _completion),
}


class Commands(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else entry.load()

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean `thirdvote {close[0]}`?" if close else "`thirdvote --help` lists them"
            raise UsageError(f"no such command {quoted(args[0])}", hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for group in dict.fromkeys(entry.group for entry in COMMANDS.values()):
            with formatter.section(group):
                formatter.write_dl([(name.ljust(NAME_WIDTH), entry.summary) for name, entry in COMMANDS.items() if entry.group == group])


def _show_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        output.line(f"thirdvote {__version__}")
        context.exit()


@click.group(cls=Commands)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="show the version")
def thirdvote() -> None:
    """the third vote for two-node clusters: an arbitrator for Corosync and Proxmox VE"""


def main(arguments: list[str], start: Start) -> int:
    """The exit status; `start` runs the voter."""
    try:
        status: Any = thirdvote.main(arguments or ["--help"], prog_name="thirdvote", standalone_mode=False, obj=start)
    except click.UsageError as error:
        raise _in_our_words(error) from None
    except click.Abort:
        return output.INTERRUPTED
    return status if isinstance(status, int) else output.OK


def _in_our_words(error: click.UsageError) -> UsageError:
    if isinstance(error, click.NoSuchOption):
        return _no_such_option(error)
    text, _, advice = " ".join(error.format_message().split()).rstrip(".").partition(". ")
    hint = f"{advice[:1].lower()}{advice[1:]}" or _help_of(error)
    return UsageError(f"{text[:1].lower()}{text[1:]}", hint)


def _no_such_option(error: click.NoSuchOption) -> UsageError:
    close = sorted(error.possibilities or ())
    hint = f"did you mean {quoted(close[0])}?" if close else _help_of(error)
    return UsageError(f"no such option {quoted(error.option_name)}", hint)


def _help_of(error: click.UsageError) -> str:
    where = error.ctx.command_path if error.ctx is not None else "thirdvote"
    return f"`{where} --help` shows what it takes"
