"""Settings and limits: what the program runs with, and every bound of it with where its figure comes from.

How each is written is in `config_options`, where it is looked for in `config_sources`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from thirdvote.domain import ClusterName, Handover, TlsSupport

VOTE_PORT = 5403
"""Registered use of corosync-qnetd."""

ENROLL_SSH_PORT = 2222
ENROLL_HTTPS_PORT = 5443
"""Where nodes are let in: above 1023, so that no root is needed."""

OFF = "off"

DATA_OF_ROOT = "/var/lib/thirdvote"

SYSTEM_CONFIG = "/etc/thirdvote/thirdvote.toml"
"""What the service reads, and root's commands with it."""

CONTROL_SOCKET = "control.sock"
"""The voter's, in its data directory, unless it is elsewhere."""

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
    enroll_ssh: str = f"*:{ENROLL_SSH_PORT}"
    """`[ADDR:]PORT`, or OFF."""
    enroll_https: str = f"*:{ENROLL_HTTPS_PORT}"
    """`[ADDR:]PORT`, or OFF."""
    enroll_address: str = ""
    """What a person is told to type for this host; empty: as good as it can be guessed."""
    enroll_password: str = ""
    """Of every window; empty: a new one for each."""
    enroll_password_file: str = ""
    """A file with it; empty: none."""
    enroll_always: bool = False

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


def default_data(user_data_home: str | None) -> str:
    """`user_data_home` is None for root, else $XDG_DATA_HOME or ~/.local/share."""
    return DATA_OF_ROOT if user_data_home is None else f"{user_data_home.rstrip('/')}/thirdvote"
