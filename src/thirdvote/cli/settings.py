"""The settings of this process: what `config` resolves from the environment, the file and the user that are really there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from thirdvote.config import CONTROL_SOCKET, DATA_OF_ROOT, SYSTEM_CONFIG, Settings, default_data
from thirdvote.config_options import BY_NAME
from thirdvote.config_sources import ConfigFile, Resolved, resolve
from thirdvote.errors import UserError

FILE_BYTES_MAX = 1 << 20
"""Of a settings file; a cluster needs about 50."""

STOCK_CONTROL = "/run/corosync-qnetd/corosync-qnetd.sock.d/control.sock"
"""The control socket of a voter that was started as `corosync-qnetd`, beside its socket for the stock tool."""


def control_path(resolved: Resolved) -> str:
    """Of the arbitrator that the settings name; where they name none, of the one that is found on this host."""
    path = resolved.settings.control
    if not resolved.origins["control"] == resolved.origins["data"] == "default":
        return path
    usual = (path, f"{DATA_OF_ROOT}/{CONTROL_SOCKET}", STOCK_CONTROL)
    return next((candidate for candidate in usual if os.path.lexists(candidate)), path)


def load(flags: Mapping[str, str], defaults: Settings | None = None, data: str | None = None) -> Resolved:
    """`flags` by name, "config" among them. `data` is the directory when nobody says which."""
    options = {name: text for name, text in flags.items() if name != "config"}
    path = flags.get("config", os.environ.get("THIRDVOTE_CONFIG", _system_config() if data is None else ""))
    file = read_file(path) if path or "config" in flags else None
    return resolve(options, os.environ, file, data or default_data(user_data_home()), defaults or Settings())


def _system_config() -> str:
    """So that root's commands find the service of this host without being told; empty where there is none."""
    return SYSTEM_CONFIG if os.geteuid() == 0 and Path(SYSTEM_CONFIG).is_file() else ""


def read_file(path: str) -> ConfigFile:
    try:
        with Path(path).open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"can not read the settings file {path} ({reason})", "name another one with --config") from None
    if len(content) > FILE_BYTES_MAX:
        raise UserError(f"the settings file {path} has more than {FILE_BYTES_MAX} bytes", "name another one with --config")
    try:
        return ConfigFile(path, content.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"the settings file {path} is not UTF-8 in line {line}", "save it as UTF-8") from None


def user_data_home() -> str | None:
    if os.geteuid() == 0:
        return None
    return os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")


def plain_flags(arguments: list[str]) -> dict[str, str] | None:
    """Only `--name value` and `--name=value` of settings, nothing else; None if anything else is there.

    So that the voter, which stays for years, starts without the library that prints help and explains mistakes.
    """
    flags = {}
    rest = iter(arguments)
    for argument in rest:
        name, equals, text = argument.removeprefix("--").partition("=")
        value = text if equals else next(rest, None)
        if not argument.startswith("--") or not (name in BY_NAME or name == "config") or value is None:
            return None
        if not equals and value.startswith("--"):
            return None
        flags[name] = value
    return flags
