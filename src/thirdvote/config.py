"""Settings and limits: what can be set, by whom, and every bound of the program with where its figure comes from.

Pure: the caller hands in the environment and the text of the file. A value is looked for in the command's options, the
environment, the file, and is else the default; `Resolved.origin` tells which it was.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from thirdvote.domain import Handover, TlsSupport
from thirdvote.errors import UserError

VOTE_PORT = 5403
"""Registered use of corosync-qnetd."""

ENVIRONMENT_PREFIX = "THIRDVOTE_"


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
    connections: int = 20_000
    """In all. One node costs under 24 KiB; the hard limit of open files is the other bound."""
    connections_before_init: int = 2_000
    """Connections that have not joined a cluster, in all: what a restart with thousands of nodes brings at once."""
    connections_per_address: int = 4_096
    """From one address, whatever it says it is. Sites behind one NAT share an address, so this is generous."""
    before_init_per_address: int = 256
    """From one address, not yet in a cluster: one hostile host can not use up `connections_before_init`."""
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
    ipc_clients: int = 10
    ipc_receive_size: int = 4_096
    ipc_idle_s: float = 10.0
    """The stock tool's socket: the first two are the stock server's, which has no time limit."""
    listen_backlog: int = 1_024
    """All nodes of thousands of sites come back in the same second after a restart; stock's 10 drops them."""
    log_burst: int = 20
    log_per_second: float = 5.0
    """Lines for one kind of network fault before they are counted instead of written."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What `thirdvote serve` runs with."""

    data: str = "/var/lib/thirdvote"
    listen_host: str | None = None
    listen_port: int = VOTE_PORT
    tls: TlsSupport = TlsSupport.REQUIRED
    client_certificate: bool = True
    handover: Handover = Handover.STOCK
    test_algorithm: bool = False
    keep_active_partition: bool = False
    control: str = ""
    qnetd_socket: str = ""
    log_format: str = "text"
    log_level: str = "info"
    max_clients: int = 0
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that can be set. `read` turns text into a value or raises ValueError with what is allowed."""

    name: str
    """As in `--tls`, `THIRDVOTE_TLS` and `tls = …`."""
    read: Callable[[str], Any]
    show: Callable[[Any], str]
    metavar: str
    help: str

    @property
    def environment_name(self) -> str:
        return ENVIRONMENT_PREFIX + self.name.upper().replace("-", "_")
