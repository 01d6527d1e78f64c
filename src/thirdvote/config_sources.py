"""Where values come from: a command's options, the environment, the file, and else the default.

Pure: the caller hands in the environment and the text of the file. `Resolved.origins` tells which of them it was.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from thirdvote.config import CONTROL_SOCKET, SOCKET_PATH_BYTES_MAX, ClusterSettings, Settings
from thirdvote.config_options import (
    BY_NAME,
    CLUSTER_OPTIONS,
    ENVIRONMENT_PREFIX,
    LIMIT_NAMES,
    OF_CLUSTER,
    OPTIONS,
    Option,
    limit_environment_name,
    read_limit,
    read_listen,
    read_secret,
    read_socket_path,
    show_on_off,
)
from thirdvote.domain import ClusterName, printable
from thirdvote.errors import UsageError, UserError

ENVIRONMENT_OTHERS = frozenset({"THIRDVOTE_CONFIG", "THIRDVOTE_DEBUG"})
"""Variables with our prefix that are not settings: the file with the settings, and tracebacks."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """`name` is for people; `text` is TOML."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """`origins` has every option and every limit ("limits.clusters"): "flag", "environment THIRDVOTE_TLS", "file PATH" or "default";
    and, by `cluster_key`, what a cluster has of its own.
    """

    settings: Settings
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Given:
    """One value that somebody set, and where: `where` is for an error, `origin` for `thirdvote config`."""

    text: str
    where: str
    origin: str

    def read(self, read: Callable[[str], Any]) -> Any:
        try:
            return read(self.text)
        except ValueError as error:
            kind = UsageError if self.origin == FLAG else UserError
            found = "not one" if read is read_secret else quoted(self.text)
            message = f"{self.where} is {found}, but must be {error}"
            raise kind(message, "`thirdvote serve --help` and docs/configuration.md say what each setting means") from None


FLAG = "flag"


def resolve(
    flags: Mapping[str, str],
    environ: Mapping[str, str],
    file: ConfigFile | None,
    default_data: str,
    defaults: Settings | None = None,
) -> Resolved:
    """`flags` by the name of the option ("tls") or of the limit ("limits.clusters"); raises UserError for whatever does not fit."""
    given: dict[str, Given] = {}
    clusters: Mapping[ClusterName, ClusterSettings] = {}
    if file is not None:
        found, clusters = _from_file(file)
        given |= found
    given |= _from_environment(environ)
    given |= {name: Given(text, f"--{name}", FLAG) for name, text in flags.items()}
    settings = _settings(given, replace(defaults or Settings(), data=default_data, clusters=clusters))
    names = (*BY_NAME, *(f"limits.{name}" for name in LIMIT_NAMES))
    origins = {name: given[name].origin if name in given else "default" for name in names}
    of_file = "" if file is None else f"file {file.name}"
    own = {cluster_key(name, option): of_file for name, own in clusters.items() for option in own_options(own)}
    return Resolved(settings, origins | own)


def own_options(own: ClusterSettings) -> tuple[Option, ...]:
    """What the cluster has of its own."""
    return tuple(option for option in CLUSTER_OPTIONS if getattr(own, option.field_name) is not None)


def cluster_key(name: ClusterName, option: Option) -> str:
    """Of a cluster's own setting, among the origins."""
    return f'clusters."{printable(name)}".{option.name}'


def _settings(given: Mapping[str, Given], defaults: Settings) -> Settings:
    found: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    for name, value in given.items():
        table, dot, key = name.partition(".")
        if dot:
            limits[LIMIT_NAMES[key]] = value.read(partial(read_limit, LIMIT_NAMES[key]))
        elif table == "listen":
            found["listen_host"], found["listen_port"] = value.read(read_listen)
        else:
            found[BY_NAME[name].field_name] = value.read(BY_NAME[name].read)
    settings = replace(defaults, **found, limits=replace(defaults.limits, **limits))
    if settings.limits.heartbeat_ms_min > settings.limits.heartbeat_ms_max:
        message = f"limits.heartbeat-ms-min ({settings.limits.heartbeat_ms_min}) is above limits.heartbeat-ms-max"
        raise UserError(f"{message} ({settings.limits.heartbeat_ms_max})", "set both, the lower one first")
    return replace(
        settings,
        control=settings.control or _socket_in(settings.data, CONTROL_SOCKET, "control"),
        qnetd_socket=settings.qnetd_socket or _socket_in(settings.data, "qnetd.sock", "qnetd-socket"),
    )


