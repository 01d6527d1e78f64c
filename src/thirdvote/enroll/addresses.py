"""By which address nodes reach this host, as well as it can be guessed."""

from __future__ import annotations

import socket

FAR_AWAY = (("192.0.2.1", socket.AF_INET), ("2001:db8::1", socket.AF_INET6))
"""Addresses of nobody (RFC 5737, RFC 3849): what is asked is only by which of ours they would be reached; nothing is sent."""

PORT = 9

UNKNOWN = "ADDRESS-OF-THIS-HOST"


def best_address(listen: tuple[str | None, int] | None) -> str:
    """The one that is listened on; else the one by which this host would reach others."""
    if listen is not None and listen[0] is not None:
        return listen[0]
    return next((found for place, family in FAR_AWAY if (found := _source_for(place, family)) is not None), None) or UNKNOWN


def _source_for(place: str, family: socket.AddressFamily) -> str | None:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((place, PORT))
            return str(probe.getsockname()[0])
    except OSError:
        return None
