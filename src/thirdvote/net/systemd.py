"""What systemd wants to hear from a service: that it is ready, that it is alive, that it stops."""

from __future__ import annotations

import os
import socket


def notify(message: str) -> None:
    """Says `message` ("READY=1") to the service manager, if there is one; a manager that is gone is nobody's trouble."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        manager.setblocking(False)
        try:
            manager.sendto(message.encode(), address)
        except OSError:
            return


def watchdog_interval_s() -> float | None:
    """Between two signs of life, half of what the manager allows; None when it does not watch this process."""
    watched = os.environ.get("WATCHDOG_PID")
    if watched and watched != str(os.getpid()):
        return None
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 2_000_000 if microseconds.isdigit() and int(microseconds) else None
