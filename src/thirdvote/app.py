"""The composition root: puts the rooms together into the process that `thirdvote serve` is."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from thirdvote import __version__
from thirdvote.arbiter.arbiter import Arbiter
from thirdvote.arbiter.interface import Level, Persist, Persisted
from thirdvote.arbiter.record import Past
from thirdvote.config import CONTROL_SOCKET, SYNC_TIMEOUT_MS, Settings
from thirdvote.container import is_container
from thirdvote.domain import TlsSupport
from thirdvote.enroll.addresses import best_address
from thirdvote.enroll.settings import EnrollSettings
from thirdvote.errors import UserError
from thirdvote.ledger.interface import Found, LedgerProblem
from thirdvote.ledger.sqlite import SqliteLedger
from thirdvote.ledger.writer import LedgerWriter
from thirdvote.net.certificates import Certificates, Loaded, Warned
from thirdvote.net.child_process import ChildProcess
from thirdvote.net.control import Control
from thirdvote.net.history import HISTORY, STARTED, STOPPED, History
from thirdvote.net.instance import DataLock
from thirdvote.net.listener import Listener, connections_possible, open_port, raise_descriptor_limit
from thirdvote.net.local_socket import open_local_socket, remove_local_socket
from thirdvote.net.log import FORMATS, LEVELS, Event, LineWriter, Log
from thirdvote.net.qnetd_socket import QnetdSocket
from thirdvote.net.syslog import SyslogWriter
from thirdvote.net.systemd import notify, watchdog_interval_s
from thirdvote.net.tls import CertificatePaths, server_context
from thirdvote.net.views import TLS
from thirdvote.net.voter import Voter
from thirdvote.pki import revocation_list
from thirdvote.pki.child import Prepared, prepare_data, prepare_stock, record_uses
from thirdvote.qnetd_text import ServerStatus
from thirdvote.revocations import Revocations

LIVE = frozenset({"log_level", "limits", "handover", "late_answers", "clusters", "test_algorithm", "keep_active_partition", "max_clients"})
"""Settings that a running voter takes over; all others need a restart."""

STANDARD_ERROR = 2

DAEMON_NAME = "corosync-qnetd"
"""In the system's log: only the stock name runs without standard error."""

CONTROL_MODE = 0o600
QNETD_MODE = 0o660
"""Whoever may write to these sockets may end the voter."""

DOUBT_MARGIN = 1.1
"""For clocks that differ, and a process that is held up."""

Reload = Callable[[], Settings]


def serve(settings: Settings, reload: Reload | None = None) -> None:
    """Runs the voter until SIGTERM, SIGINT or a `shutdown` on one of its sockets. A start that cannot work raises UserError.

    `reload` gives the settings anew on SIGHUP; its UserError is logged, and the old ones stay.
    """
    _fill_standard_streams()
    data = Path(settings.data)
    lock = DataLock(data)
    lock.take()
    try:
        process = _Process(settings, reload)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(process.run())
    finally:
        lock.release()


