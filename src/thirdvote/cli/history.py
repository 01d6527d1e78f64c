"""`thirdvote history`: what has happened and why, also before the last restart."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from thirdvote.cli import output
from thirdvote.cli.options import CONTROL_OPTIONS, Command, as_json, complete_cluster, control_client, settings_options
from thirdvote.cli.words import named
from thirdvote.errors import UsageError

SHOWN = 100
"""Unless somebody says how many, or since when."""

ALL = 1_000_000_000
"""More than any arbitrator keeps; it has a limit of its own."""

_STYLES = {"error": output.BAD, "warning": output.ODD}

_AGE = re.compile(r"(?P<count>[0-9]{1,6}) ?(?P<unit>s|min|m|h|d|w)")
_UNITS = {"s": "seconds", "min": "minutes", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@click.command(cls=Command)
@click.argument("name", metavar="[CLUSTER]", required=False, shell_complete=complete_cluster)
@settings_options(*CONTROL_OPTIONS)
@click.option("--limit", metavar="N", type=int, help=f"at most so many, the newest (default {SHOWN}, all with --since)")
@click.option("--since", metavar="TIME", help="only what is not older: 45min, 2h, 3d, or a time like 2026-01-31T12:00")
@as_json()
def history(name: str | None, limit: int | None, since: str | None, wants_json: bool, **parameters: Any) -> int:
    """show what has happened and why, oldest first

    With CLUSTER only what happened to that cluster, and when the arbitrator was started and stopped.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit is {limit}, but must be at least 1", "without it the newest are shown")
    request: dict[str, Any] = {"command": "history", "limit": limit or (SHOWN if since is None else ALL)}
    request |= {} if name is None else {"cluster": name}
    request |= {} if since is None else {"since": moment(since, datetime.now(UTC)).isoformat()}
    with control_client(parameters) as client:
        events = client.request(request)["events"]
    if wants_json:
        output.structured(events)
    elif not any(name is None or "cluster" in event for event in events):
        output.line("nothing is known" if name is None else f"nothing is known of {named(name)}", "" if since is None else " since then")
    else:
        output.columns([_row(event, name is None) for event in events])
        if limit is None and since is None and len(events) == SHOWN:
            output.notice(f"the last {SHOWN}; more with --limit or --since")
    return output.OK


def moment(text: str, now: datetime) -> datetime:
    """When `text` says: so long before `now`, or a time, which is local unless it has an offset."""
    age = _AGE.fullmatch(text)
    try:
        if age is not None:
            return now - timedelta(**{_UNITS[age["unit"]]: int(age["count"])})
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise UsageError(f"--since is {text!r}, which is no time", "for example 45min, 2h, 3d, or 2026-01-31T12:00") from None


def _row(event: dict[str, Any], with_cluster: bool) -> list[output.Piece]:
    cluster = [(named(event["cluster"]) if "cluster" in event else "", output.STRONG)] if with_cluster else []
    node = f"node {event['node']}" if "node" in event else ""
    stranger = f" ({event['address']})" if "address" in event and "node" not in event else ""
    time = f"{datetime.fromisoformat(event['time']).astimezone():%Y-%m-%d %H:%M:%S}"
    text = (event["text"] + stranger, _STYLES.get(event["level"], ""))
    return [(time, output.QUIET), *cluster, (node, output.STRONG), event["event"], text]
