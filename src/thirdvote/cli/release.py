"""`thirdvote release`: an operator's word that a lost node is off, asked for with its risk."""

from __future__ import annotations

from typing import Any

import click

from thirdvote.cli import output
from thirdvote.cli.options import CONTROL_OPTIONS, Command, complete_cluster, control_client, settings_options
from thirdvote.cli.words import listed, named, until
from thirdvote.errors import UsageError, UserError

YES = "yes"


@click.command(cls=Command)
@click.argument("cluster", shell_complete=complete_cluster)
@click.argument("node", required=False, type=int)
@settings_options(*CONTROL_OPTIONS)
@click.option("--yes", "is_sure", is_flag=True, help="do not ask: whoever calls this has made sure that the node is off")
def release(cluster: str, node: int | None, is_sure: bool, **parameters: Any) -> int:
    """count a lost node as off, on your word, so that the vote can move at once

    The arbitrator gives the vote to nobody else for as long as a lost node may still report quorum by it. Whoever has seen
    that the node is off can say so; without NODE of all lost nodes of CLUSTER. If it still runs, both sides may write to
    the same storage.
    """
    with control_client(parameters) as client:
        wanted = {"command": "release", "cluster": cluster} | ({} if node is None else {"node": node})
        lost = client.request({**wanted, "check": True})["lost"]
        nodes = [holder["node"] for holder in lost]
        _show(cluster, lost)
        if not is_sure:
            _ask(nodes)
        released = client.request({**wanted, "node": nodes})["released"]  # those that were shown, whoever is lost meanwhile
    output.line(f"{_these(released)} {_counts(released)} as off; `thirdvote clusters {named(cluster)}` shows who has the vote now")
    return output.OK


def _show(cluster: str, lost: list[dict[str, Any]]) -> None:
    output.line((named(cluster), output.STRONG), f": may still report quorum by the vote that {'it' if len(lost) == 1 else 'they'} had:")
    for holder in lost:
        output.line(f"  node {holder['node']}: {holder['because']}{until(holder['until'], holder['until_s'])}")
    nodes = [holder["node"] for holder in lost]
    output.line((f"if {_these(nodes)} still {'runs' if len(nodes) == 1 else 'run'}, both sides may write to the same storage", output.BAD))


def _ask(nodes: list[int]) -> None:
    if not output.can_ask():
        hint = "run it at a terminal, or with --yes if it is certain that the node is off"
        raise UsageError("this has to be confirmed, and there is no terminal to ask at", hint)
    answer = output.ask(f"type {YES} if you know that {_these(nodes)} {'is' if len(nodes) == 1 else 'are'} off: ")
    if answer != YES:
        raise UserError("nothing was released", f"the answer has to be {YES}, in full")


def _these(nodes: list[int]) -> str:
    return f"node {nodes[0]}" if len(nodes) == 1 else f"nodes {listed(nodes)}"


def _counts(nodes: list[int]) -> str:
    return "counts" if len(nodes) == 1 else "count"