def _fill_standard_streams() -> None:
    """One that was closed before the start would become the next file or connection that is opened, and the log would go there."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        pass
    os.close(descriptor)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _prepare_certificates(settings: Settings) -> Prepared:
    """In a process of its own: the authority's key never comes into this one.

    Under a stock name they are where the stock tools keep them, and are made with these.
    """
    if settings.certificates:
        return prepare_stock(Path(settings.certificates), Path(settings.data), settings.certificate_nickname)
    return prepare_data(Path(settings.data))


def _load_certificates(settings: Settings) -> Loaded:
    """UserError."""
    if settings.tls is TlsSupport.UNSUPPORTED:
        return Loaded()
    prepared = _prepare_certificates(settings)
    found = prepared.paths
    paths = CertificatePaths(found.server_certificate, found.server_key, found.ca_certificate)
    own_layout = not settings.certificates
    return Loaded(
        context=server_context(paths, settings.client_certificate),
        revocations=revocation_list.read(found.server_certificate.parent) if own_layout else Revocations(),
        warnings=tuple(map(Warned.of, prepared.warnings)),
        facts=prepared.facts,
        renewed=prepared.renewed,
    )


class _Process:
    """Opens at once all that a start can fail on, then runs."""

    def __init__(self, settings: Settings, reload: Reload | None) -> None:
        self._settings = settings
        self._reload = reload
        self._started = time.monotonic()
        self._started_at = datetime.now(UTC)
        self._descriptors = raise_descriptor_limit()
        self._has_stopped = False
        self._enroll_settings = EnrollSettings.of(settings)
        limits = settings.limits
        # Before the certificates: where the port is corosync-qnetd's, there is no authority yet in the way of the one to be taken over.
        self._port = open_port(settings.listen_host, settings.listen_port, settings.listen_family, limits.listen_backlog)
        self._loaded = _load_certificates(settings)
        self._control_path = Path(settings.control or Path(settings.data) / CONTROL_SOCKET)
        self._control_socket = open_local_socket(self._control_path, CONTROL_MODE, limits.control_clients)
        self._qnetd_path = Path(settings.qnetd_socket) if settings.qnetd_socket else None
        self._qnetd_socket: socket.socket | None = None
        if self._qnetd_path is not None:
            self._qnetd_socket = _open_qnetd_socket(settings, self._qnetd_path)
        self._writer = SyslogWriter(DAEMON_NAME) if settings.log_target == "syslog" else LineWriter(STANDARD_ERROR)
        self._log = Log(self._writer.write, FORMATS[_log_format(settings)], LEVELS[settings.log_level], limits)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._reloads: set[asyncio.Task[None]] = set()
        self._loop = loop
        self._enrolment: ChildProcess | None = None
        self._ledger = LedgerWriter(
            SqliteLedger(Path(self._settings.data) / "ledger.db"),
            lambda tickets, problem: self._in_loop(self._persisted, tickets, problem),
            lambda problem: self._in_loop(self._ledger_changed, problem),
            doubt_s(self._settings),
        )
        started, found = loop.time(), self._ledger.open()
        past = Past(started, found.records, complete=not found.doubt)
        arbiter = Arbiter(self._settings, past, self._say_time)
        self._voter = Voter(loop, arbiter, self._settings, self._loaded.context, self._log, self._most(), self._keep)
        self._certificates = Certificates(self._voter, self._loaded, lambda: _load_certificates(self._settings), self._record_uses)
        self._history = self._begin_history()
        self._control = Control(self._voter, self._status, self._ended.set, self._certificates, self._history)
        self._qnetd = QnetdSocket(self._voter, self._server_status, self._ended.set)
        await self._control.start(self._control_socket)
        if self._qnetd_socket is not None:
            await self._qnetd.start(self._qnetd_socket)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ended.set)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        # Modules and settings stay as long as the process: no collection needs to look at them again.
        gc.collect()
        gc.freeze()
        self._listener = Listener(loop, self._port, self._voter.accepted, self._voter.exhausted)
        self._say_started()
        self._say_ledger(found)
        if found.is_first:
            self._say_first_start()
        notify("READY=1")
        watchdog = self._watch(loop)
        self._enrolment = self._begin_enrolment()
        await self._ended.wait()
        if watchdog is not None:
            watchdog.cancel()
        await self._stop()

    async def _stop(self) -> None:
        notify("STOPPING=1")
        self._log.info("stopping", "nodes are disconnected without a decision")
        self._listener.close()
        self._certificates.stop()
        await self._voter.stop()
        if self._enrolment is not None:
            await self._enrolment.stop()
        self._has_stopped = True
        await asyncio.to_thread(self._ledger.close)
        await self._control.stop()
        await self._qnetd.stop()
        remove_local_socket(self._control_socket, self._control_path)
        if self._qnetd_socket is not None and self._qnetd_path is not None:
            remove_local_socket(self._qnetd_socket, self._qnetd_path)
        self._voter.tell(Event(Level.INFO, STOPPED, "all connections are closed"))
        if self._history is not None:
            self._history.stop()
        self._writer.close()

    def _record_uses(self) -> None:
        """UserError."""
        if self._loaded.context is not None and not self._settings.certificates:
            record_uses(Path(self._settings.data), self._control_path)

    def _most(self) -> int:
        """Connections of nodes that fit in all."""
        limits = self._settings.limits
        possible = connections_possible(self._descriptors, limits.control_clients + limits.ipc_clients)
        return min(limits.connections, possible, self._settings.max_clients or limits.connections)

    def _say_started(self) -> None:
        settings = self._settings
        certificates = "client certificates required" if settings.client_certificate else "no client certificates"
        tls = "no TLS" if self._loaded.context is None else f"TLS {TLS[settings.tls]}, {certificates}"
        text = f"thirdvote {__version__} listens on {self._listener.address}, {tls}, data in {settings.data}"
        self._voter.tell(Event(Level.INFO, STARTED, text))
        if self._voter.admission.most < settings.limits.connections and not settings.max_clients:
            text = f"at most {self._voter.admission.most} nodes can be connected: this process may open only {self._descriptors} files"
            self._log.info("limit", text)
        self._certificates.start()

    def _say_first_start(self) -> None:
        """What a newcomer needs; said once."""
        if not self._enroll_settings.is_wanted:
            return
        address = self._enroll_settings.address or best_address((self._settings.listen_host, self._listener.port))
        command = f"docker exec {socket.gethostname()} thirdvote enroll open" if is_container() else "thirdvote enroll open"
        where = f"nodes reach the arbitrator at {address}, port {self._listener.port}"
        self._log.info("first-start", f"this is the first start: {where}; to let a cluster in: {command}")

    def _watch(self, loop: asyncio.AbstractEventLoop) -> asyncio.Task[None] | None:
        interval = watchdog_interval_s()
        return None if interval is None else loop.create_task(_ping(interval))

    def _say_time(self, time_: float) -> str:
        """Of the loop's clock, as the clock on the wall will show it."""
        return f"{datetime.now() + timedelta(seconds=time_ - self._loop.time()):%H:%M:%S}"

    # ---- the ledger

    def _say_ledger(self, found: Found) -> None:
        problem = self._ledger.state.problem
        if problem is not None:
            self._ledger_changed(problem)
        if found.doubt:
            text = f"{found.doubt}: a cluster waits until no vote of before can count any more, unless all of its nodes are together"
            self._voter.tell(Event(Level.INFO if found.is_first else Level.WARNING, "ledger", text))

    def _keep(self, effect: Persist) -> None:
        self._ledger.keep(effect.ticket, effect.cluster, effect.record)

    def _in_loop(self, call: Callable[..., None], *arguments: Any) -> None:
        """From the ledger's thread."""
        with suppress(RuntimeError):  # the loop is closed: a disk was so slow that the stop did not wait for it
            self._loop.call_soon_threadsafe(call, *arguments)

    def _persisted(self, tickets: tuple[int, ...], problem: str) -> None:
        if not self._has_stopped:
            self._voter.feed(Persisted(tickets, problem))

    def _ledger_changed(self, problem: LedgerProblem | None) -> None:
        if problem is None:
            self._voter.tell(Event(Level.INFO, "ledger", "the ledger is written again"))
            return
        hint = f" (hint: {problem.hint})" if problem.hint else ""
        self._voter.tell(Event(Level.ERROR, "ledger", f"no vote is given that needs a new record: {problem}{hint}"))

    def _begin_enrolment(self) -> ChildProcess | None:
        """It has the authority's key, and whatever happens to it happens to it alone."""
        if not self._enroll_settings.is_wanted:
            return None
        enrolment = ChildProcess("enrolment", "thirdvote.enroll", self._enroll_settings.to_line(), self._voter.tell)
        enrolment.start()
        return enrolment

    def _begin_history(self) -> History | None:
        if not self._settings.history:
            return None
        path = Path(self._settings.data) / "history.db"
        history = History(path, self._settings.limits, lambda level, text: self._log.write(Event(level, HISTORY, text)))
        self._voter.subscribe(history.take, Level.INFO)
        return history

    # ---- SIGHUP

    def _hang_up(self) -> None:
        task = asyncio.get_running_loop().create_task(self._read_again())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _read_again(self) -> None:
        """Files are read and certificates looked at beside the loop: nodes are served meanwhile."""
        try:
            async with self._reloading:
                wanted = self._settings if self._reload is None else await asyncio.to_thread(self._reload)
                await self._certificates.read_again()
        except UserError as error:
            self._log.error("reload", f"nothing was changed: {error.with_hint}")
            return
        self._take_over(wanted)

    def _take_over(self, wanted: Settings) -> None:
        changed = [field.name for field in fields(Settings) if getattr(wanted, field.name) != getattr(self._settings, field.name)]
        self._settings = replace(self._settings, **{name: getattr(wanted, name) for name in changed if name in LIVE})
        self._log.level = LEVELS[self._settings.log_level]
        self._voter.reconfigure(self._settings, self._most())
        if self._history is not None:
            self._history.set_limits(self._settings.limits)
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
            "ledger": self._ledger_status(),
            "history": {"kept": self._history is not None, "problem": None if self._history is None else self._history.problem},
            "control": str(self._control_path),
            "qnetd_socket": settings.qnetd_socket or None,
            "certificates": self._certificates.status(),
            "enrolment": None if self._enrolment is None else self._enrolment.status() | {"always": settings.enroll_always},
            "log_level": settings.log_level,
            "limits": asdict(settings.limits),
        }

    def _ledger_status(self) -> dict[str, Any]:
        state = self._ledger.state
        return {
            "path": state.place,
            "state": "ok" if state.problem is None else "failing",
            "problem": None if state.problem is None else str(state.problem),
            "hint": None if state.problem is None else state.problem.hint,
            "records": state.records,
            "past_complete": not state.doubt,
            "commits": state.commits,
            "last_commit_ms": state.last_commit_ms,
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


def doubt_s(settings: Settings) -> float:
    """After a start: how long a vote of which nothing is known can count. A node that is silent since then reports quorum for a
    heartbeat and quorum.device.timeout, which is 1.25 heartbeats; one whose ring changes just before for sync_timeout more. The margin
    covers token timeouts as they are usual; a longer one is set, and it takes Corosync two and a half of them to be done with a loss.
    """
    heartbeat_ms = settings.limits.heartbeat_ms_max
    timeouts = (own.timeout_ms or 0 for own in settings.clusters.values())
    sync_timeouts = (own.sync_timeout_ms or 0 for own in settings.clusters.values())
    tokens_ms = 2.5 * max((own.token_ms or 0 for own in settings.clusters.values()), default=0)
    total_ms = heartbeat_ms + max(heartbeat_ms * 1.25, *timeouts, 0) + max(SYNC_TIMEOUT_MS, *sync_timeouts, 0) + tokens_ms
    return DOUBT_MARGIN * total_ms / 1_000


def _open_qnetd_socket(settings: Settings, path: Path) -> socket.socket:
    umask, group = settings.qnetd_socket_umask, settings.qnetd_socket_group
    opened = open_local_socket(path, QNETD_MODE if umask is None else 0o777 & ~umask, settings.limits.ipc_backlog)
    if group is not None:
        try:
            os.chown(path, -1, group)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UserError(f"can not give the socket {path} to the group {group} ({reason})", "choose a group of this user") from None
    return opened


async def _ping(interval_s: float) -> None:
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval_s)


def _log_format(settings: Settings) -> str:
    """Text becomes the journal's own form when standard error is connected to it, and for the system's log."""
    if settings.log_target == "syslog":
        return "journal"
    found = os.fstat(STANDARD_ERROR)
    to_journal = os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
    return "journal" if settings.log_format == "text" and to_journal else settings.log_format


def _listed(names: Iterable[str]) -> str:
    return ", ".join(name.replace("_", "-") for name in names) or "nothing"
