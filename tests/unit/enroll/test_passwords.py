from __future__ import annotations

import pytest

from thirdvote.enroll.passwords import ALPHABET, GROUP_LENGTH, GROUPS, Hasher, as_typed, new_password


def test_a_password_is_new_each_time_and_can_be_read_aloud() -> None:
    passwords = {new_password() for _ in range(200)}
    assert len(passwords) == 200
    for password in passwords:
        groups = password.split("-")
        assert [len(group) for group in groups] == [GROUP_LENGTH] * GROUPS
        assert set("".join(groups)) <= set(ALPHABET)
    assert not set(ALPHABET) & set("ilo01ILO")


def test_a_guess_can_be_compared_with_what_is_kept() -> None:
    hasher = Hasher()
    kept = hasher.digest("a password of mine")
    assert hasher.digest("a password of mine") == kept
    assert hasher.digest("a password of mine ") != kept
    assert b"password" not in kept
    assert Hasher().digest("a password of mine") != kept


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("abcd-efgh-jkmn-pqrs", "abcd-efgh-jkmn-pqrs"),
        ("ABCD EFGH JKMN PQRS", "abcd-efgh-jkmn-pqrs"),
        (" abcdefghjkmnpqrs", "abcd-efgh-jkmn-pqrs"),
        ("Some Other-Password!", "Some Other-Password!"),
        ("abcd-efgh-jkmn-pqr", "abcd-efgh-jkmn-pqr"),
        ("", ""),
    ],
)
def test_what_a_person_may_have_meant(typed: str, meant: str) -> None:
    assert as_typed(typed) == meant
