"""Asks the running arbitrator over its control socket, without an event loop; docs/control-socket.md has the shapes.

with ControlClient("/var/lib/thirdvote/control.sock") as client:
    client.request({"command": "status"})["status"]["version"]
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from thirdvote.errors import UserError

if TYPE_CHECKING:  # a health check loads this every few seconds
    from pathlib import Path
    from types import TracebackType

TIMEOUT_S = 10.0
"""For each piece of an answer; the arbitrator is on this host."""


class NotRunning(UserError):
    """Nothing answers on the socket."""


class ControlClient:
    """One connection, made at the first request. Whatever goes wrong is a UserError that says what to do."""

    def __init__(self, path: str | Path, timeout_s: float = TIMEOUT_S) -> None:
        self._path = str(path)
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._unread = None, b""

    def request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The whole answer, whose "ok" is true."""
        self._send(request)
        return self._checked(self._read())

    def subscribe(self, request: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Events as they come, for ever; `request` may hold "level" and "cluster". The arbitrator's end is a UserError."""
        self.request({**(request or {}), "command": "subscribe"})
        assert self._socket is not None
        self._socket.settimeout(None)
        while True:
            yield self._checked(self._read())["event"]

    def _send(self, request: Mapping[str, Any]) -> None:
        if self._socket is None:
            self._socket = self._connect()
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise self._lost(error) from None

    def _read(self) -> dict[str, Any]:
        assert self._socket is not None
        pieces = [self._unread]
        while b"\n" not in pieces[-1]:
            try:
                piece = self._socket.recv(65_536)
            except OSError as error:
                raise self._lost(error) from None
            if not piece:
                raise UserError("the arbitrator has closed the control socket", "it was stopped or restarted; its log says why")
            pieces.append(piece)
        line, _, self._unread = b"".join(pieces).partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _checked(self, answer: dict[str, Any]) -> dict[str, Any]:
        if not answer.get("ok", True):
            raise UserError(answer["error"], answer.get("hint"))
        return answer

    def _connect(self) -> socket.socket:
        connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connecting.settimeout(self._timeout_s)
        try:
            connecting.connect(self._path)
        except PermissionError:
            connecting.close()
            hint = "run this as the user that runs the arbitrator, or with sudo"
            raise UserError(f"no permission to use the control socket {self._path}", hint) from None
        except (FileNotFoundError, ConnectionRefusedError):
            connecting.close()
            hint = "start it with `thirdvote serve`, or name its directory: --data DIR (of make run: --data data)"
            raise NotRunning(f"no arbitrator is running here: nothing answers on {self._path}", hint) from None
        except OSError as error:
            connecting.close()
            raise self._lost(error) from None
        return connecting

    def _lost(self, error: OSError) -> UserError:
        if isinstance(error, TimeoutError):
            return UserError(f"the arbitrator does not answer on {self._path}", "see its log; if it hangs, restart it")
        return UserError(f"the control socket {self._path} failed ({(error.strerror or str(error)).lower()})", "see the arbitrator's log")
