"""What `corosync-qdevice-tool -sv` says of the device on a node."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FIELD = re.compile(r"^([A-Z][\w ()-]*?):[ \t]+(.*?)[ \t]*$", re.MULTILINE)
_NET = "Qdevice-net information"

CONNECTED = "Connected"


@dataclass(frozen=True, slots=True)
class Device:
    state: str
    """Connected, Connecting, Connect failed or Disconnected."""
    is_casting: bool | None
    """It gives the vote to its Corosync, or tells it that there is none; None: it does neither, but waits for the arbitrator."""
    qnetd_host: str
    """`host:port`, as when it was started."""
    algorithm: str
    tls: str
    timeout_ms: int | None
    heuristics: str
    """Undefined, Pass or Fail; empty where they are off."""
    last_poll: str


def read(text: str) -> Device | None:
    """None when this is not its output."""
    head, _, tail = text.partition(_NET)
    first, net = (dict(_FIELD.findall(part)) for part in (head, tail))
    if "State" not in net:
        return None
    timer = net.get("Poll timer running", "")
    return Device(
        state=net["State"],
        is_casting="cast vote" in timer if timer.startswith("Yes") else None,
        qnetd_host=net.get("QNetd host", ""),
        algorithm=net.get("Algorithm", ""),
        tls=net.get("TLS", ""),
        timeout_ms=_milliseconds(first.get("HB interval", "")),
        heuristics=net.get("Heuristics result", "").split(" ")[0],
        last_poll=first.get("Last poll call", ""),
    )


def _milliseconds(text: str) -> int | None:
    return int(text.removesuffix("ms")) if re.fullmatch(r"\d+ms", text) else None
