from __future__ import annotations

import pytest

from thirdvote.revocations import TEXT_MAX, Malformed, Revocations, Revoked, can_be_named, parse, text_of

STOLEN = Revoked("2036-11-24", "web: node 2 was stolen")


def test_a_certificate_is_refused_by_its_serial_number_whatever_it_is_for() -> None:
    revocations = Revocations().with_certificates({0x67: STOLEN})
    assert revocations.refuse(0x67, [b"web"])
    assert revocations.refuse(0x67, [])
    assert not revocations.refuse(0x68, [b"web"])


def test_of_a_cluster_all_are_refused_but_those_that_were_signed_afterwards() -> None:
    revocations = Revocations().with_cluster("web")
    assert revocations.refuse(0x67, [b"web"])
    assert not revocations.refuse(0x67, [b"web2"])
    assert revocations.refuse(0x67, [b"web2", b"web"]), "one of its names is enough"
    signed_anew = revocations.with_kept("web", 0x70)
    assert not signed_anew.refuse(0x70, [b"web"])
    assert signed_anew.refuse(0x67, [b"web"])


def test_a_cluster_of_which_nothing_was_revoked_keeps_no_list() -> None:
    assert Revocations().with_kept("web", 0x70) == Revocations()


def test_text_there_and_back() -> None:
    revocations = (
        Revocations().with_certificates({0x67: STOLEN, 0xABC: Revoked("2030-01-01", "db: ")}).with_cluster("a b").with_cluster("ä", [1, 31])
    )
    text = text_of(revocations)
    assert "serial 67 2036-11-24 web: node 2 was stolen\n" in text
    assert "cluster - a b\ncluster 1,1f ä\n" in text
    assert parse(text) == revocations
    assert parse("") == Revocations()


def test_a_reason_stays_in_its_line() -> None:
    assert parse(text_of(Revocations().with_certificates({1: Revoked("2036-11-24", "web: a\ncluster - db")}))).clusters == {}


@pytest.mark.parametrize("line", ["serial", "serial 67", "serial xyz 2036-11-24 web", "cluster web", "cluster x,y web", "nonsense", " "])
def test_a_damaged_line_is_named(line: str) -> None:
    with pytest.raises(Malformed, match="line 2"):
        parse(f"# first\n{line}\n")


def test_its_size_is_bounded() -> None:
    with pytest.raises(Malformed, match="more than"):
        parse("#" * (TEXT_MAX + 1))
    with pytest.raises(Malformed, match="more than"):
        text_of(Revocations().with_cluster("web", range(1 << 80, (1 << 80) + TEXT_MAX // 20)))


def test_what_has_ended_by_itself_is_left_out() -> None:
    revocations = Revocations().with_certificates({1: Revoked("2026-11-24", "x: "), 2: Revoked("2026-11-25", "x: ")})
    assert list(revocations.without_expired("2026-11-25").certificates) == [2]


@pytest.mark.parametrize(("name", "possible"), [("web", True), ("a b", True), (" web", False), ("we\nb", False), ("", False)])
def test_names_that_a_line_can_say(name: str, possible: bool) -> None:
    assert can_be_named(name) == possible
