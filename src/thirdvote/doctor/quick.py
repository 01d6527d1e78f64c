"""`thirdvote doctor --quick`: whether the arbitrator of this host answers, for who asks every few seconds on a small board.

It asks the running arbitrator over its control socket, and its port with the first message of a node. What it imports is what it costs: the
message is written down here, not encoded, and a test compares the two.
"""

from __future__ import annotations

import socket

from thirdvote.control_client import ControlClient
from thirdvote.errors import UserError

ANSWER_S = 4.0
"""For each piece: a container's check has 10 s in all, and what takes longer is ill."""

CONTROL_SOCKET = "control.sock"
"""As in `config`, which takes longer to load than all of this."""

QUESTION = b"\0\0\0\0\0\x1c\0\0\0\x04\0\0\0\x01\0\x01\0\x10thirdvote doctor"
"""PREINIT number 1 of a cluster with that name."""

PREINIT_REPLY = b"\0\x01"
"""How the answer begins."""


def check(control: str) -> str:
    """What the arbitrator with that control socket does. UserError when it does not do it."""
    with ControlClient(control, ANSWER_S) as client:
        status = client.request({"command": "status"})["status"]
    host, port = place_of(status["listen"])
    if problem := answers(local_address(host), port):
        raise UserError(f"the arbitrator runs, and its port {port} does not answer ({problem})", "thirdvote doctor")
    return f"the arbitrator answers on port {port}: {status['connections']} connections, {status['clusters']} clusters"


def place_of(listen: str) -> tuple[str | None, int]:
    """As `config_options.read_listen`, of what is right already."""
    host, _, port = listen.rpartition(":")
    return (None if host in ("", "*") else host.strip("[]")), int(port)


def local_address(host: str | None) -> str:
    """With which this host reaches what listens on `host`."""
    return {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host or "")


def answers(host: str, port: int) -> str:
    """Why nothing on the port answers as an arbitrator does; empty when it does."""
    answer = b""
    try:
        with socket.create_connection((host, port), ANSWER_S) as connection:
            connection.sendall(QUESTION)
            while len(answer) < len(PREINIT_REPLY):
                data = connection.recv(256)
                if not data:
                    return "the connection was closed"
                answer += data
    except TimeoutError:
        return f"no answer within {ANSWER_S:.0f} s"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return "" if answer.startswith(PREINIT_REPLY) else "what answers there is no arbitrator"
