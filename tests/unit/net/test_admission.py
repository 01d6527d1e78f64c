from __future__ import annotations

import pytest

from thirdvote.config import Limits
from thirdvote.net.admission import Admission, group_of

LIMITS = Limits(connections_before_init=3, connections_per_address=4, before_init_per_address=2)


def test_connections_in_all() -> None:
    admission = Admission(Limits(), 2)
    for group in (b"a", b"b"):
        assert admission.refusal(group) is None
        admission.entered(group)
    assert admission.refusal(b"c") == "there are 2 connections, and no more are allowed"
    admission.left(b"a", joined=False)
    assert admission.refusal(b"c") is None


def test_connections_before_init_by_address_and_in_all() -> None:
    admission = Admission(LIMITS, 100)
    admission.entered(b"a")
    admission.entered(b"a")
    assert admission.refusal(b"a") == "its address has 2 connections that have not joined a cluster yet"
    admission.entered(b"b")
    assert admission.refusal(b"c") == "3 connections have not joined a cluster yet, and no more are allowed"
    admission.joined(b"a")
    assert admission.refusal(b"a") is None


def test_joined_connections_count_for_their_address() -> None:
    admission = Admission(LIMITS, 100)
    for _ in range(4):
        admission.entered(b"a")
        admission.joined(b"a")
    assert admission.refusal(b"a") == "its address has 4 connections, and no more are allowed"
    admission.left(b"a", joined=True)
    assert admission.refusal(b"a") is None


def test_what_has_left_is_forgotten() -> None:
    admission = Admission(LIMITS, 100)
    admission.entered(b"a")
    admission.joined(b"a")
    admission.left(b"a", joined=True)
    admission.entered(b"b")
    admission.left(b"b", joined=False)
    assert (admission.connections, admission.before_init) == (0, 0)
    assert not any((admission._by_group, admission._before_init_by_group))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%lo", "fe80::2", True),
    ],
)
def test_one_address_is_an_ipv4_address_or_an_ipv6_network(one: str, other: str, same: bool) -> None:
    assert (group_of(one) == group_of(other)) is same
