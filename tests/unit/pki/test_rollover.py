from __future__ import annotations

import itertools
import ssl
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.certificates import NOW, certificates_of, curve_key, request
from thirdvote.errors import UserError
from thirdvote.net.tls import CertificatePaths, TlsPump, server_context
from thirdvote.pki import files, issue, material, paths, rollover, store
from thirdvote.pki.compatible import valid_until
from thirdvote.pki.paths import Folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store.ensure(tmp_path)
    return tmp_path


@pytest.fixture
def folder(data: Path) -> Folder:
    return paths.folder_in(data)


def _certificates(path: Path) -> list[x509.Certificate]:
    return certificates_of(path.read_bytes())


class _Node:
    """What a node has: whom it trusts, and its own certificate."""

    def __init__(self, data: Path, name: str, place: Path) -> None:
        key = curve_key()
        certificate = x509.load_der_x509_certificate(store.sign(data, request(name, key), name))
        self.own = place / f"{name}.pem"
        self.own.write_bytes(material.certificate_pem(certificate) + material.key_pem(key))
        self.authority = place / f"{name}-ca.pem"
        self.authority.write_bytes(paths.folder_in(data).authority.read_bytes())

    def meets(self, folder: Folder) -> bytes:
        """The name that the server has read. ssl.SSLError."""
        trusted = folder.trusted if rollover.is_under_way(folder) else folder.authority
        server = TlsPump(server_context(CertificatePaths(folder.server, folder.server_key, trusted), client_certificate=True))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.authority)
        context.load_cert_chain(self.own)
        client = TlsPump(context, "Qnetd Server")
        while not (server.established and client.established):
            for one, other in ((client, server), (server, client)):
                if not one.established:
                    one.shake_hands()
                other.feed(one.outgoing())
        return server.certificate_names()[0]


def test_nodes_of_both_authorities_and_the_server_trust_each_other(data: Path, folder: Folder, tmp_path: Path) -> None:
    before = _Node(data, "before", tmp_path)
    rollover.begin(folder, NOW)
    store.ensure(data)
    after = _Node(data, "after", tmp_path)
    assert [before.meets(folder), after.meets(folder)] == [b"before", b"after"]
    rollover.finish(folder, NOW)
    store.ensure(data)
    assert after.meets(folder) == b"after"
    with pytest.raises(ssl.SSLError):
        before.meets(folder)


def test_three_in_a_row(data: Path, folder: Folder, tmp_path: Path) -> None:
    names = []
    for number in range(3):
        rollover.begin(folder, NOW)
        node = _Node(data, f"n{number}", tmp_path)
        assert node.meets(folder) == f"n{number}".encode()
        rollover.finish(folder, NOW)
        assert node.meets(folder) == f"n{number}".encode()
        names.append(store.facts(data)[0].subject)
    assert names == ["CN=QNet CA 2", "CN=QNet CA 3", "CN=QNet CA 4"]


def test_what_is_there_meanwhile_and_afterwards(data: Path, folder: Folder) -> None:
    server_before = _certificates(folder.server)
    old = _certificates(folder.authority)
    rollover.begin(folder, NOW)
    assert rollover.is_under_way(folder)
    assert [fact.role for fact in store.facts(data)] == ["authority", "server", "old authority"]
    assert _certificates(folder.server)[:1] == server_before
    assert len(_certificates(folder.server)) == 2
    assert _certificates(folder.old_authority) == old
    assert stat.S_IMODE(folder.old_authority_key.stat().st_mode) == 0o600
    rollover.finish(folder, NOW)
    assert sorted(path.name for path in folder.path.iterdir()) == ["ca.crt", "ca.key", "server.crt", "server.key"]
    assert len(_certificates(folder.server)) == 1


def test_the_old_ones_server_certificate_is_made_anew_when_it_is_lost(data: Path, folder: Folder) -> None:
    rollover.begin(folder, NOW)
    folder.server.unlink()
    assert store.ensure(data)
    leaf, cross = _certificates(folder.server)
    assert material.is_issued_by(leaf, _certificates(folder.old_authority)[0])
    assert material.is_issued_by(cross, _certificates(folder.authority)[0])


def test_not_twice_and_not_from_nothing(folder: Folder) -> None:
    with pytest.raises(UserError, match="no new authority is taking over"):
        rollover.finish(folder, NOW)
    rollover.begin(folder, NOW)
    with pytest.raises(UserError, match="is taking over already"):
        rollover.begin(folder, NOW)


class _Crash(BaseException):
    pass


def _crash_at(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the file with that number is written, moved or removed."""
    numbers = itertools.count()

    def counted(function: object) -> object:
        def crashing(*arguments: object, **settings: object) -> object:
            if next(numbers) == count:
                raise _Crash
            assert callable(function)
            return function(*arguments, **settings)

        return crashing

    monkeypatch.setattr(files, "write", counted(files.write))
    monkeypatch.setattr(files, "move", counted(files.move))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))


@pytest.mark.parametrize("count", range(7))
def test_a_crash_in_the_beginning_goes_on_or_back(data: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    with monkeypatch.context() as patch:
        _crash_at(count, patch)
        with pytest.raises(_Crash):
            rollover.begin(folder, NOW)
    store.ensure(data)
    if rollover.is_under_way(folder):
        assert count == 6
        rollover.finish(folder, NOW)
    else:
        assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == before
    store.ensure(data)


@pytest.mark.parametrize("count", range(4))
def test_a_crash_at_the_end_goes_on_or_back(data: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    rollover.begin(folder, NOW)
    with monkeypatch.context() as patch:
        _crash_at(count, patch)
        with pytest.raises(_Crash):
            rollover.finish(folder, NOW)
    store.ensure(data)
    assert rollover.is_under_way(folder) == (count == 0)
    assert material.is_issued_by(_certificates(folder.server)[0], _certificates(rollover.server_issuer(folder))[0])


def test_a_backup_has_everything(folder: Folder) -> None:
    before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    place = rollover.backup(folder, NOW)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert stat.S_IMODE((place / "ca.key").stat().st_mode) == 0o600
    assert rollover.backup(folder, NOW) not in (place, folder.path)


def test_the_new_authority_has_another_name_and_lets_one_below_it(folder: Folder) -> None:
    rollover.begin(folder, NOW)
    (new,) = _certificates(folder.authority)
    assert new.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(ca=True, path_length=1)
    cross = _certificates(folder.server)[1]
    assert valid_until(cross) <= valid_until(_certificates(folder.old_authority)[0])
    assert cross.subject == _certificates(folder.old_authority)[0].subject
    assert material.common_name(new.subject) != issue.AUTHORITY_NAME
    assert valid_until(new) > NOW + timedelta(days=3_600)
