from __future__ import annotations

import itertools
import shutil
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.certificates import NOW, common_name, curve_key, request, rsa_key
from thirdvote.errors import UserError
from thirdvote.pki import expiry, files, issue, material, paths, store
from thirdvote.pki.compatible import valid_until
from thirdvote.pki.policy import RequestRefused

FILES = ("ca.crt", "ca.key", "server.crt", "server.key")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store.ensure(tmp_path, NOW)
    return tmp_path


def _contents(data: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (data / "pki").iterdir()}


def _is_whole(data: Path) -> bool:
    where = paths.data_directory(data)
    certificate = material.read_certificate(where.server_certificate, "server")
    authority = store.load_authority(data)
    key = material.read_key(where.server_key, "key")
    return material.matches(certificate, key) and material.is_issued_by(certificate, authority.certificate)


# ---- the first start, and the next


def test_the_first_start_makes_everything_and_the_next_nothing(tmp_path: Path) -> None:
    data = tmp_path / "not" / "yet"
    assert store.ensure(data, NOW)
    before = _contents(data)
    assert sorted(before) == sorted(FILES)
    assert _is_whole(data)
    assert not store.ensure(data, NOW)
    assert _contents(data) == before


def test_modes(data: Path) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (data / "pki").iterdir()}
    assert modes == {"ca.crt": 0o644, "ca.key": 0o600, "server.crt": 0o644, "server.key": 0o600}
    assert stat.S_IMODE((data / "pki").stat().st_mode) == 0o700


def test_a_clock_that_was_never_set_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="clock"):
        store.ensure(tmp_path, NOW.replace(year=1970))
    assert _contents(tmp_path) == {}


# ---- crashes


class _Crash(BaseException):
    pass


def _crash_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    write, numbers = files.write, itertools.count()

    def crashing(path: Path, content: bytes, mode: int, what: str, owner: files.Owner | None = None) -> None:
        if next(numbers) == count:
            raise _Crash
        write(path, content, mode, what, owner)

    monkeypatch.setattr(files, "write", crashing)


@pytest.mark.parametrize("count", range(4))
def test_a_crash_between_two_files_is_mended_by_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    with monkeypatch.context() as patch:
        _crash_after(count, patch)
        with pytest.raises(_Crash):
            store.ensure(tmp_path, NOW)
    left = _contents(tmp_path)
    assert len(left) == count
    assert store.ensure(tmp_path, NOW)
    assert _is_whole(tmp_path)
    assert left.items() <= _contents(tmp_path).items()


MENDED = [(), ("ca.key",), ("ca.crt", "ca.key"), ("ca.crt", "ca.key", "server.key")]
WHOLE = [FILES, ("ca.crt", "server.crt", "server.key")]
EVERY_SET = [kept for count in range(5) for kept in itertools.combinations(FILES, count)]


def _keep(data: Path, kept: tuple[str, ...]) -> dict[str, bytes]:
    for name in set(FILES) - set(kept):
        (data / "pki" / name).unlink()
    return _contents(data)


@pytest.mark.parametrize("kept", [kept for kept in EVERY_SET if kept in MENDED or kept in WHOLE])
def test_sets_of_files_from_which_a_start_goes_on(data: Path, kept: tuple[str, ...]) -> None:
    before = _keep(data, kept)
    assert store.ensure(data, NOW) == (kept in MENDED)
    assert before.items() <= _contents(data).items()
    assert kept not in MENDED or _is_whole(data)


@pytest.mark.parametrize("kept", [kept for kept in EVERY_SET if kept not in MENDED and kept not in WHOLE])
def test_losses_are_for_a_person_to_judge(data: Path, kept: tuple[str, ...]) -> None:
    """Nothing is made that the nodes would not know, and nothing of what is left is changed."""
    before = _keep(data, kept)
    with pytest.raises(UserError, match=str(data)) as caught:
        store.ensure(data, NOW)
    assert str(data) in str(caught.value.hint)
    assert _contents(data) == before


def test_the_authoritys_key_may_be_kept_elsewhere(data: Path) -> None:
    paths.ca_key(data).rename(data / "elsewhere")
    assert not store.ensure(data, NOW)
    with pytest.raises(UserError, match=r"the key of the authority, .*ca\.key"):
        store.sign(data, request("lab"), "lab", NOW)


