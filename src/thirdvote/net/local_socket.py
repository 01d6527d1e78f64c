"""Unix sockets on which programs of this host reach the voter: made without a gap in which others could use them, removed at the end."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

from thirdvote.errors import UserError

PATH_BYTES_MAX = 107
"""Of the address of a Unix socket, on Linux."""


def open_local_socket(path: Path, mode: int, backlog: int) -> socket.socket:
    """A listening socket at `path`. One that a program which died has left there is replaced; one that answers is not."""
    if len(os.fsencode(path)) > PATH_BYTES_MAX:
        raise UserError(f"the path of the socket {path} is longer than {PATH_BYTES_MAX} bytes", "choose a shorter one with --control")
    try:
        _make_way(path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _bind(listening, path, mode)
            listening.listen(backlog)
            listening.setblocking(False)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        hint = f"the directory {path.parent} must exist and be writable by the user that runs the arbitrator"
        raise UserError(f"can not make the socket {path} ({(error.strerror or str(error)).lower()})", hint) from None
    return listening


def _bind(listening: socket.socket, path: Path, mode: int) -> None:
    before = os.umask(0o777 & ~mode)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)


def _make_way(path: Path) -> None:
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise UserError(f"{path} exists and is not a socket", f"remove it if nobody needs it: rm {path}")
    if _answers(path):
        raise UserError(f"another program answers on the socket {path}", "stop it, or choose another path with --control or --qnetd-socket")
    path.unlink()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except OSError as error:
            return error.errno in (errno.EAGAIN, errno.EACCES, errno.EPERM)
        return True


def remove_local_socket(listening: socket.socket, path: Path) -> None:
    """Unless somebody has replaced it meanwhile, which `listening` itself cannot tell: the caller holds the lock on the data."""
    listening.close()
    path.unlink(missing_ok=True)
