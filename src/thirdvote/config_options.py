"""What can be set: how each setting and limit is named, read from text and shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from thirdvote.config import OFF, SOCKET_PATH_BYTES_MAX, ClusterSettings, Limits, Settings
from thirdvote.domain import Handover, TlsSupport

ENVIRONMENT_PREFIX = "THIRDVOTE_"


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that can be set. `read` turns text into a value or raises ValueError with what is allowed."""

    name: str
    """As in `--tls`, `THIRDVOTE_TLS` and `tls = …`."""
    read: Callable[[str], Any]
    show: Callable[[Any], str]
    metavar: str
    help: str
    field: str = ""
    """Of Settings; by default the name with underscores."""

    @property
    def environment_name(self) -> str:
        return ENVIRONMENT_PREFIX + self.name.upper().replace("-", "_")

    @property
    def field_name(self) -> str:
        return self.field or self.name.replace("-", "_")

    def value(self, settings: Settings | ClusterSettings) -> str:
        """What is in force, as a person would write it; empty where nothing was said."""
        if self.name == "listen":
            assert isinstance(settings, Settings)
            return show_listen((settings.listen_host, settings.listen_port))
        value = getattr(settings, self.field_name)
        return "" if value is None else self.show(value)


def read_listen(text: str) -> tuple[str | None, int]:
    """`[ADDR:]PORT`, an IPv6 address in brackets; `*` and nothing are all addresses."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host:
            raise ValueError("[ADDR:]PORT, with brackets around IPv6 addresses only")
    elif ":" in host:
        raise ValueError("[ADDR:]PORT, with brackets around an IPv6 address: [2001:db8::1]:5403")
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65_535 or (colon and not host):
        raise ValueError("[ADDR:]PORT, with a port from 1 to 65535")
    return (None if host in ("", "*") else host), int(port)


def show_listen(listen: tuple[str | None, int]) -> str:
    host, port = listen
    if host is None:
        return f"*:{port}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_place(text: str) -> str:
    """As `read_listen`, in one form; or OFF."""
    if text.lower() == OFF:
        return OFF
    try:
        return show_listen(read_listen(text))
    except ValueError as error:
        raise ValueError(f"off or {error}") from None


def read_tls(text: str) -> TlsSupport:
    words = {"required": TlsSupport.REQUIRED, "req": TlsSupport.REQUIRED, "on": TlsSupport.SUPPORTED, "off": TlsSupport.UNSUPPORTED}
    if text.lower() not in words:
        raise ValueError("required, on or off")
    return words[text.lower()]


def show_tls(tls: TlsSupport) -> str:
    return {TlsSupport.REQUIRED: "required", TlsSupport.SUPPORTED: "on", TlsSupport.UNSUPPORTED: "off"}[tls]


def read_on_off(text: str) -> bool:
    if text.lower() not in ("on", "off"):
        raise ValueError("on or off")
    return text.lower() == "on"


def show_on_off(value: bool) -> str:
    return "on" if value else "off"


def read_handover(text: str) -> Handover:
    try:
        return Handover(text.lower())
    except ValueError:
        raise ValueError("safe, fast or stock") from None


def read_path(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("a path")
    return text


def read_socket_path(text: str) -> str:
    if len(read_path(text).encode("utf-8", "surrogateescape")) > SOCKET_PATH_BYTES_MAX:
        raise ValueError(f"a path of at most {SOCKET_PATH_BYTES_MAX} bytes, as it names a socket")
    return text


SECRET_LENGTH_MIN, SECRET_LENGTH_MAX = 12, 128


def read_secret(text: str) -> str:
    if not SECRET_LENGTH_MIN <= len(text) <= SECRET_LENGTH_MAX or not text.isprintable():
        raise ValueError(f"a password of {SECRET_LENGTH_MIN} to {SECRET_LENGTH_MAX} characters, all of which can be typed")
    return text


def show_secret(secret: str) -> str:
    return "set, not shown" if secret else ""


def read_address(text: str) -> str:
    if not text or len(text) > ADDRESS_LENGTH_MAX or not all(c.isascii() and (c.isalnum() or c in ".-_:%") for c in text):
        raise ValueError("an address or a host name")
    return text


ADDRESS_LENGTH_MAX = 253
"""Of a host name."""


def read_count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 2**31 - 1:
        raise ValueError("a number from 0 to 2147483647")
    return int(text)


CLUSTER_MS_MIN, CLUSTER_MS_MAX = 100, 3_600_000
TOKEN_MS_MAX = 600_000
"""Corosync takes any number; less than a tenth of a second or more than an hour is a slip of the pen: seconds, for example. A
token timeout of more than ten minutes is one, too.
"""


def milliseconds(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not CLUSTER_MS_MIN <= int(text) <= most:
            raise ValueError(f"milliseconds, from {CLUSTER_MS_MIN} to {most}, as in corosync.conf")
        return int(text)

    return read


def read_ledger(text: str) -> str:
    if text.lower().startswith("etcd:"):
        raise ValueError("sqlite, as this version can not keep its ledger in etcd")
    if text.lower() != "sqlite":
        raise ValueError("sqlite")
    return "sqlite"


def one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"{', '.join(words[:-1])} or {words[-1]}")
        return text.lower()

    return read


ON_OFF = "on|off"

OPTIONS = (
    Option("data", read_path, str, "DIR", "certificates and sockets"),
    Option("listen", read_listen, show_listen, "[ADDR:]PORT", "where nodes connect"),
    Option("tls", read_tls, show_tls, "required|on|off", "whether a node must, may or can not use TLS"),
    Option(
        "client-cert",
        read_on_off,
        show_on_off,
        ON_OFF,
        "whether a node with TLS must show its cluster's certificate",
        "client_certificate",
    ),
    Option("handover", read_handover, str, "safe|fast|stock", "when the vote may move to another partition"),
    Option(
        "late-answers",
        read_on_off,
        show_on_off,
        ON_OFF,
        "answer echoes late while the vote is not needed, so that a lost node gives up sooner",
    ),
    Option("test-algorithm", read_on_off, show_on_off, ON_OFF, "serve algorithm test, where every partition has the vote"),
    Option(
        "keep-active-partition",
        read_on_off,
        show_on_off,
        ON_OFF,
        "ffsplit: a tie goes to the side that had the vote, where nodes do not say",
    ),
    Option("ledger", read_ledger, str, "sqlite", "where it is kept who has the vote, for a restart"),
    Option("control", read_socket_path, str, "PATH", "socket for status, clusters, watch and the like"),
    Option("qnetd-socket", read_socket_path, str, "PATH", "socket for corosync-qnetd-tool"),
    Option("history", read_on_off, show_on_off, ON_OFF, "keep what happened across restarts, for `thirdvote history`"),
    Option("enroll-ssh", read_place, str, "[ADDR:]PORT|off", "where `pvecm qdevice setup` enrols nodes, while a window is open"),
    Option("enroll-https", read_place, str, "[ADDR:]PORT|off", "where `thirdvote join` enrols nodes"),
    Option("enroll-address", read_address, str, "ADDR", "this host's address, as nodes are told to use it"),
    Option("enroll-password", read_secret, show_secret, "TEXT", "one password for all enrolment windows, instead of a new one for each"),
    Option("enroll-password-file", read_path, str, "PATH", "a file with that password"),
    Option("enroll-always", read_on_off, show_on_off, ON_OFF, "keep a window open all the time; needs a password of yours"),
    Option("log-format", one_of("text", "json"), str, "text|json", "one line or one JSON object for each event"),
    Option("log-level", one_of("debug", "info", "warning", "error"), str, "debug|info|warning|error", "the least level that is logged"),
    Option("max-clients", read_count, str, "N", "connections in all, 0 for no bound but limits.connections"),
)

BY_NAME = {option.name: option for option in OPTIONS}

CLUSTER_OPTIONS = (
    BY_NAME["handover"],
    BY_NAME["late-answers"],
    Option(
        "timeout",
        milliseconds(CLUSTER_MS_MAX),
        str,
        "MS",
        "quorum.device.timeout of its nodes, where their heartbeat does not tell",
        "timeout_ms",
    ),
    Option("sync-timeout", milliseconds(CLUSTER_MS_MAX), str, "MS", "quorum.device.sync_timeout of its nodes", "sync_timeout_ms"),
    Option("token", milliseconds(TOKEN_MS_MAX), str, "MS", "totem.token of its nodes", "token_ms"),
    Option("wait-for-all", read_on_off, show_on_off, ON_OFF, "whether its nodes have quorum.wait_for_all"),
)
"""What a cluster can have of its own, in the file only; fields of ClusterSettings."""

OF_CLUSTER = {option.name: option for option in CLUSTER_OPTIONS}

LIMIT_RANGES: Mapping[str, tuple[float, float]] = {
    "receive_size": (16, 2**31 - 1),
    "send_size": (16, 2**31 - 1),
    "send_buffers": (2, 2**31 - 1),
    "heartbeat_ms_min": (1, 2**32 - 1),
    "heartbeat_ms_max": (1, 2**32 - 1),
    "dead_peer_coefficient": (1, 1_000),
    "ipc_clients": (0, 2**31 - 1),
    "ipc_receive_size": (1_024, 2**31 - 1),
    "ipc_send_size": (1_024, 2**31 - 1),
}
"""Least and most, both allowed: the stock server's. What is not here is above 0 and below 2^31."""

LIMIT_NAMES = {item.name.replace("_", "-"): item.name for item in fields(Limits)}
"""As in the file's table `limits`, with the field of Limits."""


def limit_environment_name(name: str) -> str:
    return f"{ENVIRONMENT_PREFIX}LIMITS_{name.upper().replace('-', '_')}"


def read_limit(name: str, text: str) -> int | float | bool:
    """`name` is a field of Limits."""
    default = getattr(_DEFAULT_LIMITS, name)
    if isinstance(default, bool):
        return read_on_off(text)
    whole = isinstance(default, int)
    least, most = LIMIT_RANGES.get(name, (1 if whole else 0.001, 2**31 - 1))
    allowed = f"{'a whole number' if whole else 'a number'} from {least:.10g} to {most:.10g}"
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        raise ValueError(allowed) from None
    if not least <= value <= most:
        raise ValueError(allowed)
    return value


_DEFAULT_LIMITS = Limits()
