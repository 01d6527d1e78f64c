"""`thirdvote config`: what is in force, and who said so."""

from __future__ import annotations

from typing import Any

import click

from thirdvote.cli import output
from thirdvote.cli.options import Command, as_json, given, settings_options
from thirdvote.cli.settings import load
from thirdvote.config_options import LIMIT_NAMES, OPTIONS, show_on_off
from thirdvote.config_sources import Resolved, cluster_key, own_options
from thirdvote.domain import printable


@click.command("config", cls=Command)
@settings_options()
@as_json()
@click.option("--limits", "wants_limits", is_flag=True, help="with all limits, not only those that were set")
def config(wants_json: bool, wants_limits: bool, **parameters: Any) -> int:
    """show the settings that are in force, and where each comes from

    It takes the options of `serve` and shows what `serve` would run with if it were started here with them.
    """
    resolved = load(given(parameters))
    if wants_json:
        output.structured(as_values(resolved))
        return output.OK
    rows = [(option.name, option.value(resolved.settings), resolved.origins[option.name]) for option in OPTIONS]
    rows += [row for row in _limits(resolved) if wants_limits or row[2] != "default"]
    rows += _clusters(resolved)
    output.columns([((name, output.STRONG), value, _origin(origin)) for name, value, origin in rows])
    return output.OK


def as_values(resolved: Resolved) -> dict[str, Any]:
    """By name; limits and clusters, which are values of their own, below these words."""
    settings, origins = resolved.settings, resolved.origins
    values: dict[str, Any] = {option.name: {"value": option.value(settings), "from": origins[option.name]} for option in OPTIONS}
    values["limits"] = {
        name: {"value": getattr(settings.limits, field), "from": origins[f"limits.{name}"]} for name, field in LIMIT_NAMES.items()
    }
    values["clusters"] = {
        printable(name): {
            option.name: {"value": option.value(own), "from": origins[cluster_key(name, option)]} for option in own_options(own)
        }
        for name, own in settings.clusters.items()
    }
    return values


def _limits(resolved: Resolved) -> list[tuple[str, str, str]]:
    found = []
    for name, field in LIMIT_NAMES.items():
        value = getattr(resolved.settings.limits, field)
        text = show_on_off(value) if isinstance(value, bool) else f"{value:.10g}"
        found.append((f"limits.{name}", text, resolved.origins[f"limits.{name}"]))
    return found


def _clusters(resolved: Resolved) -> list[tuple[str, str, str]]:
    return [
        (key := cluster_key(name, option), option.value(own), resolved.origins[key])
        for name, own in resolved.settings.clusters.items()
        for option in own_options(own)
    ]


def _origin(origin: str) -> output.Piece:
    return (origin, output.QUIET) if origin == "default" else origin
