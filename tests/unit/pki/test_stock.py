from __future__ import annotations

import os
import shutil
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.certificates import NOW, certutil, common_name, needs_nss_tools, nss_database, request, rsa_key
from thirdvote.errors import UserError
from thirdvote.pki import files, material, nss_read, nss_write, stock
from thirdvote.pki.paths import Paths, stock_directory
from thirdvote.pki.policy import RequestRefused


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def folder(tmp_path: Path, said: list[str]) -> Path:
    stock.initialize(tmp_path / "db", stock.GROUP_WRITES, said.append, NOW)
    return tmp_path / "db"


@pytest.fixture(scope="module")
def nss_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nss")
    return nss_database(folder / "db", folder / "noise")


@pytest.fixture
def made_by_nss(nss_made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(nss_made, tmp_path / "made_by_nss")


def _modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.iterdir()]}


def _certificate(path: Path) -> x509.Certificate:
    return x509.load_der_x509_certificate(path.read_bytes())


# ---- -i


def test_what_the_stock_tool_says(folder: Path, said: list[str]) -> None:
    assert said == [
        f"Creating {folder}",
        "Creating new key and cert db",
        f"Creating new noise file {folder}/noise.txt",
        "Creating new CA",
        f"QNetd CA certificate is exported as {folder}/qnetd-cacert.crt",
    ]


def test_files_and_modes(folder: Path) -> None:
    databases = {"cert9.db": 0o660, "key4.db": 0o660, "pkcs11.txt": 0o660}
    texts = {"pwdfile.txt": 0o660, "noise.txt": 0o660, "serial.txt": 0o660, "qnetd-cacert.crt": 0o644}
    assert _modes(folder) == {"db": 0o770, **databases, **texts}


def test_modes_without_the_groups_right_to_write(tmp_path: Path) -> None:
    stock.initialize(tmp_path / "db", stock.GROUP_READS, lambda text: None, NOW)
    modes = _modes(tmp_path / "db")
    assert modes.pop("db") == 0o750
    assert modes.pop("qnetd-cacert.crt") == 0o644
    assert set(modes.values()) == {0o640}


def test_contents(folder: Path) -> None:
    assert (folder / "pwdfile.txt").read_bytes() == b""
    assert (folder / "serial.txt").read_bytes() == b"102\n"
    noise = (folder / "noise.txt").read_text()
    assert len(noise) == 41
    assert int(noise, 16)
    exported = (folder / "qnetd-cacert.crt").read_bytes()
    assert exported.startswith(b"Certificate:\n")
    assert x509.load_pem_x509_certificate(exported).subject == common_name("QNet CA")


def test_an_existing_directory_and_noise_file_are_used(tmp_path: Path, said: list[str]) -> None:
    folder = tmp_path / "db"
    folder.mkdir(mode=0o755)
    (folder / "noise.txt").write_text("mine\n")
    stock.initialize(folder, stock.GROUP_WRITES, said.append, NOW)
    assert said[:2] == ["Creating new key and cert db", f"Using existing noise file {folder}/noise.txt"]
    assert (folder / "noise.txt").read_text() == "mine\n"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_leaves_files_to_the_owner_of_the_directory_above(tmp_path: Path) -> None:
    os.chown(tmp_path, 12, 34)
    stock.initialize(tmp_path / "db", stock.GROUP_WRITES, lambda text: None, NOW)
    stock.sign(tmp_path / "db", request("lab"), "lab", lambda text: None, NOW)
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in [tmp_path / "db", *(tmp_path / "db").iterdir()]}
    assert owners == {(12, 34)}


def test_a_crash_before_the_end_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "db"

    class Crash(BaseException):
        pass

    def crash(source: Path, target: Path) -> None:
        if target.name == "cert9.db":
            raise Crash
        move(source, target)

    move = files.move
    monkeypatch.setattr(files, "move", crash)
    with pytest.raises(Crash):
        stock.initialize(folder, stock.GROUP_WRITES, lambda text: None, NOW)
    assert not stock.exists(folder)
    monkeypatch.setattr(files, "move", move)
    stock.initialize(folder, stock.GROUP_WRITES, lambda text: None, NOW)
    assert len(nss_read.read(folder).keys) == 2
    stock.sign(folder, request("lab"), "lab", lambda text: None, NOW)


# ---- -s


