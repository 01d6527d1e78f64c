"""By which address nodes reach this host, as well as it can be guessed."""

from __future__ import annotations

import fcntl
import socket
import struct

from thirdvote.container import is_container

FAR_AWAY = (("192.0.2.1", socket.AF_INET), ("2001:db8::1", socket.AF_INET6))
"""Addresses of nobody (RFC 5737, RFC 3849): what is asked is only by which of ours they would be reached; nothing is sent."""

PORT = 9

UNKNOWN = "ADDRESS-OF-THIS-HOST"

_GET_ADDRESS = 0x8915
"""SIOCGIFADDR: the IPv4 address of an interface."""

_NAME_BYTES_MAX = 15


def best_address(listen: tuple[str | None, int] | None) -> str:
    """The one that is listened on; else the one by which this host would reach others; else that of its first network. A container
    does not know by which its host is reached.
    """
    if listen is not None and listen[0] is not None:
        return listen[0]
    if is_container():
        return UNKNOWN
    outwards = (_source_for(place, family) for place, family in FAR_AWAY)
    own = (_of_interface(name) for _, name in socket.if_nameindex())
    found = (address for addresses in (outwards, own) for address in addresses if address is not None)
    return next(found, UNKNOWN)


def _source_for(place: str, family: socket.AddressFamily) -> str | None:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((place, PORT))
            return str(probe.getsockname()[0])
    except OSError:
        return None


def _of_interface(name: str) -> str | None:
    """None for a loopback, too."""
    request = struct.pack("256s", name.encode()[:_NAME_BYTES_MAX])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            address = socket.inet_ntoa(fcntl.ioctl(probe, _GET_ADDRESS, request)[20:24])
    except OSError:
        return None
    return None if address.startswith("127.") else address
