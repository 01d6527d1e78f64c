"""The composition root: puts the rooms together into the process that `thirdvote serve` is."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from thirdvote import __version__
from thirdvote.arbiter.arbiter import Arbiter
from thirdvote.config import Settings
from thirdvote.domain import TlsSupport
from thirdvote.errors import UserError
from thirdvote.net.control import Control
from thirdvote.net.instance import DataLock
from thirdvote.net.listener import Listener, connections_possible, open_port, raise_descriptor_limit
from thirdvote.net.local_socket import open_local_socket, remove_local_socket
from thirdvote.net.log import FORMATS, LEVELS, LineWriter, Log
from thirdvote.net.qnetd_socket import QnetdSocket
from thirdvote.net.systemd import notify, watchdog_interval_s
from thirdvote.net.tls import CertificatePaths, server_context
from thirdvote.net.views import TLS
from thirdvote.net.voter import Voter
from thirdvote.qnetd_text import ServerStatus

LIVE = frozenset({"log_level", "limits", "handover", "test_algorithm", "keep_active_partition", "max_clients"})
"""Settings that a running voter takes over; all others need a restart."""

STANDARD_ERROR = 2

CONTROL_MODE = 0o600
QNETD_MODE = 0o660
"""Whoever may write to these sockets may end the voter."""

Reload = Callable[[], Settings]


@dataclass(frozen=True, slots=True)
class Paths:
    """`made_here`: certificates that are missing are made at the start."""

    certificates: CertificatePaths
    made_here: bool = True

    @classmethod
    def under(cls, data: Path) -> Paths:
        return cls(CertificatePaths(data / "server.crt", data / "server.key", data / "ca.crt"))


def serve(settings: Settings, paths: Paths | None = None, reload: Reload | None = None) -> None:
    """Runs the voter until SIGTERM, SIGINT or a `shutdown` on one of its sockets. A start that cannot work raises UserError.

    `reload` gives the settings anew on SIGHUP; its UserError is logged, and the old ones stay.
    """
    data = Path(settings.data)
    lock = DataLock(data)
    lock.take()
    try:
        process = _Process(settings, paths or Paths.under(data), reload)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(process.run())
    finally:
        lock.release()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _make_certificates(data: Path) -> None:
    """In a process of its own: the authority's key never comes into this one."""
    command = [sys.executable, "-m", "thirdvote.pki", "ensure", str(data)]
    made = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if made.returncode:
        said = made.stderr.strip().splitlines() or [f"it ended with status {made.returncode}"]
        hints = [line.partition("hint: ")[2] for line in said if "hint: " in line]
        raise UserError(said[0].removeprefix("thirdvote: ").removeprefix("error: "), hints[0] if hints else None)


