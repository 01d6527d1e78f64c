from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.certificates import NOW, request
from thirdvote.errors import UserError
from thirdvote.pki import inventory, revocation, revocation_list, store
from thirdvote.revocations import FILE, Revocations


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store.ensure(tmp_path, NOW)
    return tmp_path


def _sign(data: Path, cluster: str, *, replace: bool = False) -> int:
    return x509.load_der_x509_certificate(store.sign(data, request(cluster), cluster, NOW, replace=replace)).serial_number


def _list(data: Path) -> Revocations:
    return revocation_list.read(data / "pki")


def test_by_its_serial_number(data: Path) -> None:
    first, second = _sign(data, "web"), _sign(data, "web")
    chosen = revocation.choose(data, f"{first:X}")
    assert (chosen.cluster, len(chosen.certificates)) == (None, 1)
    revocation.revoke(data, chosen, "stolen", NOW)
    assert _list(data).refuse(first, [b"web"])
    assert not _list(data).refuse(second, [b"web"])
    states = {int(each.serial_number, 16): each.revoked_because for each in inventory.every(data / "pki")}
    assert states == {first: "stolen", second: ""}


def test_all_of_a_cluster_also_those_that_are_not_known_until_it_is_enrolled_anew(data: Path) -> None:
    known, other = _sign(data, "web"), _sign(data, "db")
    unknown = 0x1234
    revocation.revoke(data, revocation.choose(data, "web"), "", NOW)
    assert [_list(data).refuse(number, [b"web"]) for number in (known, unknown)] == [True, True]
    assert not _list(data).refuse(other, [b"db"])
    again = _sign(data, "web")
    assert not _list(data).refuse(again, [b"web"])
    assert [_list(data).refuse(number, [b"web"]) for number in (known, unknown)] == [True, True]


def test_keeping_is_the_default_and_replacing_revokes_the_others(data: Path) -> None:
    first, second = _sign(data, "web"), _sign(data, "web")
    assert not (data / "pki" / FILE).exists()
    third = _sign(data, "web", replace=True)
    assert [_list(data).refuse(number, [b"web"]) for number in (first, second, 0x1234, third)] == [True, True, True, False]
    assert [bool(each.revoked_at) for each in inventory.every(data / "pki") if int(each.serial_number, 16) in (first, second)] == [True] * 2


@pytest.mark.parametrize("wanted", ["nothing", "abc", ""])
def test_what_is_not_known(data: Path, wanted: str) -> None:
    _sign(data, "web")
    with pytest.raises(UserError, match="no certificate is known"):
        revocation.choose(data, wanted)


def test_what_is_revoked_already(data: Path) -> None:
    number = _sign(data, "web")
    revocation.revoke(data, revocation.choose(data, "web"), "", NOW)
    for wanted in ("web", f"{number:x}"):
        with pytest.raises(UserError, match="revoked already"):
            revocation.choose(data, wanted)


def test_a_cluster_with_the_name_of_a_serial_number(data: Path) -> None:
    number = _sign(data, "web")
    _sign(data, f"{number:x}")
    with pytest.raises(UserError, match="is a serial number and the name of a cluster"):
        revocation.choose(data, f"{number:x}")
    assert revocation.choose(data, f"0x{number:x}").certificates[0].cluster == "web"


def test_what_has_expired_leaves_the_list(data: Path) -> None:
    first, second = _sign(data, "web"), _sign(data, "web")
    revocation.revoke(data, revocation.choose(data, f"{first:x}"), "", NOW)
    revocation.revoke(data, revocation.choose(data, f"{second:x}"), "", NOW + timedelta(days=4_000))
    assert list(_list(data).certificates) == []


def test_many_reasons_are_cut(data: Path) -> None:
    _sign(data, "web")
    revocation.revoke(data, revocation.choose(data, "web"), "x" * 10_000, NOW)
    assert (data / "pki" / FILE).stat().st_size < 1_000
