"""`corosync-qnetd-tool`: asks a server, ours or the stock one, over the stock server's local socket."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace

from thirdvote.cli import output
from thirdvote.cli.getopt import BadOption, options
from thirdvote.cli.qnetd_options import LOCAL_SOCKET_FILE
from thirdvote.config import SOCKET_PATH_BYTES_MAX

PROGRAM = "corosync-qnetd-tool"
KNOWN = "Hhlsvc:p:"
USAGE = "usage: corosync-qnetd-tool [-Hhlsv] [-c cluster_name] [-p qnetd_ipc_socket_path]\n"

EXIT_USAGE = 1
EXIT_INTERNAL = 2
EXIT_CONNECTION = 3
EXIT_REFUSED = 4

RECEIVE_BYTES = 65_536
STATUS_LINE_BYTES_MAX = 4_096
"""Of "OK" or "Error"; a longer first line is not an answer."""

_STATUS_LINE = re.compile(rb"(?P<status>[^\r\n]{0,%d})(?:\r\n|\r|\n)" % STATUS_LINE_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class Call:
    command: str = ""
    verbose: bool = False
    cluster: str | None = None
    socket: str = LOCAL_SOCKET_FILE

    def request(self) -> bytes:
        words = self.command
        words += " verbose" if self.verbose else ""
        words += f' cluster "{_escaped(self.cluster)}"' if self.cluster is not None else ""
        return os.fsencode(f"{words} \n")


class Failure(Exception):
    """`status` is the exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def main(arguments: Sequence[str]) -> int:
    try:
        call = parse(arguments)
    except BadOption as problem:
        output.raw_error(f"{PROGRAM}: {problem}\n")
        call = Call()
    if not call.command:
        output.raw(USAGE)
        return EXIT_USAGE
    try:
        return _ask(call)
    except Failure as failure:
        output.raw_error(f"{PROGRAM}: {failure}\n")
        return failure.status


def parse(arguments: Sequence[str]) -> Call:
    """No command stands for: show the usage."""
    call = Call()
    for letter, value in options(KNOWN, arguments):
        match letter:
            case "h":
                return Call()
            case "H" | "l" | "s":
                call = replace(call, command={"H": "shutdown", "l": "list", "s": "status"}[letter])
            case "v":
                call = replace(call, verbose=True)
            case "c":
                call = replace(call, cluster=value)
            case _:
                call = replace(call, socket=value)
    return call


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _ask(call: Call) -> int:
    answer = _exchange(call.socket, call.request())
    found = _STATUS_LINE.match(answer)
    if found is None and len(answer) > STATUS_LINE_BYTES_MAX:
        raise Failure("Internal error during IPC status line read", EXIT_INTERNAL)
    if found is None:
        raise Failure("The server closed the connection before it answered", EXIT_CONNECTION)
    text = answer[found.end() :].decode("utf-8", "surrogateescape")
    match found["status"].lower():
        case b"ok":
            output.raw(text)
            return output.OK
        case b"error":
            output.raw_error(f"Error: {text}")
            return EXIT_REFUSED
        case _:
            raise Failure("Unknown status line returned by IPC server", EXIT_CONNECTION)


def _exchange(path: str, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            if not 0 < len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
            connection.connect(path)
        except OSError as error:
            raise Failure(f"Can't connect to qnetd socket (is QNetd running?): {error.strerror}", EXIT_CONNECTION) from None
        try:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(RECEIVE_BYTES), b""))
        except OSError as error:
            raise Failure(f"The connection to the server failed: {error.strerror or error}", EXIT_CONNECTION) from None
