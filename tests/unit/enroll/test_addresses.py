from __future__ import annotations

import ipaddress
import socket

import pytest

from thirdvote.enroll import addresses
from thirdvote.enroll.addresses import UNKNOWN, best_address


def test_where_it_listens_is_where_it_is_reached() -> None:
    assert best_address(("192.0.2.7", 22)) == "192.0.2.7"


def test_else_the_address_by_which_this_host_reaches_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "FAR_AWAY", (("127.0.0.5", socket.AF_INET),))
    assert best_address((None, 22)) == "127.0.0.1"


def test_else_that_of_a_network_and_never_a_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "FAR_AWAY", ())
    found = best_address(None)
    assert found == UNKNOWN or not ipaddress.ip_address(found).is_loopback
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), (2, "no such interface at all")])
    assert best_address(None) == UNKNOWN
