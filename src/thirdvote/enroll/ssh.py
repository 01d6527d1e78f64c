"""The SSH endpoint as a service of the enrolment: its port, its windows, and what they are asked to sign."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncssh

from thirdvote.config_options import show_listen
from thirdvote.enroll import host_keys
from thirdvote.enroll.control import Command, Request
from thirdvote.enroll.desk import Login, LoginDesk, check_file_name
from thirdvote.enroll.passwords import Hasher, as_typed, new_password
from thirdvote.enroll.process import Context
from thirdvote.enroll.settings import listen_of
from thirdvote.enroll.ssh_connection import SshConnection
from thirdvote.enroll.tree import Tree
from thirdvote.enroll.windows import Access, Ended, Window, Windows, source_of
from thirdvote.errors import UserError
from thirdvote.pki import files, policy

CONNECTIONS_MAX = 64
CONNECTIONS_PER_ADDRESS_MAX = 8
"""A setup has one at a time; a program that copies to several files at once a few."""

LOGIN_S = 120.0
"""From the connection to the right password: a person has to find it."""

UNWELCOME_MAX = 32
"""Above that many, until they have been told why; more are just cut off."""

LOGINS_MAX = 24
"""Connections that are not logged in yet; the rest is for those that are. One more takes the place of another."""

KEEPALIVE_S = 15
KEEPALIVES_MAX = 4
"""A client that is gone without a word is noticed after a minute."""

BACKLOG = 32

KEX_ALGORITHMS = MAC_ALGORITHMS = "-*sha1*"
"""The library's, without what rests on SHA-1: OpenSSH has better since version 6.5."""

FOR_S = 900.0
FOR_S_MIN, FOR_S_MAX = 10.0, 86_400.0
"""How long a window is open unless it is said, and what may be said."""

TREES_MAX = 64
"""Sets of files of lasting windows, one for each address; the one that was not used for longest goes first."""

WAY = "ssh"


