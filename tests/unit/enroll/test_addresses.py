from __future__ import annotations

import socket

import pytest

from thirdvote.enroll import addresses
from thirdvote.enroll.addresses import UNKNOWN, best_address


def test_where_it_listens_is_where_it_is_reached() -> None:
    assert best_address(("192.0.2.7", 22)) == "192.0.2.7"


def test_else_the_address_by_which_this_host_reaches_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "FAR_AWAY", (("127.0.0.5", socket.AF_INET),))
    assert best_address((None, 22)) == "127.0.0.1"


def test_a_host_without_a_way_out_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "FAR_AWAY", (("no address", socket.AF_INET),))
    assert best_address(None) == UNKNOWN
