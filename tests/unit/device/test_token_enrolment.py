from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import request
from tests.https_here import HttpsHere, https_here
from thirdvote.device.token_enrolment import TokenEnrolment
from thirdvote.errors import UserError
from thirdvote.pki import inventory, paths


@pytest.fixture
def here(tmp_path: Path) -> Iterator[HttpsHere]:
    with https_here(tmp_path) as running:
        yield running


def enrolment(here: HttpsHere) -> TokenEnrolment:
    made = TokenEnrolment(here.token())
    made.authority()
    assert made.vote_port("office") == 5403
    return made


def test_a_certificate_that_is_given_back_leaves_the_token(here: HttpsHere) -> None:
    mine = enrolment(here)
    mine.certificate("office", request("office"))
    assert mine.give_back("office") == "the token can be used again"
    mine.certificate("office", request("office"))
    mine.keep("office")
    assert sorted(each.revoked_at is None for each in inventory.every(paths.folder_in(here.data).path)) == [False, True]


def test_before_anything_was_asked_nothing_is_given_back(here: HttpsHere) -> None:
    assert enrolment(here).give_back("office") == "no certificate was signed"


def test_what_was_refused_is_not_given_back(here: HttpsHere) -> None:
    mine = enrolment(here)
    with pytest.raises(UserError, match="is for 'other'"):
        mine.certificate("office", request("other"))
    assert mine.give_back("office") == "no certificate was signed"


def test_an_arbitrator_that_has_gone_away_may_have_signed(tmp_path: Path) -> None:
    with https_here(tmp_path) as here:
        mine = enrolment(here)
        mine.certificate("office", request("office"))
    with pytest.raises(UserError, match="the token may be spent, and a certificate signed for nothing") as failed:
        mine.give_back("office")
    assert failed.value.hint == "for another try make another token on the arbitrator: thirdvote enroll token office"
