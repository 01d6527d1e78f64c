from __future__ import annotations

import hashlib
import hmac
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.padding import PKCS7

from tests.certificates import NOW, certutil, common_name, needs_nss_tools, nss_database
from thirdvote.errors import UserError
from thirdvote.pki import issue, material, nss_format, nss_read, nss_write
from thirdvote.pki.compatible import TripleDES
from thirdvote.pki.nss_format import OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, encode


@pytest.fixture(scope="module")
def made_by_nss(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nss")
    return nss_database(folder / "db", folder / "noise")


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    return _write(tmp_path)


def _write(folder: Path) -> Path:
    key, authority_key = issue.new_key(), issue.new_key()
    authority = issue.new_authority(authority_key, NOW)
    server = issue.server_certificate(key.public_key(), authority, NOW)
    entries = [
        nss_write.NewEntry("QNet CA", authority.certificate, authority_key, authority=True),
        nss_write.NewEntry("QNetd Cert", server, key, authority=False),
    ]
    nss_write.write(folder, entries, folder)
    return folder


def _by_name(database: nss_read.Database) -> dict[str, nss_read.Entry]:
    return {entry.nickname: entry for entry in database.entries}


@needs_nss_tools
def test_what_nss_made(made_by_nss: Path) -> None:
    database = nss_read.read(made_by_nss)
    found = _by_name(database)
    assert found.keys() == {"QNet CA", "QNetd Cert"}
    for name, subject, trusted in (("QNet CA", "QNet CA", True), ("QNetd Cert", "Qnetd Server", False)):
        entry = found[name]
        assert entry.certificate.subject == common_name(subject)
        assert entry.trusted_for_clients == trusted
        assert isinstance(database.keys[entry.key_id], rsa.RSAPrivateKey)
        assert material.matches(entry.certificate, database.keys[entry.key_id])


@needs_nss_tools
def test_trust_that_was_taken_away(made_by_nss: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(made_by_nss, tmp_path / "db")
    certutil("-M", "-n", "QNet CA", "-t", ",,", "-d", f"sql:{folder}")
    assert not _by_name(nss_read.read(folder))["QNet CA"].trusted_for_clients


@needs_nss_tools
def test_a_password_is_read_from_its_file(made_by_nss: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(made_by_nss, tmp_path / "db")
    (tmp_path / "old").write_text("\n")
    (folder / "pwdfile.txt").write_text("correct horse\n")
    certutil("-W", "-d", f"sql:{folder}", "-f", tmp_path / "old", "-@", folder / "pwdfile.txt")
    assert len(nss_read.read(folder).keys) == 2
    (folder / "pwdfile.txt").write_text("wrong\n")
    with pytest.raises(UserError, match=r"the password of .* is not the one in") as caught:
        nss_read.read(folder)
    assert "certutil -W" in str(caught.value.hint)


def test_nothing_is_written(ours: Path) -> None:
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in ours.iterdir()}
    for path in ours.iterdir():
        path.chmod(0o400)
    assert len(nss_read.read(ours).entries) == 2
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in ours.iterdir()} == before


def test_an_empty_password_needs_no_password_file(ours: Path) -> None:
    """Debian gives the server's user only the two databases."""
    (ours / "pwdfile.txt").mkdir()  # can not be read, not even by root
    assert len(nss_read.read(ours).keys) == 2


def test_a_path_with_characters_that_mean_something_in_a_uri(tmp_path: Path) -> None:
    folder = tmp_path / "a b?mode=rw#c%41"
    folder.mkdir()
    assert len(nss_read.read(_write(folder)).entries) == 2
    assert list(tmp_path.iterdir()) == [folder]


def test_no_database(tmp_path: Path) -> None:
    assert not nss_read.exists(tmp_path)
    with pytest.raises(UserError, match="there is no certificate database in") as caught:
        nss_read.read(tmp_path)
    assert "corosync-qnetd-certutil -i" in str(caught.value.hint)


def test_a_database_of_the_old_kind(tmp_path: Path) -> None:
    (tmp_path / "cert8.db").touch()
    assert nss_read.exists(tmp_path)
    with pytest.raises(UserError, match="of the old kind") as caught:
        nss_read.read(tmp_path)
    assert "certutil -N -d sql:" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["cert9.db", "key4.db"])
@pytest.mark.parametrize("content", [b"", b"no database at all" * 100, None], ids=["empty", "garbage", "half"])
def test_damage_is_named_with_the_file(ours: Path, name: str, content: bytes | None) -> None:
    path = ours / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content is None else content)
    with pytest.raises(UserError, match=f"the certificate database {path} can not be read") as caught:
        nss_read.read(ours)
    assert caught.value.hint


def test_the_keys_file_is_missing(ours: Path) -> None:
    (ours / "key4.db").unlink()
    with pytest.raises(UserError, match=r"key4\.db, is missing"):
        nss_read.read(ours)


@pytest.mark.parametrize("column", ["a11", "a100", "a180"])
def test_a_damaged_key(ours: Path, column: str) -> None:
    with closing(sqlite3.connect(ours / "key4.db")) as connection:
        connection.execute(f"UPDATE nssPrivate SET {column} = x'3003020101'")
        connection.commit()
    with pytest.raises(UserError, match=r"key4\.db can not be read"):
        nss_read.read(ours)


def test_a_damaged_certificate(ours: Path) -> None:
    with closing(sqlite3.connect(ours / "cert9.db")) as connection:
        connection.execute("UPDATE nssPublic SET a11 = x'30' WHERE a0 = x'00000001'")
        connection.commit()
    with pytest.raises(UserError, match=r"cert9\.db can not be read"):
        nss_read.read(ours)


# ---- databases of NSS before 3.49


def _encrypt_as_before_3_49(secret: nss_format.Secret, plain: bytes) -> bytes:
    salt = bytes(range(20))
    inner = hashlib.sha1(hashlib.sha1(secret.salt + secret.password).digest() + salt).digest()
    made = hmac.digest(inner, salt + salt, "sha1") + hmac.digest(inner, hmac.digest(inner, salt, "sha1") + salt, "sha1")
    padder = PKCS7(64).padder()
    encryptor = Cipher(TripleDES(made[:24]), modes.CBC(made[-8:])).encryptor()
    cipher = encryptor.update(padder.update(plain) + padder.finalize())
    parameters = encode(SEQUENCE, encode(OCTET_STRING, salt), nss_format.encode_integer(1))
    algorithm = encode(SEQUENCE, encode(OBJECT_IDENTIFIER, bytes.fromhex("2a864886f70d010c050103")), parameters)
    return encode(SEQUENCE, algorithm, encode(OCTET_STRING, cipher))


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with monkeypatch.context() as patch:
        patch.setattr(nss_format.Secret, "encrypt", _encrypt_as_before_3_49)
        return _write(tmp_path)


def test_triple_des(old: Path) -> None:
    database = nss_read.read(old)
    assert all(material.matches(entry.certificate, database.keys[entry.key_id]) for entry in database.entries)


@needs_nss_tools
def test_nss_reads_what_that_test_wrote(old: Path, tmp_path: Path) -> None:
    """So it is the scheme of NSS, not one that only the two halves of the test agree on."""
    command = ["pk12util", "-o", str(tmp_path / "out.p12"), "-n", "QNetd Cert", "-d", f"sql:{old}", "-W", "", "-K", ""]
    assert "EXPORT SUCCESSFUL" in subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
