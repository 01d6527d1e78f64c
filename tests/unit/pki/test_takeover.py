from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.certificates import NOW, certutil, needs_nss_tools, nss_database, request, rsa_key
from thirdvote.errors import UserError
from thirdvote.pki import (
    inventory,
    issue,
    material,
    nss_objects,
    nss_read,
    nss_write,
    paths,
    revocation,
    revocation_list,
    rollover,
    stock,
    store,
    takeover,
)

END = timedelta(days=4_000)


def _quiet(text: str) -> None:
    """What a person would be told."""


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A database that our own `corosync-qnetd-certutil` has made, with the certificates of two clusters."""
    folder = tmp_path / "nssdb"
    stock.initialize(folder, stock.GROUP_WRITES, _quiet, NOW)
    for name in ("web", "db"):
        stock.sign(folder, request(name), name, _quiet, NOW)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def _authority(source: Path) -> x509.Certificate:
    return next(entry.certificate for entry in nss_read.read(source).entries if entry.nickname == "QNet CA")


def test_authority_server_clusters_and_counter(ours: Path, data: Path) -> None:
    before = {path.name: path.read_bytes() for path in ours.iterdir()}
    taken = takeover.import_stock(ours, data, now=NOW)
    assert taken == takeover.TakenOver(clusters=("db", "web"), made_server=False, skipped=(), backup=None)
    assert store.load_authority(data).certificate == _authority(ours)
    assert not store.ensure(data, NOW), "nothing is left to be made"
    known = inventory.every(data / "pki")
    assert [(each.cluster, each.way, each.signed_at) for each in known] == [("db", "imported", None), ("web", "imported", None)]
    assert (data / "pki" / "serial.txt").read_bytes() == (ours / "serial.txt").read_bytes()
    assert {path.name: path.read_bytes() for path in ours.iterdir()} == before


@needs_nss_tools
def test_the_stock_tools_kind_rsa_without_extensions(tmp_path: Path, data: Path) -> None:
    source = nss_database(tmp_path / "nssdb", tmp_path / "noise")
    taken = takeover.import_stock(source, data)
    assert not taken.made_server
    assert {fact.key for fact in store.facts(data)} == {"RSA 2048"}
    assert not store.ensure(data)
    certificate = x509.load_der_x509_certificate(store.sign(data, request("web"), "web"))
    assert material.is_issued_by(certificate, _authority(source))


@needs_nss_tools
@pytest.mark.parametrize("written", [True, False], ids=["in the file", "nowhere"])
def test_a_password(tmp_path: Path, data: Path, written: bool) -> None:
    source = nss_database(tmp_path / "nssdb", tmp_path / "noise")
    new, old = tmp_path / "new", tmp_path / "old"
    new.write_text("secret\n")
    old.write_text("\n")
    certutil("-W", "-d", f"sql:{source}", "-f", old, "-@", new)
    if written:
        (source / "pwdfile.txt").write_text("secret\n")
        assert takeover.import_stock(source, data).backup is None
        return
    with pytest.raises(UserError, match="is not the one in"):
        takeover.import_stock(source, data)
    assert not (data / "pki").exists()


def test_a_server_certificate_that_is_of_no_use_is_made_anew(ours: Path, data: Path, tmp_path: Path) -> None:
    database = nss_read.read(ours)
    authority = next(entry for entry in database.entries if entry.nickname == "QNet CA")
    bare = tmp_path / "bare"
    bare.mkdir()
    nss_write.write(bare, [nss_write.NewEntry("QNet CA", authority.certificate, database.keys[authority.key_id], authority=True)], bare)
    assert takeover.import_stock(bare, data, now=NOW).made_server
    assert not store.ensure(data, NOW)


# ---- what is refused; nothing is changed then


def _refused(source: Path, data: Path, match: str, now: object = NOW) -> str:
    with pytest.raises(UserError, match=match) as caught:
        takeover.import_stock(source, data, now=NOW if now is NOW else NOW + END)
    assert not (data / "pki" / "ca.crt").exists()
    return str(caught.value.hint)


def test_no_database(tmp_path: Path, data: Path) -> None:
    _refused(tmp_path / "nothing", data, "there is no certificate database")


def test_the_old_kind(tmp_path: Path, data: Path) -> None:
    (tmp_path / nss_objects.OLD_CERTIFICATES_FILE).write_bytes(b"")
    assert "convert it: certutil -N" in _refused(tmp_path, data, "of the old kind")


def test_without_the_keys(ours: Path, data: Path) -> None:
    (ours / "key4.db").unlink()
    _refused(ours, data, r"key4\.db, is missing")


def test_without_the_authoritys_key(ours: Path, data: Path, tmp_path: Path) -> None:
    """The database of a node, for example, has the authority's certificate alone."""
    entries = nss_read.read(ours)
    stranger = issue.new_key()
    other = tmp_path / "other"
    other.mkdir()
    authority = next(entry.certificate for entry in entries.entries if entry.nickname == "QNet CA")
    nss_write.write(other, [nss_write.NewEntry("QNet CA", authority, stranger, authority=True)], other)
    assert "key4.db too" in _refused(other, data, "has not the key of its authority")


