"""The command line of `corosync-qnetd`: every option and advanced setting of the stock program, with its messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from thirdvote.cli.getopt import BadOption, options
from thirdvote.config import Settings
from thirdvote.domain import TlsSupport

PROGRAM = "corosync-qnetd"

KNOWN = "46dfhvl:p:s:c:m:S:"

USAGE = """\
usage: corosync-qnetd [-46dfhv] [-l listen_addr] [-p listen_port] [-s tls]
              [-c client_cert_required] [-m max_clients] [-S option=value[,option2=value2,...]]
"""

COMPATIBLE_VERSION = "3.0.3"
"""Scripts ask for the version to know what the server can do: that is what this one can."""

VERSION = f"""\
Corosync Qdevice Network Daemon, version '{COMPATIBLE_VERSION}'

Supported algorithms: Test (0), Fifty-Fifty split (1), 2 Node LMS (2), LMS (3)
Supported message types: Preinit (0), Preinit reply (1), StartTLS (2), Init (3), Init reply (4), Server error (5), \
Set option (6), Set option reply (7), Echo request (8), Echo reply (9), Node list (10), Node list reply (11), \
Ask for vote (12), Ask for vote reply (13), Vote info (14), Vote info reply (15), Heuristics change (16), Heuristics change reply (17)
"""

RUN_DIRECTORY = "/var/run/corosync-qnetd"
LOCK_FILE = f"{RUN_DIRECTORY}/corosync-qnetd.pid"
LOCAL_SOCKET_FILE = f"{RUN_DIRECTORY}/corosync-qnetd.sock"
NSS_DATABASE = "/etc/corosync/qnetd/nssdb"
"""Defaults of the stock program."""

PORT_MAX = 65_535
INT_MAX = 2**31 - 1
UINT_MAX = 2**32 - 1
SIZE_MAX = 2**63 - 1


class Ended(Exception):
    """The command line itself ends the program, with status 1: what it says, and where."""

    def __init__(self, output: str = "", error: str = "") -> None:
        super().__init__(error or output)
        self.output = output
        self.error = error


@dataclass(frozen=True, slots=True)
class CommandLine:
    """`given` are fields of Settings, `limits` fields of its limits."""

    foreground: bool = False
    lock_file: str = LOCK_FILE
    given: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def local_socket(self) -> str:
        return str(self.given.get("qnetd_socket", LOCAL_SOCKET_FILE))

    def over(self, settings: Settings) -> Settings:
        return replace(settings, **self.given, limits=replace(settings.limits, **self.limits))


def parse(arguments: Sequence[str]) -> CommandLine:
    """Raises Ended as soon as one option asks for it or is wrong."""
    line = CommandLine()
    try:
        for letter, value in options(KNOWN, arguments):
            line = _with(line, letter, value)
    except BadOption as problem:
        raise Ended(USAGE, "".join(line.warnings) + f"{PROGRAM}: {problem}\n") from None
    except Ended as ended:
        raise Ended(ended.output, "".join(line.warnings) + ended.error) from None
    return line


def _with(line: CommandLine, letter: str, value: str) -> CommandLine:
    match letter:
        case "h":
            raise Ended(USAGE)
        case "v":
            raise Ended(VERSION)
        case "f":
            return replace(line, foreground=True)
        case "S":
            return _with_advanced(line, value)
        case _:
            return replace(line, given={**line.given, **_setting(letter, value)})


def _setting(letter: str, value: str) -> dict[str, Any]:
    match letter:
        case "4" | "6":
            return {"listen_family": int(letter)}
        case "d":
            return {"log_level": "debug"}
        case "l":
            return {"listen_host": value or None}
        case "p":
            return {"listen_port": _checked(_whole(value, 1, PORT_MAX), "host port must be in range 1-65535")}
        case "s":
            tls = {
                "on": TlsSupport.SUPPORTED,
                "off": TlsSupport.UNSUPPORTED,
                "req": TlsSupport.REQUIRED,
                "required": TlsSupport.REQUIRED,  # what the stock manual says, and the stock program refuses
            }
            return {"tls": _checked(tls.get(value.lower()), "tls must be one of on, off, req")}
        case "c":
            return {"client_certificate": _checked(_boolean(value), "client_cert_required should be on/yes/1, off/no/0")}
        case _:
            return {"max_clients": _checked(_whole(value, 0, SIZE_MAX), f"max clients value {value} is invalid")}


def _checked(value: Any, message: str) -> Any:
    if value is None:
        raise Ended(error=f"{PROGRAM}: {message}\n")
    return value


# ---- -S


@dataclass(frozen=True, slots=True)
class Advanced:
    """`read` gives None for what is not allowed. `target`: a field of Settings, "limits.FIELD" or "lock_file"."""

    read: Callable[[str], Any]
    target: str


def _number(least: int, most: int, target: str) -> Advanced:
    return Advanced(lambda text: _whole(text, least, most), target)


ADVANCED: Mapping[str, Advanced] = {
    "listen_backlog": _number(1, INT_MAX, "limits.listen_backlog"),
    "max_client_send_buffers": _number(2, SIZE_MAX, "limits.send_buffers"),
    "max_client_send_size": _number(16, SIZE_MAX, "limits.send_size"),
    "max_client_receive_size": _number(16, SIZE_MAX, "limits.receive_size"),
    "nss_db_dir": Advanced(str, "certificates"),
    "cert_nickname": Advanced(str, "certificate_nickname"),
    "heartbeat_interval_min": _number(1, UINT_MAX, "limits.heartbeat_ms_min"),
    "heartbeat_interval_max": _number(1, UINT_MAX, "limits.heartbeat_ms_max"),
    "dpd_enabled": Advanced(lambda text: _boolean(text), "limits.dead_peer_enabled"),
    "dpd_interval_coefficient": Advanced(lambda text: _coefficient(text), "limits.dead_peer_coefficient"),
    "lock_file": Advanced(str, "lock_file"),
    "local_socket_file": Advanced(str, "qnetd_socket"),
    "local_socket_umask": Advanced(lambda text: _octal(text), "qnetd_socket_umask"),
    "local_socket_gid": _number(-1, UINT_MAX, "qnetd_socket_group"),
    "local_socket_backlog": _number(1, INT_MAX, "limits.ipc_backlog"),
    "ipc_max_clients": _number(0, SIZE_MAX, "limits.ipc_clients"),
    "ipc_max_receive_size": _number(1_024, SIZE_MAX, "limits.ipc_receive_size"),
    "ipc_max_send_size": _number(1_024, SIZE_MAX, "limits.ipc_send_size"),
    "keep_active_partition_tie_breaker": Advanced(lambda text: _boolean(text), "keep_active_partition"),
}


def _with_advanced(line: CommandLine, text: str) -> CommandLine:
    for name, value in _pairs(text):
        if name.lower() == "dpd_interval":
            warning = f"{PROGRAM}: Option '{name}' is deprecated and has no effect anymore\n"
            line = replace(line, warnings=(*line.warnings, warning))
            continue
        advanced = _checked(ADVANCED.get(name.lower()), f"Unknown option '{name}'")
        line = _aimed(line, advanced.target, _checked(advanced.read(value), f"Invalid value '{value}' for option '{name}'"))
    return line


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """An empty name ends the list."""
    for pair in text.split(","):
        name, _, value = pair.partition("=")
        if not name:
            return
        yield name, value


def _aimed(line: CommandLine, target: str, value: Any) -> CommandLine:
    table, _, name = target.rpartition(".")
    if table:
        return replace(line, limits={**line.limits, name: value})
    if target == "lock_file":
        return replace(line, lock_file=value)
    if target == "qnetd_socket_group" and value == -1:
        value = None
    return replace(line, given={**line.given, target: value})


_WHOLE = re.compile(r"\s*[+-]?[0-9]+", re.ASCII)
_FLOAT = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?", re.ASCII | re.IGNORECASE)
_DIGITS_MAX = 30


def _whole(text: str, least: int, most: int) -> int | None:
    if len(text) > _DIGITS_MAX or not _WHOLE.fullmatch(text):
        return None
    return int(text) if least <= int(text) <= most else None


def _coefficient(text: str) -> float | None:
    if not _FLOAT.fullmatch(text):
        return None
    return float(text) if 1 <= float(text) <= 1_000 else None


def _octal(text: str) -> int | None:
    return int(text, 8) if re.fullmatch(r"0?[0-7]{1,3}", text) else None


def _boolean(text: str) -> bool | None:
    return {"yes": True, "on": True, "1": True, "no": False, "off": False, "0": False}.get(text.lower())
