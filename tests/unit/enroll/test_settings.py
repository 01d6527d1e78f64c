from __future__ import annotations

import pytest

from thirdvote.config import OFF, Settings
from thirdvote.enroll.settings import EnrollSettings, listen_of
from thirdvote.errors import UserError


def test_the_settings_of_the_voter_reach_the_enrolment() -> None:
    settings = Settings(
        data="/d",
        enroll_ssh="*:22",
        enroll_https=OFF,
        enroll_address="192.0.2.1",
        enroll_password="p" * 12,
        enroll_always=True,
        qnetd_socket="/q",
    )
    ours = EnrollSettings.of(settings)
    assert ours.is_wanted
    assert EnrollSettings.from_line(ours.to_line()) == ours
    assert ours == EnrollSettings("/d", "*:22", OFF, "192.0.2.1", "p" * 12, "", True, "/q")


def test_without_any_way_in_it_is_not_wanted() -> None:
    assert not EnrollSettings.of(Settings(enroll_ssh=OFF, enroll_https=OFF)).is_wanted


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (Settings(enroll_password="p" * 12, enroll_password_file="f"), "both enroll-password and enroll-password-file"),
        (Settings(enroll_always=True), "there is no password for it"),
        (Settings(certificates="/etc/corosync/qnetd/nssdb"), "with which enrolment can not sign"),
    ],
)
def test_settings_that_do_not_fit_together(settings: Settings, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        EnrollSettings.of(settings)


@pytest.mark.parametrize("line", [b"", b"\n", b"[]", b"1", b'{"other": 1}', b"{}", b"\xff"])
def test_a_line_that_is_none(line: bytes) -> None:
    with pytest.raises(UserError, match="started without its settings"):
        EnrollSettings.from_line(line)


def test_where_it_listens() -> None:
    assert listen_of("*:2222") == (None, 2222)
    assert listen_of("[2001:db8::1]:22") == ("2001:db8::1", 22)
    assert listen_of(OFF) is None
