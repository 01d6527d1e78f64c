"""The port on which nodes come in: how it is opened, and how connections are taken from it.

Accepting is done here and not by the event loop's server, because of the one case that matters: when no file descriptor
is left, nothing is accepted for a moment, so that the nodes that are connected are served and the log is not flooded.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
from collections.abc import Callable
from pathlib import Path

from thirdvote.config import VOTE_PORT
from thirdvote.errors import PassingError, UserError
from thirdvote.net.connection import prepare_socket

ACCEPTS_PER_TURN = 32
"""A connection costs about 0.1 ms here, so nodes that are connected wait at most 3 ms for newcomers."""

PAUSE_S = 0.5
"""Without accepting, when the system has no file descriptor or memory for one more connection."""

DESCRIPTORS_OF_THE_PROCESS = 32
"""Standard streams, lock, event loop, listening sockets, the certificate files while they are read, libraries."""

STOCK_RUNTIME = Path("/run/corosync-qnetd")
"""There as long as the stock server's service runs. Whose the port is can not be seen from within the sandbox of our own."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


def raise_descriptor_limit() -> int:
    """How many files the process may have open, after asking for as many as it may ask for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 20


def connections_possible(descriptors: int, for_others: int) -> int:
    """Connections of nodes, when `for_others` local ones have to fit beside them: `thirdvote status` works on a full server."""
    reserve = DESCRIPTORS_OF_THE_PROCESS + for_others
    return max(descriptors - reserve, descriptors // 2)


def open_port(host: str | None, port: int, family: int, backlog: int) -> socket.socket:
    """A listening socket. `family` is 4, 6, or 0 for either: without `host` one socket for both, for IPv4 where there is no IPv6."""
    where = _show(host, port)
    failure: OSError | None = None
    for address_family, address in _candidates(host, port, family):
        try:
            return _listen(address_family, address, backlog, dual_stack=family == 0)
        except OSError as error:
            if failure is None or failure.errno in _NO_IPV6:
                failure = error
    assert failure is not None
    raise _cannot_listen(failure, where, port)


def _candidates(host: str | None, port: int, family: int) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    if host is None:
        both = [(socket.AF_INET6, ("::", port)), (socket.AF_INET, ("0.0.0.0", port))]
        return both if family == 0 else [both[0] if family == 6 else both[1]]
    wanted = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}[family]
    try:
        found = socket.getaddrinfo(host, port, family=wanted, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        hint = "give an address of this host, or nothing to listen on all of them"
        raise PassingError(f"the address to listen on, {host}, is not known ({str(error.strerror).lower()})", hint) from None
    return [(entry[0], entry[4]) for entry in found]  # type: ignore[misc]  # only without IPv6 in the build is there another shape


def _listen(family: socket.AddressFamily, address: tuple[str, int], backlog: int, dual_stack: bool) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual_stack)
        listening.bind(address)
        listening.listen(backlog)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _cannot_listen(error: OSError, where: str, port: int) -> UserError:
    match error.errno:
        case errno.EADDRINUSE:
            return _in_use(where, port)
        case errno.EACCES | errno.EPERM:
            return UserError(f"no permission to listen on {where}", "take a port above 1023 with --listen, or grant CAP_NET_BIND_SERVICE")
        case errno.EADDRNOTAVAIL:
            return PassingError(f"can not listen on {where}: this host does not have that address", "`ip address` shows the ones it has")
        case _:
            return UserError(f"can not listen on {where}: {(error.strerror or str(error)).lower()}", "choose another address with --listen")


def _in_use(where: str, port: int) -> UserError:
    if port == VOTE_PORT and STOCK_RUNTIME.is_dir():
        stop = "`systemctl disable --now corosync-qnetd`"
        certificates = "`thirdvote ca import-nss /etc/corosync/qnetd/nssdb` takes its certificates over"
        return UserError(f"{where} is in use, it seems by corosync-qnetd", f"{stop} stops it, {certificates}; or --listen another port")
    hint = f"`ss -ltnp sport = :{port}` as root shows whose it is; or take another port with --listen"
    return UserError(f"{where} is in use by another program", hint)


def _show(host: str | None, port: int) -> str:
    if host is None:
        return f"port {port}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Listener:
    """Calls `accepted(socket, host, port)` for each connection, and `exhausted(reason)` when it has to pause."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listening: socket.socket,
        accepted: Callable[[socket.socket, str, int], None],
        exhausted: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._socket = listening
        self._accepted = accepted
        self._exhausted = exhausted
        self._pause: asyncio.TimerHandle | None = None
        self._resume()

    @property
    def address(self) -> str:
        host, port = self._socket.getsockname()[:2]
        return _show(host, port)

    @property
    def port(self) -> int:
        """As bound, also where 0 was asked for."""
        port: int = self._socket.getsockname()[1]
        return port

    def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                accepted, address = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    continue  # that one connection was gone before it was taken
                self._loop.remove_reader(self._socket)
                self._pause = self._loop.call_later(PAUSE_S, self._resume)
                self._exhausted((error.strerror or str(error)).lower())
                return
            self._take(accepted, address)

    def _take(self, accepted: socket.socket, address: tuple[str, int]) -> None:
        try:
            prepare_socket(accepted)
        except OSError:
            accepted.close()
            return
        self._accepted(accepted, address[0], address[1])