def _socket_in(data: str, name: str, option: str) -> str:
    path = f"{data.rstrip('/')}/{name}"
    try:
        return read_socket_path(path)
    except ValueError:
        raise UserError(
            f"{path} is too long for a socket", f"give a path of at most {SOCKET_PATH_BYTES_MAX} bytes with --{option}"
        ) from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, Given]:
    """A variable that is empty counts as not set: compose files and unit files can not leave one out."""
    variables = {option.environment_name: option.name for option in OPTIONS}
    variables |= {limit_environment_name(name): f"limits.{name}" for name in LIMIT_NAMES}
    given = {}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in ENVIRONMENT_OTHERS:
            continue
        if variable not in variables:
            raise UserError(f"the environment variable {quoted(variable)} is not one of ours", _nearest(variable, variables))
        if text:
            given[variables[variable]] = Given(text, variable, f"environment {variable}")
    return given


def _from_file(file: ConfigFile) -> tuple[dict[str, Given], dict[ClusterName, ClusterSettings]]:
    try:
        content = tomllib.loads(file.text)
    except tomllib.TOMLDecodeError as error:
        text = str(error)
        raise UserError(
            f"{file.name} is not TOML: {text[:1].lower()}{text[1:]}", 'a line in it reads like this: tls = "required"'
        ) from None
    given: dict[str, Given] = {}
    clusters: dict[ClusterName, ClusterSettings] = {}
    for key, value in content.items():
        if key == "clusters":
            clusters = {_cluster_name(name): _cluster(file, name, own) for name, own in _table(file, key, value).items()}
        elif key == "limits":
            limits = _given(file, "limits", _table(file, key, value), LIMIT_NAMES)
            given |= {f"limits.{name}": one for name, one in limits.items()}
        else:
            given |= _given(file, "", {key: value}, (*BY_NAME, "limits", "clusters"))
    return given, clusters


def _cluster_name(name: str) -> ClusterName:
    return ClusterName(name.encode())


def _cluster(file: ConfigFile, name: str, value: Any) -> ClusterSettings:
    table = f'clusters."{name}"'
    given = _given(file, table, _table(file, table, value), OF_CLUSTER)
    return ClusterSettings(**{OF_CLUSTER[key].field_name: one.read(OF_CLUSTER[key].read) for key, one in given.items()})


def _table(file: ConfigFile, name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{file.name}: {name} must be a table", f"write a line [{name}], and below it what belongs to it")
    return value


def _given(file: ConfigFile, table: str, content: Mapping[str, Any], known: Iterable[str]) -> dict[str, Given]:
    given = {}
    for key, value in content.items():
        where = f"{file.name}{_line(file.text, table, key)}: {f'{table}.' if table else ''}{key}"
        if key not in known:
            raise UserError(f"{where} is not a setting", _nearest(key, known))
        given[key] = Given(_text(where, value), where, f"file {file.name}")
    return given


def _text(where: str, value: Any) -> str:
    """A value of the file as one would give it to an option."""
    match value:
        case bool():
            return show_on_off(value)
        case str() | int() | float():
            return str(value)
        case _:
            raise UserError(f"{where} must be one value: a text, a number, or true or false", 'for example: tls = "required"')


_HEADER = re.compile(r"\s*\[(?P<table>[^\[\]]+)\]\s*(?:#.*)?$")


def _line(text: str, table: str, key: str) -> str:
    """Where `key` was written; nothing when it is written in a way that this does not find."""
    current = ""
    assignment = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*[=.]""")
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header is not None:
            current = _bare(header["table"])
            if table == "" and current.split(".")[0] == key:
                return f", line {number}"
        elif current == _bare(table) and assignment.match(line):
            return f", line {number}"
    return ""


def _bare(table: str) -> str:
    """`clusters.web` and `clusters."web"` are the same table."""
    return table.translate({ord(character): None for character in " \"'"})


def _nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(names[:20])}"


def quoted(text: str) -> str:
    """On one line, nothing in it that a terminal obeys."""
    return "'" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text) + "'"
