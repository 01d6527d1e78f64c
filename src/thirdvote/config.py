"""Settings and limits: what can be set, by whom, and every bound of the program with where its figure comes from.

Pure: the caller hands in the environment and the text of the file. A value is looked for in the command's options, the
environment, the file, and is else the default; `Resolved.origins` tells which it was.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

from thirdvote.domain import ClusterName, Handover, TlsSupport, printable
from thirdvote.errors import UsageError, UserError

VOTE_PORT = 5403
"""Registered use of corosync-qnetd."""

ENVIRONMENT_PREFIX = "THIRDVOTE_"

ENVIRONMENT_OTHERS = frozenset({"THIRDVOTE_CONFIG", "THIRDVOTE_DEBUG"})
"""Variables with our prefix that are not settings: the file with the settings, and tracebacks."""

DATA_OF_ROOT = "/var/lib/thirdvote"

SOCKET_PATH_BYTES_MAX = 107
"""Of a Unix socket on Linux: sun_path has 108 bytes, the last of which is 0."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what the network may ask of the voter."""

    receive_size: int = 32_768
    """Bytes of one message from a node, header included: the stock server's, which nodes expect as the least."""
    send_size: int = 32_768
    """Bytes of one message to a node, header included: the stock server's."""
    send_buffers: int = 32
    """Unsent messages to one node before its connection is given up: the stock server's."""
    heartbeat_ms_min: int = 1_000
    heartbeat_ms_max: int = 120_000
    """The stock server's range."""
    dead_peer_coefficient: float = 1.5
    """A node silent for this many heartbeats is gone: the stock server's."""
    dead_peer_enabled: bool = True
    before_init_s: float = 10.0
    """From the connection to a successful INIT, TLS handshake included. A stock node gives up after 8 s by default."""
    connections: int = 16_000
    """In all. One node costs under 24 KiB; the hard limit of open files is the other bound."""
    connections_before_init: int = 5_000
    """Connections that have not joined a cluster, in all: what a restart with thousands of nodes brings at once."""
    connections_per_address: int = 12_000
    """From one address, which all sites behind one NAT share; so that no single one can take all of `connections`."""
    before_init_per_address: int = 4_096
    """From one address, not yet in a cluster: all nodes of a large site at once, yet not all of `connections_before_init`."""
    nodes_per_cluster: int = 128
    """Corosync itself is built for at most 64 nodes or so; twice that is room for odd ones."""
    clusters: int = 10_000
    control_clients: int = 64
    """Open connections on the control socket; each costs a task and a queue."""
    control_line: int = 65_536
    """Bytes of one request on the control socket."""
    control_idle_s: float = 30.0
    """A control connection that asks nothing for that long is closed."""
    control_queue: int = 1_000
    """Events that wait for one slow subscriber before it is closed."""
    history_events: int = 100_000
    """Kept across restarts, in all: some 25 MB."""
    history_per_cluster: int = 2_000
    """Of these, of one cluster: months of a cluster whose nodes restart now and then."""
    ipc_clients: int = 10
    ipc_backlog: int = 10
    ipc_receive_size: int = 4_096
    ipc_send_size: int = 10_485_760
    ipc_idle_s: float = 10.0
    """The stock tool's socket: clients at once (0 for no bound), backlog and sizes are the stock server's, which has no time limit."""
    listen_backlog: int = 1_024
    """All nodes of thousands of sites come back in the same second after a restart; stock's 10 drops them."""
    log_burst: int = 20
    log_per_second: float = 5.0
    """Lines for one kind of network fault before they are counted instead of written."""


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """What one cluster has of its own; None: as for all."""

    handover: Handover | None = None
    late_answers: bool | None = None
    timeout_ms: int | None = None
    sync_timeout_ms: int | None = None
    token_ms: int | None = None
    wait_for_all: bool | None = None


SYNC_TIMEOUT_MS = 30_000
"""quorum.device.sync_timeout, unless corosync.conf says otherwise."""