@pytest.mark.parametrize("name", ["cert9.db", "key4.db"])
@pytest.mark.parametrize("kept", [0, 50, 5_000])
def test_damaged(ours: Path, data: Path, name: str, kept: int) -> None:
    content = (ours / name).read_bytes()
    (ours / name).write_bytes(content[:kept])
    _refused(ours, data, "can not be read|has no authority|has not the key")


def test_expired(ours: Path, data: Path) -> None:
    _refused(ours, data, "authority in, .*, has expired", now=None)


def test_certificates_of_clusters_that_are_of_no_use_are_named(ours: Path, data: Path, tmp_path: Path) -> None:
    (ours / "cluster-broken.crt").write_bytes(b"rubbish")
    other = tmp_path / "other"
    stock.initialize(other, stock.GROUP_WRITES, _quiet, NOW)
    stock.sign(other, request("strange"), "strange", _quiet, NOW)
    shutil.copy(other / "cluster-strange.crt", ours)
    taken = takeover.import_stock(ours, data, now=NOW)
    assert taken.clusters == ("db", "web")
    assert ["broken" in taken.skipped[0], "of another authority" in taken.skipped[1]] == [True, True]


# ---- where there is an authority already


def test_not_over_an_authority_that_is_there(ours: Path, data: Path) -> None:
    store.ensure(data, NOW)
    before = {path.name: path.read_bytes() for path in (data / "pki").iterdir()}
    with pytest.raises(UserError, match="has an authority already") as caught:
        takeover.import_stock(ours, data, now=NOW)
    assert "--force" in str(caught.value.hint)
    assert {path.name: path.read_bytes() for path in (data / "pki").iterdir()} == before


def test_by_force_with_a_backup(ours: Path, data: Path) -> None:
    store.ensure(data, NOW)
    store.sign(data, request("old"), "old", NOW)
    before = {path.name: path.read_bytes() for path in (data / "pki").iterdir()}
    taken = takeover.import_stock(ours, data, force=True, now=NOW)
    assert taken.backup is not None
    assert {path.name: path.read_bytes() for path in taken.backup.iterdir()} == before
    assert store.load_authority(data).certificate == _authority(ours)
    assert {each.cluster for each in inventory.every(data / "pki")} == {"web", "db"}


def test_the_same_one_once_more_forgets_no_revocation(ours: Path, data: Path) -> None:
    takeover.import_stock(ours, data, now=NOW)
    revocation.revoke(data, revocation.choose(data, "web"), "stolen", NOW)
    stock.sign(ours, request("later"), "later", _quiet, NOW)
    assert takeover.import_stock(ours, data, force=True, now=NOW).clusters == ("db", "later", "web")
    assert revocation_list.read(data / "pki").refuse(1, [b"web"])
    assert {each.cluster: each.revoked_because for each in inventory.every(data / "pki")} == {"db": "", "later": "", "web": "stolen"}


# ---- and back


@pytest.mark.parametrize("kind", ["curve", "rsa"])
def test_there_and_back(tmp_path: Path, data: Path, kind: str) -> None:
    if kind == "rsa":
        authority = issue.new_authority(rsa_key(), NOW)
        folder = paths.folder_in(data)
        folder.path.mkdir(parents=True, mode=0o700)
        rollover.write_key(folder.authority_key, authority.key, "key")
        rollover.write_certificates(folder.authority, [authority.certificate], "certificate")
    store.ensure(data, NOW)
    back = tmp_path / "back"
    assert takeover.export_stock(data, back, _quiet, NOW) == 0
    assert stock.exists(back)
    stock.sign(back, request("web"), "web", _quiet, NOW)
    again = tmp_path / "again"
    takeover.import_stock(back, again, now=NOW)
    for name in ("ca.crt", "server.crt"):
        assert (again / "pki" / name).read_bytes() == (data / "pki" / name).read_bytes()


def test_the_stock_tool_goes_on_counting(ours: Path, data: Path, tmp_path: Path) -> None:
    takeover.import_stock(ours, data, now=NOW)
    takeover.export_stock(data, tmp_path / "back", _quiet, NOW)
    assert (tmp_path / "back" / "serial.txt").read_bytes() == (ours / "serial.txt").read_bytes()


def test_no_database_is_overwritten(ours: Path, data: Path) -> None:
    store.ensure(data, NOW)
    with pytest.raises(UserError, match="a certificate database in"):
        takeover.export_stock(data, ours, _quiet, NOW)


def test_not_while_authorities_change(data: Path, tmp_path: Path) -> None:
    store.ensure(data, NOW)
    rollover.begin(paths.folder_in(data), NOW)
    with pytest.raises(UserError, match="a new authority is taking over"):
        takeover.export_stock(data, tmp_path / "back", _quiet, NOW)


def test_what_is_revoked_counts_again_there_and_is_counted(ours: Path, data: Path, tmp_path: Path) -> None:
    takeover.import_stock(ours, data, now=NOW)
    (first, _) = inventory.every(data / "pki")
    inventory.revoke(data / "pki", [first.serial_number], NOW, "")
    assert takeover.export_stock(data, tmp_path / "back", _quiet, NOW) == 1