class _Process:
    """Opens at once all that a start can fail on, then runs."""

    def __init__(self, settings: Settings, paths: Paths, reload: Reload | None) -> None:
        self._settings = settings
        self._paths = paths
        self._reload = reload
        self._started = time.monotonic()
        self._started_at = datetime.now(UTC)
        self._descriptors = raise_descriptor_limit()
        self._context = self._tls_context()
        limits = settings.limits
        self._port = open_port(settings.listen_host, settings.listen_port, settings.listen_family, limits.listen_backlog)
        self._control_path = Path(settings.control or Path(settings.data) / "control.sock")
        self._control_socket = open_local_socket(self._control_path, CONTROL_MODE, limits.control_clients)
        self._qnetd_path = Path(settings.qnetd_socket) if settings.qnetd_socket else None
        self._qnetd_socket: socket.socket | None = None
        if self._qnetd_path is not None:
            self._qnetd_socket = open_local_socket(self._qnetd_path, QNETD_MODE, max(limits.ipc_clients, 1))
        self._writer = LineWriter(STANDARD_ERROR)
        self._log = Log(self._writer.write, FORMATS[_log_format(settings)], LEVELS[settings.log_level], limits)

    def _tls_context(self) -> ssl.SSLContext | None:
        if self._settings.tls is TlsSupport.UNSUPPORTED:
            return None
        certificates = self._paths.certificates
        wanted = (certificates.certificate, certificates.key, certificates.authority)
        if self._paths.made_here and not all(path.exists() for path in wanted):
            _make_certificates(Path(self._settings.data))
        return server_context(certificates, self._settings.client_certificate)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._voter = Voter(loop, Arbiter(self._settings), self._settings, self._context, self._log, self._most())
        self._control = Control(self._voter, self._status, self._ended.set)
        self._qnetd = QnetdSocket(self._voter, self._server_status, self._ended.set)
        await self._control.start(self._control_socket)
        if self._qnetd_socket is not None:
            await self._qnetd.start(self._qnetd_socket)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ended.set)
        loop.add_signal_handler(signal.SIGHUP, self._take_new_settings)
        # Modules and settings stay as long as the process: no collection needs to look at them again.
        gc.collect()
        gc.freeze()
        self._listener = Listener(loop, self._port, self._voter.accepted, self._voter.exhausted)
        self._say_started()
        notify("READY=1")
        watchdog = self._watch(loop)
        await self._ended.wait()
        if watchdog is not None:
            watchdog.cancel()
        await self._stop()

    async def _stop(self) -> None:
        notify("STOPPING=1")
        self._log.info("stopping", "stopping: nodes are disconnected without a decision")
        self._listener.close()
        await self._voter.stop()
        await self._control.stop()
        await self._qnetd.stop()
        remove_local_socket(self._control_socket, self._control_path)
        if self._qnetd_socket is not None and self._qnetd_path is not None:
            remove_local_socket(self._qnetd_socket, self._qnetd_path)
        self._log.info("stopped", "stopped")
        self._writer.close()

    def _most(self) -> int:
        """Connections of nodes that fit in all."""
        limits = self._settings.limits
        possible = connections_possible(self._descriptors, limits.control_clients + limits.ipc_clients)
        return min(limits.connections, possible, self._settings.max_clients or limits.connections)

    def _say_started(self) -> None:
        settings = self._settings
        certificates = "client certificates required" if settings.client_certificate else "no client certificates"
        tls = "no TLS" if self._context is None else f"TLS {TLS[settings.tls]}, {certificates}"
        self._log.info("started", f"thirdvote {__version__} listens on {self._listener.address}, {tls}, data in {settings.data}")
        if self._voter.admission.most < settings.limits.connections and not settings.max_clients:
            text = f"at most {self._voter.admission.most} nodes can be connected: this process may open only {self._descriptors} files"
            self._log.info("limit", text)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> asyncio.Task[None] | None:
        interval = watchdog_interval_s()
        return None if interval is None else loop.create_task(_ping(interval))

    # ---- SIGHUP

    def _take_new_settings(self) -> None:
        try:
            wanted = self._reload() if self._reload is not None else self._settings
            if self._context is not None:
                self._voter.context = server_context(self._paths.certificates, self._settings.client_certificate)
        except UserError as error:
            hint = f" (hint: {error.hint})" if error.hint else ""
            self._log.error("reload", f"nothing was changed: {error}{hint}")
            return
        changed = [field.name for field in fields(Settings) if getattr(wanted, field.name) != getattr(self._settings, field.name)]
        self._settings = replace(self._settings, **{name: getattr(wanted, name) for name in changed if name in LIVE})
        self._log.level = LEVELS[self._settings.log_level]
        self._voter.reconfigure(self._settings, self._most())
        self._log.info("reload", f"settings and certificates were read again; changed: {_listed(name for name in changed if name in LIVE)}")
        later = [name for name in changed if name not in LIVE]
        if later:
            self._log.warning("reload", f"a restart is needed for: {_listed(later)}")

    # ---- what others are told

    def _status(self) -> dict[str, Any]:
        settings, voter = self._settings, self._voter
        connections, clusters = voter.arbiter.counts()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "uptime_s": round(time.monotonic() - self._started, 3),
            "started_at": self._started_at.isoformat(timespec="seconds"),
            "listen": self._listener.address,
            "tls": TLS[settings.tls],
            "client_certificate": settings.client_certificate,
            "handover": settings.handover.value,
            "test_algorithm": settings.test_algorithm,
            "connections": connections,
            "connections_before_init": voter.admission.before_init,
            "connections_max": voter.admission.most,
            "clusters": clusters,
            "data": settings.data,
            "control": str(self._control_path),
            "qnetd_socket": settings.qnetd_socket or None,
            "log_level": settings.log_level,
            "limits": asdict(settings.limits),
        }

    def _server_status(self) -> ServerStatus:
        settings = self._settings
        clients, clusters = self._voter.arbiter.counts()
        return ServerStatus(
            host=settings.listen_host,
            port=self._listener.port,
            tls=settings.tls,
            client_certificate=settings.client_certificate,
            clients=clients,
            clusters=clusters,
            max_clients=settings.max_clients,
            send_size=settings.limits.send_size,
            receive_size=settings.limits.receive_size,
        )


async def _ping(interval_s: float) -> None:
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval_s)


def _log_format(settings: Settings) -> str:
    """Text becomes the journal's own form when standard error is connected to it."""
    found = os.fstat(STANDARD_ERROR)
    to_journal = os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
    return "journal" if settings.log_format == "text" and to_journal else settings.log_format


def _listed(names: Iterable[str]) -> str:
    return ", ".join(name.replace("_", "-") for name in names) or "nothing"