# ---- damage


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"", b"garbage\n", None], ids=["empty", "garbage", "half"])
def test_a_damaged_file_is_named(data: Path, name: str, content: bytes | None) -> None:
    path = data / "pki" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content is None else content)
    before = _contents(data)
    with pytest.raises(UserError, match=f"{path}, is damaged") as caught:
        store.ensure(data, NOW)
    assert caught.value.hint
    assert _contents(data) == before


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_arbitrator_is_noticed(data: Path, tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    other = tmp_path_factory.mktemp("other")
    store.ensure(other, NOW)
    shutil.copy(other / "pki" / name, data / "pki" / name)
    with pytest.raises(UserError, match="is not the key of") as caught:
        store.ensure(data, NOW)
    assert "restore both" in str(caught.value.hint)


def test_a_server_certificate_of_another_authority_is_noticed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    store.ensure(other, NOW)
    for name in ("server.crt", "server.key"):
        shutil.copy(other / "pki" / name, data / "pki" / name)
    with pytest.raises(UserError, match=r"server\.crt is not signed by .*ca\.crt"):
        store.ensure(data, NOW)


def test_a_certificate_that_is_no_authority(data: Path) -> None:
    where = paths.data_directory(data)
    shutil.copy(where.server_certificate, where.ca_certificate)
    shutil.copy(where.server_key, paths.ca_key(data))
    with pytest.raises(UserError, match="is no certificate of an authority"):
        store.ensure(data, NOW)


@pytest.mark.parametrize("name", ["ca.key", "server.key"])
def test_a_key_that_others_can_read(data: Path, name: str) -> None:
    path = data / "pki" / name
    path.chmod(0o644)
    with pytest.raises(UserError, match=f"{path}, is open to other users") as caught:
        store.ensure(data, NOW)
    assert f"chmod 600 {path}" in str(caught.value.hint)


def test_signing_does_not_use_a_key_that_others_can_read(data: Path) -> None:
    paths.ca_key(data).chmod(0o640)
    with pytest.raises(UserError, match="open to other users"):
        store.sign(data, request("lab"), "lab", NOW)


def test_expired_says_what_to_do(data: Path) -> None:
    with pytest.raises(UserError, match=r"authority, .*, has expired on 2036-11-24") as caught:
        store.ensure(data, NOW + timedelta(days=4000))
    assert f"rm -r {data}/pki" in str(caught.value.hint)


def _expired_server(data: Path) -> None:
    where, authority = paths.data_directory(data), store.load_authority(data)
    key, begin = issue.new_key(), NOW - timedelta(days=700)
    short_lived = issue.new_authority(authority.key, begin - issue.VALIDITY + timedelta(days=600))
    old = issue.server_certificate(key.public_key(), short_lived, begin)
    where.server_key.write_bytes(material.key_pem(key))
    where.server_certificate.write_bytes(material.certificate_pem(old))


def test_an_expired_server_certificate_is_renewed(data: Path) -> None:
    """Nothing kept it in time: the arbitrator was off."""
    _expired_server(data)
    assert not store.ensure(data, NOW)
    assert _is_whole(data)
    server = material.read_certificate(paths.data_directory(data).server_certificate, "server")
    assert valid_until(server) > NOW + timedelta(days=3_600)


def test_an_expired_server_certificate_without_the_authoritys_key(data: Path) -> None:
    _expired_server(data)
    key = paths.ca_key(data)
    key.rename(data / "elsewhere")
    with pytest.raises(UserError, match=r"server certificate, .*, has expired") as caught:
        store.ensure(data, NOW)
    assert f"put {key} back" in str(caught.value.hint)


def test_a_clock_that_is_late_keeps_nobody_from_starting(data: Path) -> None:
    """A board without a battery starts in the past, and has the time a minute later."""
    early = NOW - timedelta(days=1000)
    assert not store.ensure(data, early)
    assert all("the clock of this host says" in warned.text for warned in expiry.warnings(data, early))


# ---- signing


@pytest.mark.parametrize("kind", ["rsa", "curve"])
def test_a_signed_request(data: Path, kind: str) -> None:
    key = rsa_key() if kind == "rsa" else curve_key()
    certificate = x509.load_der_x509_certificate(store.sign(data, request("lab", key), "lab", NOW))
    assert certificate.subject == common_name("lab")
    assert material.matches(certificate, key)
    assert material.is_issued_by(certificate, store.load_authority(data).certificate)


def test_nothing_of_the_request_but_its_key_is_certified(data: Path) -> None:
    wishes = x509.SubjectAlternativeName([x509.DNSName("Qnetd Server")])
    certificate = x509.load_der_x509_certificate(store.sign(data, request("lab", extension=wishes), "lab", NOW))
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_pem_is_signed_too(data: Path) -> None:
    pem = x509.load_der_x509_csr(request("lab")).public_bytes(serialization.Encoding.PEM)
    assert x509.load_der_x509_certificate(store.sign(data, pem, "lab", NOW)).subject == common_name("lab")


def test_a_refused_request_needs_no_authority(tmp_path: Path) -> None:
    with pytest.raises(RequestRefused):
        store.sign(tmp_path, request("lab"), "other", NOW)
    with pytest.raises(UserError, match="there is no certificate authority in"):
        store.sign(tmp_path, request("lab"), "lab", NOW)


def test_beside_a_stock_server_it_is_said_how_to_take_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thirdvote.pki.paths.STOCK_DIRECTORY", tmp_path / "nssdb")
    with pytest.raises(UserError) as without:
        store.check_there(tmp_path)
    (tmp_path / "nssdb").mkdir()
    with pytest.raises(UserError) as beside:
        store.check_there(tmp_path)
    assert without.value.hint == f"the first start makes it: thirdvote serve --data {tmp_path}"
    assert f"taken over: thirdvote ca import-nss {tmp_path / 'nssdb'}" in (beside.value.hint or "")


def test_facts(data: Path) -> None:
    assert [(fact.role, fact.subject) for fact in store.facts(data)] == [("authority", "CN=QNet CA"), ("server", "CN=Qnetd Server")]


def test_facts_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are no certificates in"):
        store.facts(tmp_path)
