"""Options of commands, made from the table of settings, and the classes that give all commands one form of help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from thirdvote.cli.settings import control_path, load
from thirdvote.config import Settings
from thirdvote.config_options import BY_NAME, OPTIONS, Option
from thirdvote.control_client import ControlClient
from thirdvote.errors import UserError

HELP_NAMES = ["-h", "--help"]


class Command(click.Command):
    """As all ours: `-h`, and help in the program's voice."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        settings.setdefault("context_settings", {"help_option_names": HELP_NAMES, "max_content_width": 100})
        super().__init__(*arguments, **settings)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        return _in_our_words(super().get_help_option(ctx))


class Group(click.Group):
    """As Command, for a command that has commands."""

    command_class = Command

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        settings.setdefault("context_settings", {"help_option_names": HELP_NAMES, "max_content_width": 100})
        super().__init__(*arguments, **settings)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        return _in_our_words(super().get_help_option(ctx))


def _in_our_words(option: click.Option | None) -> click.Option | None:
    if option is not None:
        option.help = "show this"
    return option


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def settings_options(*names: str) -> Decorator:
    """These settings, or all of them, and the file that has them; the command gets them as keyword arguments."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        chosen = [BY_NAME[name] for name in names] or list(OPTIONS)
        help_of_file = "read settings from this file (TOML)"
        command = click.option("--config", metavar="FILE", type=click.Path(), help=help_of_file)(command)
        for option in reversed(chosen):
            command = _click_option(option)(command)
        return command

    return decorate


def _click_option(option: Option) -> Decorator:
    words = option.metavar.split("|") if "|" in option.metavar else [option.metavar] if option.metavar.islower() else []

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]

    default = option.value(Settings())
    text = f"{option.help} (default {default})" if default and option.name != "data" else option.help
    return click.option(
        f"--{option.name}",
        metavar=option.metavar,
        type=click.Path() if option.metavar in ("DIR", "PATH") else str,
        help=text,
        shell_complete=complete if words else None,
    )


def given(parameters: dict[str, Any]) -> dict[str, str]:
    """What `settings_options` gave to a command, as flags by name."""
    flags = {name.replace("_", "-"): value for name, value in parameters.items()}
    return {name: value for name, value in flags.items() if value is not None and (name in BY_NAME or name == "config")}


CONTROL_OPTIONS = ("data", "control")


def control_client(parameters: dict[str, Any]) -> ControlClient:
    """For the arbitrator that these options name; without any, for the one that is found on this host."""
    return ControlClient(control_path(load(given(parameters))))


def complete_cluster(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of connected clusters, where an arbitrator runs."""
    try:
        with control_client(context.params) as client:
            names = [cluster["name"] for cluster in client.request({"command": "snapshot"})["snapshot"]["clusters"]]
    except UserError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def as_json() -> Decorator:
    return click.option("--json", "wants_json", is_flag=True, help="for programs: JSON")
