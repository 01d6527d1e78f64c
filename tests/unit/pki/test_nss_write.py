from __future__ import annotations

import sqlite3
import stat
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from tests.certificates import NOW, certutil, needs_nss_tools, rsa_key
from thirdvote.pki import issue, material, nss_keys, nss_objects, nss_read, nss_write
from thirdvote.pki.issue import AuthorityKey


@pytest.fixture(params=["curve", "rsa"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Both keys of one kind."""
    is_curve = request.param == "curve"
    key, authority_key = (issue.new_key(), issue.new_key()) if is_curve else (rsa_key(), rsa_key(3_072))
    authority = issue.new_authority(authority_key, NOW)
    entries = [
        nss_write.NewEntry("QNet CA", authority.certificate, authority_key, authority=True),
        nss_write.NewEntry("QNetd Cert", issue.server_certificate(key.public_key(), authority, NOW), key, authority=False),
    ]
    nss_write.write(tmp_path, entries, Path("/later"))
    return tmp_path


def test_what_is_written_is_read(folder: Path) -> None:
    database = nss_read.read(folder)
    assert [(entry.nickname, entry.trusted_for_clients) for entry in database.entries] == [("QNet CA", True), ("QNetd Cert", False)]
    assert all(material.matches(entry.certificate, database.keys[entry.key_id]) for entry in database.entries)


def test_keys_are_closed_from_the_first_byte_on(folder: Path) -> None:
    assert stat.S_IMODE((folder / "key4.db").stat().st_mode) == 0o600


def test_the_list_of_modules_names_the_lasting_place(folder: Path) -> None:
    assert "configdir='/later'" in (folder / nss_objects.MODULES_FILE).read_text()


def test_a_database_is_never_overwritten(folder: Path) -> None:
    with pytest.raises(FileExistsError):
        nss_write.write(folder, [], folder)


def test_no_key_is_readable_in_the_file(folder: Path) -> None:
    content = (folder / "key4.db").read_bytes()
    for key in nss_read.read(folder).keys.values():
        assert all(secret not in content for secret in nss_keys.secrets(key).values())


@needs_nss_tools
def test_nss_lists_certificates_trust_and_keys(folder: Path) -> None:
    listed = [line.split() for line in certutil("-L", "-d", f"sql:{folder}").splitlines()]
    assert ["QNet", "CA", "CTu,u,u"] in listed
    assert ["QNetd", "Cert", "u,u,u"] in listed
    keys = certutil("-K", "-d", f"sql:{folder}")
    assert keys.count(" ec ") + keys.count(" rsa ") == 2
    assert "NSS Certificate DB:QNetd Cert" in keys


@needs_nss_tools
def test_nss_believes_the_trust(folder: Path) -> None:
    assert "certificate is valid" in certutil("-V", "-u", "V", "-e", "-n", "QNetd Cert", "-d", f"sql:{folder}")
    assert "certificate is valid" in certutil("-V", "-u", "L", "-e", "-n", "QNet CA", "-d", f"sql:{folder}")


@needs_nss_tools
def test_nss_does_not_believe_trust_that_somebody_changed(folder: Path) -> None:
    """The signature is what makes the difference, so it is the right one elsewhere."""
    with closing(sqlite3.connect(folder / "key4.db")) as connection:
        connection.execute("DELETE FROM metaData WHERE id LIKE 'sig_cert_%'")
        connection.commit()
    command = ["certutil", "-V", "-u", "V", "-e", "-n", "QNetd Cert", "-d", f"sql:{folder}"]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode != 0


@needs_nss_tools
@pytest.mark.filterwarnings("ignore:PKCS#12 bundle could not be parsed as DER")  # NSS writes BER
def test_nss_hands_out_the_key(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.p12"
    command = ["pk12util", "-o", str(out), "-n", "QNetd Cert", "-d", f"sql:{folder}", "-W", "", "-K", ""]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    key, certificate, _ = pkcs12.load_key_and_certificates(out.read_bytes(), b"")
    assert certificate is not None
    assert isinstance(key, AuthorityKey)
    assert material.matches(certificate, key)