@dataclass(frozen=True, slots=True)
class ClusterPolicy:
    """What is in force for one cluster. `timeout_ms` is quorum.device.timeout where its heartbeat does not tell it; None: it does."""

    handover: Handover
    late_answers: bool
    timeout_ms: int | None = None
    sync_timeout_ms: int = SYNC_TIMEOUT_MS
    token_ms: int | None = None
    """totem.token as in force; None: not known."""
    wait_for_all: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """What the voter runs with. The second half has no option of ours: only the stock names set it."""

    data: str = DATA_OF_ROOT
    listen_host: str | None = None
    listen_port: int = VOTE_PORT
    tls: TlsSupport = TlsSupport.REQUIRED
    client_certificate: bool = True
    handover: Handover = Handover.SAFE
    late_answers: bool = True
    test_algorithm: bool = False
    keep_active_partition: bool = False
    ledger: str = "sqlite"
    control: str = ""
    qnetd_socket: str = ""
    history: bool = True
    log_format: str = "text"
    log_level: str = "info"
    max_clients: int = 0
    """Connections in all; 0 for no bound but `limits.connections`."""
    limits: Limits = field(default_factory=Limits)
    clusters: Mapping[ClusterName, ClusterSettings] = field(default_factory=dict)

    certificates: str = ""
    """A directory in the layout of corosync-qnetd-certutil; empty for our own layout under `data`."""
    certificate_nickname: str = "QNetd Cert"
    """Of the server's, there."""
    listen_family: int = 0
    """4, 6, or 0 for both."""
    log_target: str = "stderr"
    """stderr or syslog."""
    qnetd_socket_umask: int | None = None
    qnetd_socket_group: int | None = None
    """A numeric group id."""

    def policy_of(self, cluster: ClusterName) -> ClusterPolicy:
        own = self.clusters.get(cluster, _NOTHING_OWN)
        return ClusterPolicy(
            handover=self.handover if own.handover is None else own.handover,
            late_answers=self.late_answers if own.late_answers is None else own.late_answers,
            timeout_ms=own.timeout_ms,
            sync_timeout_ms=SYNC_TIMEOUT_MS if own.sync_timeout_ms is None else own.sync_timeout_ms,
            token_ms=own.token_ms,
            wait_for_all=bool(own.wait_for_all),
        )


_NOTHING_OWN = ClusterSettings()


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


def read_count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 2**31 - 1:
        raise ValueError("a number from 0 to 2147483647")
    return int(text)


CLUSTER_MS_MIN, CLUSTER_MS_MAX = 100, 3_600_000
"""Corosync takes any number; less than a tenth of a second or more than an hour is a slip of the pen: seconds, for example."""


def read_milliseconds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not CLUSTER_MS_MIN <= int(text) <= CLUSTER_MS_MAX:
        raise ValueError(f"milliseconds, from {CLUSTER_MS_MIN} to {CLUSTER_MS_MAX}, as in corosync.conf")
    return int(text)


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
    Option("log-format", one_of("text", "json"), str, "text|json", "one line or one JSON object for each event"),
    Option("log-level", one_of("debug", "info", "warning", "error"), str, "debug|info|warning|error", "the least level that is logged"),
    Option("max-clients", read_count, str, "N", "connections in all, 0 for no bound but limits.connections"),
)

BY_NAME = {option.name: option for option in OPTIONS}

CLUSTER_OPTIONS = (
    BY_NAME["handover"],
    BY_NAME["late-answers"],
    Option(
        "timeout", read_milliseconds, str, "MS", "quorum.device.timeout of its nodes, where their heartbeat does not tell", "timeout_ms"
    ),
    Option("sync-timeout", read_milliseconds, str, "MS", "quorum.device.sync_timeout of its nodes", "sync_timeout_ms"),
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


# ---- from where


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
            message = f"{self.where} is {quoted(self.text)}, but must be {error}"
            raise kind(message, "`thirdvote serve --help` and docs/configuration.md say what each setting means") from None


FLAG = "flag"


def resolve(
    flags: Mapping[str, str],
    environ: Mapping[str, str],
    file: ConfigFile | None,
    default_data: str,
    defaults: Settings = Settings(),
) -> Resolved:
    """`flags` by the name of the option ("tls") or of the limit ("limits.clusters"); raises UserError for whatever does not fit."""
    given: dict[str, Given] = {}
    clusters: Mapping[ClusterName, ClusterSettings] = {}
    if file is not None:
        found, clusters = _from_file(file)
        given |= found
    given |= _from_environment(environ)
    given |= {name: Given(text, f"--{name}", FLAG) for name, text in flags.items()}
    settings = _settings(given, replace(defaults, data=default_data, clusters=clusters))
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
        control=settings.control or _socket_in(settings.data, "control.sock", "control"),
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
    variables = {option.environment_name: option.name for option in OPTIONS}
    variables |= {limit_environment_name(name): f"limits.{name}" for name in LIMIT_NAMES}
    given = {}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in ENVIRONMENT_OTHERS:
            continue
        if variable not in variables:
            raise UserError(f"the environment variable {quoted(variable)} is not one of ours", _nearest(variable, variables))
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


def default_data(user_data_home: str | None) -> str:
    """`user_data_home` is None for root, else $XDG_DATA_HOME or ~/.local/share."""
    return DATA_OF_ROOT if user_data_home is None else f"{user_data_home.rstrip('/')}/thirdvote"