def test_a_cluster_is_signed_with_the_databases_authority(folder: Path, said: list[str]) -> None:
    del said[:]
    stock.sign(folder, request("lab", rsa_key()), "lab", said.append, NOW)
    path = folder / "cluster-lab.crt"
    assert said == ["Signing cluster certificate", f"Certificate stored in {path}"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert _certificate(path).subject == common_name("lab")
    authority = next(entry for entry in nss_read.read(folder).entries if entry.nickname == "QNet CA")
    assert material.is_issued_by(_certificate(path), authority.certificate)


def test_certificates_are_counted_for_a_stock_tool_that_comes_back(folder: Path) -> None:
    for count in (103, 104):
        stock.sign(folder, request("lab"), "lab", lambda text: None, NOW)
        assert (folder / "serial.txt").read_text() == f"{count}\n"


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/passwd"])
def test_a_name_stays_in_the_directory(folder: Path, name: str) -> None:
    before = set(folder.parent.rglob("*"))
    with pytest.raises(RequestRefused, match="has a slash"):
        stock.sign(folder, request(name), name, lambda text: None, NOW)
    assert set(folder.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["..", "-rf", "my cluster", "$(id)"])
def test_odd_names_are_only_names(folder: Path, name: str) -> None:
    stock.sign(folder, request(name), name, lambda text: None, NOW)
    assert _certificate(folder / f"cluster-{name}.crt").subject == common_name(name)


def test_what_is_refused_leaves_no_file_and_is_not_counted(folder: Path, said: list[str]) -> None:
    for data, name in ((b"garbage", "lab"), (request("other"), "lab")):
        with pytest.raises(RequestRefused):
            stock.sign(folder, data, name, said.append, NOW)
    assert list(folder.glob("cluster-*")) == []
    assert (folder / "serial.txt").read_text() == "102\n"
    assert not any("stored" in text for text in said)


@needs_nss_tools
def test_the_authority_that_nss_made_signs_too(made_by_nss: Path) -> None:
    stock.sign(made_by_nss, request("lab"), "lab", lambda text: None, NOW)
    path = made_by_nss / "cluster-lab.crt"
    certutil("-A", "-n", "lab", "-t", ",,", "-i", path, "-d", f"sql:{made_by_nss}")
    assert "certificate is valid" in certutil("-V", "-u", "C", "-e", "-n", "lab", "-d", f"sql:{made_by_nss}")


def test_a_database_without_the_authoritys_key(folder: Path, tmp_path: Path) -> None:
    entries = nss_read.read(folder).entries
    other = tmp_path / "other"
    other.mkdir()
    nss_write.write(other, [], other)
    assert entries
    with pytest.raises(UserError, match="has no 'QNet CA' with its key"):
        stock.sign(other, request("lab"), "lab", lambda text: None, NOW)


# ---- for our voter


def _check(paths: Paths) -> None:
    certificate = material.read_certificate(paths.server_certificate, "server")
    assert certificate.subject == common_name("Qnetd Server")
    assert material.matches(certificate, material.read_key(paths.server_key, "key"))
    assert material.is_issued_by(certificate, material.read_certificate(paths.ca_certificate, "authority"))
    assert stat.S_IMODE(paths.server_key.stat().st_mode) == 0o600


def test_copies_next_to_the_database(folder: Path, tmp_path: Path) -> None:
    found = stock.extract_server(folder, tmp_path / "run", now=NOW)
    assert found == stock_directory(folder)
    _check(found)
    assert not (tmp_path / "run").exists()


@needs_nss_tools
def test_copies_of_what_nss_made(made_by_nss: Path) -> None:
    _check(stock.extract_server(made_by_nss, None, now=NOW))


def test_copies_are_written_once_and_follow_the_database(folder: Path, tmp_path: Path) -> None:
    first = stock.extract_server(folder, None, now=NOW)
    inode = first.server_key.stat().st_ino
    assert stock.extract_server(folder, None, now=NOW) == first
    assert first.server_key.stat().st_ino == inode
    stock.initialize(tmp_path / "other", stock.GROUP_WRITES, lambda text: None, NOW)
    for name in ("cert9.db", "key4.db"):
        shutil.copy(tmp_path / "other" / name, folder / name)
    stock.extract_server(folder, None, now=NOW)
    assert first.server_key.stat().st_ino != inode
    _check(first)


@pytest.fixture
def read_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(files, "is_writable", lambda place: place != folder)
    return folder


def test_copies_elsewhere_when_the_directory_is_not_ours(read_only: Path, tmp_path: Path) -> None:
    found = stock.extract_server(read_only, tmp_path / "run", now=NOW)
    assert found == stock_directory(tmp_path / "run" / "pki")
    assert stat.S_IMODE(found.server_key.parent.stat().st_mode) == 0o700
    _check(found)
    assert not stock_directory(read_only).server_key.exists()


def test_all_authorities_that_are_trusted(folder: Path) -> None:
    authorities = material.read_certificate(stock.extract_server(folder, None, now=NOW).ca_certificate, "authority")
    assert authorities.subject == common_name("QNet CA")


@needs_nss_tools
def test_no_trusted_authority(made_by_nss: Path) -> None:
    certutil("-M", "-n", "QNet CA", "-t", ",,", "-d", f"sql:{made_by_nss}")
    with pytest.raises(UserError, match="trusts no authority") as caught:
        stock.extract_server(made_by_nss, None, now=NOW)
    assert "certutil -M" in str(caught.value.hint)


@needs_nss_tools
def test_the_certificate_may_have_another_nickname(made_by_nss: Path) -> None:
    certutil("--rename", "-n", "QNetd Cert", "--new-n", "Mine", "-d", f"sql:{made_by_nss}")
    with pytest.raises(UserError, match="has no 'QNetd Cert' with its key"):
        stock.extract_server(made_by_nss, None, now=NOW)
    _check(stock.extract_server(made_by_nss, None, "Mine", now=NOW))


def test_an_expired_server_certificate(folder: Path) -> None:
    with pytest.raises(UserError, match="has expired on 2036-11-24"):
        stock.extract_server(folder, None, now=NOW + timedelta(days=4000))
