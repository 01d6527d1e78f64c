from __future__ import annotations

import pytest

from thirdvote.domain import PRINTED_NAME, ClusterName, NodeId, RingId, TieBreaker, TieBreakerMode, printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"cluster1", "cluster1"),
        ("büro".encode(), "büro"),
        (b"two\nlines", "two\\nlines"),
        (b"\x1b[31mred", "\\x1b[31mred"),
        (b"a\\nb", "a\\\\nb"),
        (b"cut\0here", "cut\\x00here"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("right\u202eleft".encode(), "right\\u202eleft"),
        (b"", ""),
    ],
)
def test_a_name_is_shown_in_one_line_that_no_terminal_obeys(name: bytes, shown: str) -> None:
    assert printable(ClusterName(name)) == shown


def test_a_very_long_name_is_cut() -> None:
    shown = printable(ClusterName(b"x" * 32_000))
    assert len(shown) == PRINTED_NAME + 1
    assert shown.endswith("…")


def test_names_that_differ_are_shown_differently() -> None:
    """An escape that was sent as text must not look like one that we made."""
    assert printable(ClusterName(b"a\nb")) != printable(ClusterName(b"a\\nb"))
    assert printable(ClusterName(b"\xff")) != printable(ClusterName(b"\\xff"))


def test_ring_ids_are_shown_as_corosync_shows_them() -> None:
    assert str(RingId(NodeId(1), 26)) == "1.1a"


@pytest.mark.parametrize(
    ("tie_breaker", "preferred"),
    [
        (TieBreaker(TieBreakerMode.LOWEST), 2),
        (TieBreaker(TieBreakerMode.HIGHEST), 3_000_000_000),
        (TieBreaker(TieBreakerMode.NODE_ID, NodeId(7)), 7),
    ],
)
def test_the_tie_breaker_prefers(tie_breaker: TieBreaker, preferred: int) -> None:
    assert tie_breaker.preferred([NodeId(3_000_000_000), NodeId(2), NodeId(5)]) == preferred
