"""`thirdvote enroll`: lets nodes in for a while, by a password that is shown once."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from thirdvote.cli import output
from thirdvote.cli.options import Command, Group, as_json, given, settings_options
from thirdvote.cli.settings import load
from thirdvote.cli.vote_needed import check_not_needed, force_option
from thirdvote.cli.words import counted, named
from thirdvote.config import DATA_OF_ROOT
from thirdvote.control_client import ControlClient
from thirdvote.enroll.settings import CONTROL_NAME
from thirdvote.errors import UsageError, UserError

SSH_PORT = 22

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "": 1}


@click.group(cls=Group)
def enroll() -> None:
    """let nodes in: for a while over SSH, or by a token"""


@enroll.command("open", cls=Command)
@click.option("--for", "how_long", metavar="TIME", default="15m", help="until it closes by itself: 90s, 15m, 2h (default 15m)")
@click.option("--cluster", metavar="NAME", help="let in this cluster alone; without, the first that comes")
@click.option("--replace", is_flag=True, help="revoke the certificates that the cluster has from before, once it has a new one")
@force_option()
@settings_options("data")
@as_json()
def open_window(how_long: str, cluster: str | None, replace: bool, forced: bool, wants_json: bool, **parameters: Any) -> int:
    """open a window, and show the password and what to type on a node

    It closes by itself when a cluster has fetched its certificate, or when its time is over. Several may be open at the
    same time, each with its own password.
    """
    if replace and cluster is not None and not forced:
        check_not_needed(Path(load(given(parameters)).settings.control), cluster, "no window was opened")
    request = {"command": "open", "for_s": seconds(how_long), "cluster": cluster, "replace": replace}
    with enroll_client(parameters) as client:
        answer = client.request(request)
    if wants_json:
        output.structured({name: value for name, value in answer.items() if name != "ok"})
    else:
        _show_open(answer)
    return output.OK


@enroll.command("close", cls=Command)
@click.argument("window", required=False, type=int)
@click.option("--cluster", metavar="NAME", help="only those for this cluster")
@settings_options("data")
def close_windows(window: int | None, cluster: str | None, **parameters: Any) -> int:
    """close the window with that number, or all; whoever is logged in is sent away"""
    with enroll_client(parameters) as client:
        closed = client.request({"command": "close", "window": window, "cluster": cluster})["closed"]
    output.line(f"{counted(len(closed), 'window')} closed" if closed else "no window was open")
    return output.OK


@enroll.command("token", cls=Command)
@click.argument("cluster")
@click.option("--for", "how_long", metavar="TIME", default="1h", help="how long it is good: 15m, 1h, 24h (default 1h)")
@click.option("--replace", is_flag=True, help="revoke the certificates that the cluster has from before, once it has a new one")
@settings_options("data")
@as_json()
def make_token(cluster: str, how_long: str, replace: bool, wants_json: bool, **parameters: Any) -> int:
    """make a token for `thirdvote join`: it lets one cluster in, once

    The URL has the fingerprint of this arbitrator's authority in it, so that a node knows whom it talks to. It is shown
    only here, and works for the cluster of that name alone.
    """
    with enroll_client(parameters) as client:
        answer = client.request({"command": "token", "cluster": cluster, "for_s": seconds(how_long), "replace": replace})
    if wants_json:
        output.structured({name: value for name, value in answer.items() if name != "ok"})
    else:
        _show_token(answer)
    return output.OK


@enroll.command("status", cls=Command)
@settings_options("data")
@as_json()
def show_status(wants_json: bool, **parameters: Any) -> int:
    """show the windows that are open, and where nodes can come in"""
    with enroll_client(parameters) as client:
        found = client.request({"command": "status"})["status"]
    if wants_json:
        output.structured(found)
    elif "ssh" in found:
        _show_ssh(found["ssh"])
    else:
        output.line("enrolment over SSH is switched off (--enroll-ssh)")
    if not wants_json and "https" in found:
        _show_https(found["https"])
    return output.OK


def enroll_client(parameters: dict[str, Any]) -> ControlClient:
    """For the enrolment of the arbitrator that these options name; without any, of the one that is found on this host. UserError."""
    resolved = load(given(parameters))
    places = [resolved.settings.data] + ([DATA_OF_ROOT] if resolved.origins["data"] == "default" else [])
    paths = [Path(place) / CONTROL_NAME for place in places]
    path = next((path for path in paths if os.path.lexists(path)), None)
    if path is None:
        hint = "start the arbitrator, thirdvote serve, with --enroll-ssh or --enroll-https not off; or name its directory with --data"
        raise UserError(f"no enrolment is running here: there is no {paths[0]}", hint)
    return ControlClient(path)


def seconds(text: str) -> int:
    """UsageError when it is no time."""
    found = re.fullmatch(r"([0-9]{1,6})(s|m|min|h|)", text.strip().lower())
    if found is None:
        raise UsageError(f"--for {text} is no time", "for example 90s, 15m or 2h")
    return int(found[1]) * _UNITS[found[2]]


def _show_open(answer: dict[str, Any]) -> None:
    window, address, port = answer["window"], answer["address"], answer["port"]
    whom = f"the cluster {named(window['cluster'])}" if window["cluster"] is not None else "the first cluster that comes"
    output.line((f"open until {_clock(window['until'])}", output.GOOD), f", for {whom}")
    password = (answer["password"], output.STRONG) if answer["password"] is not None else "as set (enroll-password)"
    rows: list[list[output.Piece]] = [["password", password], ["address", f"{address}, port {port}"]]
    rows += [["host key", f"{fingerprint} ({kind})"] for kind, fingerprint in answer["host_keys"].items()]
    output.columns([[(str(row[0]), output.STRONG), row[1]] for row in rows], indent=2)
    for title, commands in _commands(address, port, window["cluster"]):
        output.line()
        output.line(title)
        for command in commands:
            output.line(f"  {command}")
    output.line()
    output.line("it closes by itself when a cluster has fetched its certificate; `thirdvote enroll close` closes it now")


def _show_token(answer: dict[str, Any]) -> None:
    until = datetime.fromisoformat(answer["until"]).astimezone()
    since = datetime.fromisoformat(answer["from"]).astimezone()
    output.line(
        ("good", output.GOOD),
        f" from {since:%Y-%m-%d %H:%M:%S} until {until:%Y-%m-%d %H:%M:%S}, once, for the cluster {named(answer['cluster'])}",
    )
    output.line()
    output.line("on a node of the cluster, as root:")
    output.line(f"  thirdvote join {answer['url']}")
    output.line()
    output.line("or from another host that reaches its nodes by ssh, without anything of ours on them:")
    output.line(f"  thirdvote setup NODE1 NODE2 --token {answer['url']}")
    if answer["address_guessed"]:
        output.line()
        output.line("if nodes reach this host at another address, change it in the URL, or set enroll-address")


def _show_https(found: dict[str, Any]) -> None:
    if found["problem"]:
        output.line(("tokens can not be used", output.BAD), f": {found['problem']}")
    elif found["listen"] is not None:
        output.columns([[("tokens", output.STRONG), f"{counted(found['open_tokens'], 'token')} open, taken on {found['listen']}"]])


def _commands(address: str, port: int, cluster: str | None) -> list[tuple[str, list[str]]]:
    """What to type on a node: programs that know no port find it in the configuration of ssh."""
    with_port = [] if port == SSH_PORT else [f"printf 'Host {address}\\n    Port {port}\\n' >> ~/.ssh/config"]
    option = "" if port == SSH_PORT else f"-p {port} "
    name = cluster or "CLUSTER"
    quoted = name if re.fullmatch(r"[\w.-]+", name) else "'" + name.replace("'", "'\\''") + "'"
    return [
        ("on a node of Proxmox VE, as root:", [*with_port, f"pvecm qdevice setup {address}"]),
        (
            "on a node of another cluster, as root:",
            [
                *with_port,
                f"ssh-copy-id {option}root@{address}",
                f"corosync-qdevice-net-certutil -Q -n {quoted} {address} NODE1 NODE2",
            ],
        ),
    ]


def _show_ssh(found: dict[str, Any]) -> None:
    if found["problem"]:
        output.line(("not to be used", output.BAD), f": {found['problem']}")
    elif found["listen"] is None:
        output.line("starting")
    else:
        rows = [("listening", found["listen"]), *(("host key", f"{text} ({kind})") for kind, text in found["host_keys"].items())]
        output.columns([((name, output.STRONG), text) for name, text in rows])
    if not found["windows"]:
        output.line("closed: `thirdvote enroll open` opens a window")
    for window in found["windows"]:
        output.line(_window(window))


def _window(window: dict[str, Any]) -> str:
    if window["lasting"]:
        return f"open all the time, for any cluster that has the password (enroll-always); certificates signed: {window['signed']}"
    owner = window["cluster"] if window["cluster"] is not None else window["taken_by"]
    whom = "for the first cluster that comes" if owner is None else f"for {named(owner)}"
    state = "has done its work, and ends" if window["done"] else "is open until"
    return f"window {window['window']} {state} {_clock(window['until'])}, {whom}; certificates signed: {window['signed']}"


def _clock(time: str) -> str:
    return f"{datetime.fromisoformat(time).astimezone():%H:%M:%S}"
