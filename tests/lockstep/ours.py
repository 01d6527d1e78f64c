"""Our server: the arbiter in memory, and the whole program as a process."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from pathlib import Path

from tests.lockstep.servers import Process, free_port, messages_of
from thirdvote.arbiter.arbiter import Arbiter
from thirdvote.arbiter.interface import Close, Connected, Disconnected, Effect, Ending, Received, Send
from thirdvote.config import Limits, Settings
from thirdvote.domain import Handover, TlsSupport


def start_ours(folder: Path) -> Process:
    port = free_port()
    options = ["--data", str(folder / "data"), "--listen", f"127.0.0.1:{port}", "--tls", "off", "--handover", "stock"]
    options += ["--enroll-ssh", "off", "--enroll-https", "off"]
    environment = os.environ | {"THIRDVOTE_LIMITS_HEARTBEAT_MS_MIN": "4", "THIRDVOTE_LIMITS_DEAD_PEER_ENABLED": "off"}
    return Process([sys.executable, "-m", "thirdvote", "serve", *options], port, folder / "ours.log", environment)


class MemoryServer:
    """Our arbiter without a process around it."""

    def __init__(self) -> None:
        limits = Limits(heartbeat_ms_min=4, dead_peer_enabled=False)
        self._arbiter = Arbiter(Settings(tls=TlsSupport.UNSUPPORTED, handover=Handover.STOCK, limits=limits))
        self._connections: dict[int, int] = {}
        self._count = 0
        self._heard: dict[int, list[bytes]] = defaultdict(list)

    def connect(self, slot: int) -> None:
        self._count += 1
        self._connections[slot] = self._count
        self._carry_out(self._arbiter.step(Connected(self._count, "192.0.2.1:40000"), 0.0))

    def say(self, slot: int, data: bytes) -> None:
        self._carry_out(self._arbiter.step(Received(self._connections[slot], data), 0.0))

    def close(self, slot: int) -> None:
        self._carry_out(self._arbiter.step(Disconnected(self._connections.pop(slot), Ending.GOODBYE, "end of stream"), 0.0))

    def settle(self, wait_s: float = 0.0) -> None:
        """Every step is complete, and nothing waits for time."""

    def take(self) -> dict[int, list[bytes]]:
        heard, self._heard = self._heard, defaultdict(list)
        return dict(heard)

    def _carry_out(self, effects: list[Effect]) -> None:
        slots = {connection: slot for slot, connection in self._connections.items()}
        for effect in effects:
            match effect:
                case Send(connection, data) if connection in slots:
                    self._heard[slots[connection]] += messages_of(bytearray(data))
                case Close(connection, reason):
                    raise AssertionError(f"connection {connection} was closed: {reason}")
                case _:
                    pass
