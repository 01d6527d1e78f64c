"""`thirdvote watch`: what happens, as it happens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from click.shell_completion import CompletionItem

from thirdvote.cli import output
from thirdvote.cli.options import CONTROL_OPTIONS, Command, complete_cluster, control_client, settings_options

_STYLES = {"error": output.BAD, "warning": output.ODD, "debug": output.QUIET}
_LEVELS = ("debug", "info", "warning", "error")


def _complete_level(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(level) for level in _LEVELS if level.startswith(incomplete)]


@click.command(cls=Command)
@click.argument("name", required=False, shell_complete=complete_cluster)
@settings_options(*CONTROL_OPTIONS)
@click.option(
    "--level",
    metavar="|".join(_LEVELS),
    default="info",
    help="the least level that is shown (default info)",
    shell_complete=_complete_level,
)
@click.option("--json", "wants_json", is_flag=True, help="for programs: JSON, one event a line")
def watch(name: str | None, level: str, wants_json: bool, **parameters: Any) -> int:
    """show votes and nodes as they come and go, until Ctrl-C

    With NAME only what happens to that cluster.
    """
    request = {"level": level} | ({} if name is None else {"cluster": name})
    with control_client(parameters) as client:
        for event in client.subscribe(request):
            if wants_json:
                output.structured_line(event)
            else:
                show(event)
    return output.OK


def show(event: dict[str, Any]) -> None:
    subject = " ".join(_subject(event))
    text = (event["text"], _STYLES.get(event["level"], ""))
    time = (f"{_time(event):%H:%M:%S}", output.QUIET)
    pieces: list[output.Piece] = [time, "  ", text]
    if subject:
        pieces[2:2] = [(subject, output.STRONG), ": "]
    output.line(*pieces)
    output.flush()


def _subject(event: dict[str, Any]) -> list[str]:
    if "cluster" in event:
        return [event["cluster"], *([f"node {event['node']}"] if "node" in event else [])]
    return [event["address"]] if "address" in event else []


def _time(event: dict[str, Any]) -> datetime:
    """Of the event where it says so, in local time."""
    return datetime.fromisoformat(event["time"]).astimezone() if "time" in event else datetime.now().astimezone()
