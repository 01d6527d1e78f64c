"""How a cluster of the lab is configured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

TlsOfNode = Literal["off", "on", "required"]
TlsOfServer = Literal["off", "on", "req"]


@dataclass(frozen=True)
class Settings:
    """What is None is not written, so corosync's default holds."""

    cluster_name: str = "lab"
    algorithm: Literal["ffsplit", "lms", "2nodelms"] = "ffsplit"
    tls: TlsOfNode = "on"
    token_ms: int = 1000
    timeout_ms: int | None = None
    sync_timeout_ms: int | None = None
    heuristics_s: float | None = None
    """The command of the heuristics takes so long, and succeeds."""

    def device_keys(self) -> Iterator[tuple[str, int]]:
        """Of quorum.device. Without `votes` the device has one less than there are nodes, which is right for lms."""
        keys = (("votes", 1 if self.algorithm == "ffsplit" else None), ("timeout", self.timeout_ms), ("sync_timeout", self.sync_timeout_ms))
        return ((key, value) for key, value in keys if value is not None)

    def device_votes(self, nodes: int) -> int:
        return 1 if self.algorithm == "ffsplit" else nodes - 1
