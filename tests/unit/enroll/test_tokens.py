from __future__ import annotations

import pytest

from thirdvote.enroll import tokens
from thirdvote.enroll.tokens import KEPT_MAX, OPEN_MAX, REMEMBERED_S, TokenRefused, Tokens
from thirdvote.errors import UserError
from thirdvote.join_url import Token

NOW = 1_800_000_000.0


def token(number: int = 1, secret: int = 1) -> Token:
    return Token(number.to_bytes(8, "big"), secret.to_bytes(16, "big"), bytes(32))


def one(replaces: bool = False) -> Tokens:
    return Tokens().with_new(token(), "office", NOW, 3_600, replaces)


def test_a_token_counts_for_its_cluster_until_its_end() -> None:
    issued = one(replaces=True).check(token(), "office", NOW + 3_599)
    assert (issued.cluster, issued.until, issued.replace) == ("office", NOW + 3_600, True)


@pytest.mark.parametrize(
    ("given", "cluster", "after_s", "why"),
    [
        (token(2), "office", 0, "does not know"),
        (token(1, 2), "office", 0, "does not know"),
        (token(), "Office", 0, "is for the cluster 'office'"),
        (token(), "office", 3_600, "has expired at 2027-01-15 09:00 UTC"),
    ],
)
def test_a_token_that_does_not_count(given: Token, cluster: str, after_s: float, why: str) -> None:
    with pytest.raises(TokenRefused, match=why) as refused:
        one().check(given, cluster, NOW + after_s)
    assert "thirdvote enroll token" in (refused.value.hint or "")


def test_it_counts_once() -> None:
    known = one()
    used = known.with_use(known.check(token(), "office", NOW), NOW + 60, "10.0.0.1:55")
    with pytest.raises(TokenRefused, match=r"was used at 2027-01-15 08:01 UTC from 10\.0\.0\.1:55"):
        used.check(token(), "office", NOW + 61)
    assert used.open(NOW + 61) == []


def test_a_use_of_which_nothing_came_is_none() -> None:
    known = one()
    issued = known.check(token(), "office", NOW)
    assert known.with_use(issued, NOW, "x").with_use_undone(issued) == known


def test_who_does_not_know_the_secret_hears_nothing_about_the_token() -> None:
    known = one()
    spent = known.with_use(known.issued[0], NOW, "x")
    for state, when in ((known, NOW), (known, NOW + 9_999), (spent, NOW)):
        with pytest.raises(TokenRefused, match="does not know"):
            state.check(token(1, 2), "another", when)


def test_the_secret_itself_is_not_kept() -> None:
    given = Token(b"12345678", bytes.fromhex("00112233445566778899aabbccddeeff"), bytes(32))
    text = Tokens().with_new(given, "office", NOW, 3_600).to_text()
    assert given.secret.hex() not in text
    assert given.text not in text


def test_the_state_outlives_a_restart() -> None:
    known = one().with_new(token(2), "other", NOW, 60)
    known = known.with_use(known.issued[0], NOW + 1, "10.0.0.1:55")
    assert tokens.from_text(known.to_text()) == known


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"tokens": 1}', '{"tokens": [1]}', '{"tokens": [{}]}', '{"tokens": [{"number": 1}]}']
)
def test_a_damaged_state_is_no_empty_one(text: str) -> None:
    with pytest.raises(UserError, match="damaged"):
        tokens.from_text(text)


def test_fields_of_the_wrong_kind_are_damage() -> None:
    with pytest.raises(UserError, match="damaged"):
        tokens.from_text(one().to_text().replace("3600.0", '"x"').replace(str(NOW + 3_600), '"never"'))


@pytest.mark.parametrize("life_s", [0, 59, 7 * 86_400 + 1, float("nan"), float("inf"), -1])
def test_lives_that_are_too_short_or_too_long(life_s: float) -> None:
    with pytest.raises(UserError, match="can not be good for"):
        Tokens().with_new(token(), "office", NOW, life_s)


def test_old_ones_are_forgotten() -> None:
    known = one().with_new(token(2), "office", NOW + 3_600 + REMEMBERED_S, 60)
    assert [issued.number for issued in known.issued] == [token(2).number.hex()]


def test_there_is_an_end_to_open_ones() -> None:
    known = Tokens()
    for number in range(OPEN_MAX):
        known = known.with_new(token(number), "office", NOW, 3_600)
    with pytest.raises(UserError, match="are open already"):
        known.with_new(token(9_999), "office", NOW, 3_600)
    assert len(known.with_new(token(9_999), "office", NOW + 3_600, 3_600).issued) == OPEN_MAX + 1


def test_spent_ones_make_room_and_open_ones_stay() -> None:
    known = Tokens().with_new(token(0), "kept", NOW, 86_400)
    for number in range(1, KEPT_MAX + 10):
        known = known.with_new(token(number), "office", NOW + number, 60)
        known = known.with_use(known.issued[-1], NOW + number, "x")
    assert len(known.issued) == KEPT_MAX
    assert [issued.cluster for issued in known.open(NOW + 5_000)] == ["kept"]