class SshService:
    """A service of the enrolment. `now` is a clock that only goes on, `wall` is seconds since the epoch."""

    name = "ssh"

    def __init__(self, context: Context, now: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._context = context
        self._now = now
        self._wall = wall
        self._windows = Windows()
        self._hasher = Hasher()
        self._hashing = asyncio.Lock()
        self._signing = asyncio.Lock()
        self._trees: dict[tuple[Access, str], Tree] = {}
        self._connections: set[SshConnection] = set()
        self._host_keys: dict[str, asyncssh.SSHKey] = {}
        self._server: asyncssh.SSHAcceptor | None = None
        self._changed = asyncio.Event()
        self._expiring: asyncio.Task[None] | None = None
        self._fixed_password = ""
        self._has_lasting = False

    # ---- as a service

    def commands(self) -> Mapping[str, Command]:
        return {"open": self._open, "close": self._close}

    def status(self) -> dict[str, Any]:
        return {
            "listen": self._listening_on() if self._server is not None else None,
            "host_keys": {kind: host_keys.fingerprint(key) for kind, key in self._host_keys.items()},
            "windows": [self._view(window) for window in self._windows.all()],
            "connections": len(self._connections),
        }

    async def start(self) -> str:
        _silence(self._context)
        self._fixed_password = _fixed_password(self._context)
        self._host_keys = host_keys.load(self._context.data)
        place = listen_of(self._context.settings.ssh)
        assert place is not None
        host, port = place
        try:
            self._server = await asyncssh.create_server(
                lambda: SshConnection(self), host or "", port, backlog=BACKLOG, reuse_address=True,
                server_host_keys=list(self._host_keys.values()), server_version="thirdvote", encoding=None,
                login_timeout=LOGIN_S, keepalive_interval=KEEPALIVE_S, keepalive_count_max=KEEPALIVES_MAX,
                allow_pty=False, agent_forwarding=False, x11_forwarding=False, kbdint_auth=False, host_based_auth=False,
                gss_host=None, gss_kex=False, gss_auth=False, compression_algs=["none"],
                kex_algs=KEX_ALGORITHMS, mac_algs=MAC_ALGORITHMS, config=None, rdns_lookup=False,
            )  # fmt: skip
        except OSError as error:
            raise _can_not_listen(error, self._context.settings.ssh) from None
        self._expiring = asyncio.get_running_loop().create_task(self._expire())
        await self._open_lasting()
        return f"{self._listening_on()}; {'open all the time' if self._has_lasting else 'closed until `thirdvote enroll open`'}"

    async def stop(self) -> None:
        if self._expiring is not None:
            self._expiring.cancel()
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                connection.send_away("the enrolment stops")
            await self._server.wait_closed()

    def _listening_on(self) -> str:
        assert self._server is not None
        place = listen_of(self._context.settings.ssh)
        assert place is not None
        return show_listen((place[0], self.port))

    @property
    def port(self) -> int:
        assert self._server is not None
        # not get_port, which asyncssh 2.10 does not know: Debian 12 has that
        return next((int(listening.getsockname()[1]) for listening in self._server.sockets), 0)

    # ---- windows

    async def _open_lasting(self) -> None:
        if not self._context.settings.always or self._has_lasting:
            return
        self._has_lasting = True
        self._windows.open_lasting(await self._digest(self._fixed_password), self._now())
        self._context.report.warning("nodes of any cluster are let in all the time, with the password of the settings (enroll-always)")

    async def _open(self, request: Request) -> dict[str, Any]:
        if self._server is None:
            raise UserError("the SSH endpoint does not listen", "`thirdvote enroll status` says why")
        for_s, cluster, replace = _for_s(request), _cluster(request), bool(request.get("replace"))
        password = self._fixed_password or new_password()
        window, ended = self._windows.open(await self._digest(password), self._now(), for_s, cluster, replace)
        self._tell_ended(ended)
        view = self._view(window)
        self._context.report.info(f"window {window.name} is open until {view['until']}, {_for_whom(window)}", cluster)
        self._changed.set()
        return {
            "window": view,
            "password": None if self._fixed_password else password,
            "address": self._context.address(self._context.settings.ssh),
            "port": self.port,
            "host_keys": {kind: host_keys.fingerprint(key) for kind, key in self._host_keys.items()},
        }

    async def _close(self, request: Request) -> dict[str, Any]:
        number, cluster = request.get("window"), request.get("cluster")
        if not (number is None or isinstance(number, int)) or not (cluster is None or isinstance(cluster, str)):
            raise UserError("a window is named by its number, or by its cluster", "`thirdvote enroll status` shows them")
        ended = self._windows.close(number, cluster)
        if not ended and (number is not None or cluster is not None):
            raise UserError("there is no such window", "`thirdvote enroll status` shows those that are open")
        self._tell_ended(ended)
        return {"closed": [self._view(one.window) for one in ended]}

    def _tell_ended(self, ended: list[Ended]) -> None:
        for one in ended:
            self._context.report.info(f"window {one.window.name} has ended: {one.why}", one.window.cluster or one.window.taken_by)
        if not ended:
            return
        self._changed.set()
        self._trees = {key: tree for key, tree in self._trees.items() if self._windows.still_has(key[0])}
        for connection in list(self._connections):
            if connection.access and not self._windows.still_has(connection.access):
                connection.send_away("the enrolment window has ended")

    async def _expire(self) -> None:
        while True:
            self._changed.clear()
            left = self._windows.next_end() - self._now()
            try:
                await asyncio.wait_for(self._changed.wait(), None if left == math.inf else max(0.0, left))
            except TimeoutError:
                self._tell_ended(self._windows.expire(self._now()))

    def _view(self, window: Window) -> dict[str, Any]:
        left = window.until - self._now()
        until = None if left == math.inf else datetime.fromtimestamp(self._wall() + left).astimezone().isoformat(timespec="seconds")
        return {
            "window": window.number,
            "cluster": window.cluster,
            "taken_by": window.taken_by,
            "done": window.fetched,
            "replace": window.replace,
            "lasting": window.lasting,
            "until": until,
            "signed": window.signed,
            "keys": len(window.keys),
        }

    async def _digest(self, password: str) -> bytes:
        return await asyncio.to_thread(self._hasher.digest, as_typed(password))

    # ---- the gate

    def admit(self, connection: SshConnection) -> str | None:
        others = Counter(source_of(other.host) for other in self._connections)
        waiting = [other for other in self._connections if not other.access]
        self._connections.add(connection)
        if len(self._connections) > CONNECTIONS_MAX + UNWELCOME_MAX:
            connection.abort()
            return self._told("far too many connections are open", connection.address)
        if others[source_of(connection.host)] >= CONNECTIONS_PER_ADDRESS_MAX:
            return self._told(f"{CONNECTIONS_PER_ADDRESS_MAX} connections from your address are open", connection.address)
        if len(self._connections) > CONNECTIONS_MAX:
            return self._told("too many connections are open, try again later", connection.address)
        if len(waiting) >= LOGINS_MAX:
            self._make_room(waiting)
        return None

    def _make_room(self, waiting: list[SshConnection]) -> None:
        """Who opens many connections and does not log in loses the oldest of them, and keeps nobody out."""
        crowd = Counter(source_of(each.host) for each in waiting)
        oldest = max(waiting, key=lambda each: (crowd[source_of(each.host)], -each.since))
        oldest.send_away(self._told("too many connections wait for their login, and this one has for longest", oldest.address))

    def _told(self, why: str, address: str) -> str:
        self.refused(why, address)
        return why

    def closed(self) -> str | None:
        if self._windows.anybody_may_enter():
            return None
        return "enrolment is closed: on the arbitrator, open it with `thirdvote enroll open`, then try again with the password it shows"

    async def enter(self, password: str, address: str) -> Access | str:
        async with self._hashing:  # one at a time: strangers may fill this queue, not the processor
            pause = self._windows.pause_left(address, self._now())
            if pause:
                return f"too many wrong passwords: none is looked at for {pause:.0f} s"
            digest = await self._digest(password)
            access = self._windows.enter(digest, address, self._now())
        if access:
            return access
        left = self._windows.tries_left(address)
        pauses = not left or self._windows.pause_left(address, self._now())
        again = "now comes a pause" if pauses else f"{left} more {'try' if left == 1 else 'tries'} before a pause"
        return f"wrong password: it is the one that `thirdvote enroll open` has shown; {again}"

    def enter_by_key(self, fingerprint: str) -> Access:
        return self._windows.enter_by_key(fingerprint, self._now())

    def entered(self, connection: SshConnection) -> LoginDesk:
        if not connection.key:
            self._context.report.info(f"logged in with the password of window {self._names(connection.access)}", None, connection.address)
        tree = self._tree(connection.access, connection.host)
        socket_ = self._context.settings.qnetd_socket
        login = Login(connection.access, connection.address, connection.key)
        return LoginDesk(self, login, tree, socket_, connection.send_away, self._wall)

    def gone(self, connection: SshConnection) -> None:
        self._connections.discard(connection)

    def _tree(self, access: Access, host: str) -> Tree:
        """One for each window; in a lasting one also for each address, as several clusters may come at once."""
        lasts = any(window.lasting for window in self._windows.all() if window.number in access)
        key = (access, source_of(host) if lasts else "")
        tree = self._trees.pop(key, None)
        if tree is None:
            tree = Tree(self._context.authority(), int(self._wall()))
            if len(self._trees) >= TREES_MAX:
                del self._trees[next(iter(self._trees))]
        self._trees[key] = tree
        return tree

    def _names(self, access: Access) -> str:
        return ", ".join(window.name for window in self._windows.all() if window.number in access)

    # ---- the office

    async def sign(self, login: Login, request: bytes, cluster_name: str) -> bytes:
        async with self._signing:  # between the look at the window and the signature nobody else may take it
            try:
                window = self._window_for(login, cluster_name)
                certificate = await asyncio.to_thread(
                    self._context.sign, request, cluster_name, way=WAY, asked_by=login.address, replace=window.replace
                )
            except UserError as error:
                self._context.report.warning(f"no certificate was signed: {error}", _shown_name(cluster_name), login.address)
                raise
            self._windows.has_signed(window, cluster_name, self._now())
        older = ", and the cluster's older ones are revoked" if window.replace else ""
        self._context.report.info(f"a certificate was signed in window {window.name}{older}", cluster_name, login.address)
        return certificate

    def _window_for(self, login: Login, cluster_name: str) -> Window:
        try:
            return self._windows.window_for(login.access, cluster_name, self._now())
        except UserError:
            self._windows.forget_key(login.access, login.key)
            raise

    def keys_came(self, login: Login, fingerprints: list[str]) -> None:
        self._windows.add_keys(login.access, fingerprints, self._now())
        listed = ", ".join(fingerprints[:3]) + (f" and {len(fingerprints) - 3} more" if len(fingerprints) > 3 else "")
        self._context.report.info(
            f"for as long as window {self._names(login.access)} lasts these keys are let in: {listed}", None, login.address
        )

    def certificate_went(self, login: Login, cluster_name: str) -> None:
        window = self._windows.has_fetched(login.access, cluster_name, self._now())
        if window is not None:
            rest = f"window {window.name} is closed, and ends for those who are in at {self._view(window)['until']}"
            self._context.report.info(f"the certificate was fetched: {rest}", cluster_name, login.address)
            self._changed.set()

    def refused(self, what: str, address: str) -> None:
        self._context.report.warning(f"refused: {what}", None, address)


def _for_s(request: Request) -> float:
    value = request.get("for_s", FOR_S)
    if not isinstance(value, int | float) or isinstance(value, bool) or not FOR_S_MIN <= value <= FOR_S_MAX:
        raise UserError(f"a window is open for {FOR_S_MIN:.0f} s to {FOR_S_MAX / 3600:.0f} h", "for example --for 15m")
    return float(value)


def _cluster(request: Request) -> str | None:
    name = request.get("cluster")
    if name is None:
        return None
    if not isinstance(name, str):
        raise UserError("the cluster's name is not a text", "as totem.cluster_name in corosync.conf")
    policy.check_name(name)
    check_file_name(name)
    return name


def _for_whom(window: Window) -> str:
    return "for the first cluster that comes" if window.cluster is None else "for its cluster alone"


def _shown_name(cluster_name: str) -> str | None:
    """What could be no name is left to the text."""
    return cluster_name if cluster_name.isprintable() and len(cluster_name) <= policy.COMMON_NAME_MAX else None


def _fixed_password(context: Context) -> str:
    """Of the settings; empty when each window has its own. UserError."""
    settings = context.settings
    if not settings.password_file:
        return settings.password
    from thirdvote.config_options import read_secret

    path = Path(settings.password_file)
    try:
        return read_secret(files.read(path, "file with the enrolment password").decode("utf-8", "replace").rstrip("\r\n"))
    except ValueError as error:
        raise UserError(f"{path} must have {error}, and nothing else", "for example: openssl rand -base64 18") from None


def _can_not_listen(error: OSError, place: str) -> UserError:
    reason = (error.strerror or str(error)).lower()
    hint = "choose another with --enroll-ssh [ADDR:]PORT, or switch it off: --enroll-ssh off"
    return UserError(f"can not listen on {place} ({reason})", hint)


class _ToReport(logging.Handler):
    """What the library takes for a fault of ours; whatever strangers cause is told by ourselves."""

    def __init__(self, context: Context) -> None:
        super().__init__(logging.ERROR)
        self._context = context

    def emit(self, record: logging.LogRecord) -> None:
        reason = repr(record.exc_info[1]) if record.exc_info else ""
        self._context.report.warning(f"a fault of the SSH endpoint, please report it: {record.getMessage()} {reason}", None, "asyncssh:0")


def _silence(context: Context) -> None:
    logger = logging.getLogger("asyncssh")
    logger.handlers = [_ToReport(context)]
    logger.propagate = False
    logger.setLevel(logging.ERROR)
