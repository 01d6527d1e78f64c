from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.doctor_here import RootHost
from thirdvote.doctor import look_certificates
from thirdvote.doctor.facts import Database
from thirdvote.doctor.look_certificates import folder_in_memory, look
from thirdvote.pki import issue, material, nss_write

NOW = datetime.now(UTC)


@pytest.fixture
def host(tmp_path: Path) -> RootHost:
    return RootHost(tmp_path)


def database_of(host: RootHost) -> Path:
    path = host.root / "corosync/qdevice/net/nssdb"
    path.mkdir(parents=True)
    return path


def enrolled(host: RootHost, *, with_certificate: bool = True) -> issue.Authority:
    key, cluster_key = issue.new_key(), issue.new_key()
    authority = issue.new_authority(key, NOW)
    certificate = issue.cluster_certificate(cluster_key.public_key(), "office", authority, NOW)
    entries = [nss_write.NewEntry("QNet CA", authority.certificate, key, authority=True)]
    if with_certificate:
        entries.append(nss_write.NewEntry("Cluster Cert", certificate, cluster_key, authority=False))
    folder = database_of(host)
    nss_write.write(folder, entries, folder)
    folder.chmod(0o770)
    return authority


def looked(host: RootHost) -> look_certificates.Material:
    with folder_in_memory() as folder:
        found = look(host, folder)
    assert not folder.exists(), "the key must not stay"
    return found


def test_what_a_node_has(host: RootHost) -> None:
    authority = enrolled(host)
    found = looked(host)
    database = found.database
    assert (database.exists, database.mode, database.problem, database.has_key, database.is_of_authority) == (True, 0o770, "", True, True)
    assert database.cluster is not None
    assert database.cluster.subject == "office"
    assert database.authorities == (look_certificates.as_fact(authority.certificate),)
    assert [material.common_name(each.subject) for each in found.authorities] == [database.authorities[0].subject]


def test_without_a_certificate(host: RootHost) -> None:
    enrolled(host, with_certificate=False)
    database = looked(host).database
    assert (database.cluster, database.has_key, len(database.authorities)) == (None, False, 1)


def test_nothing_there(host: RootHost) -> None:
    assert looked(host).database == Database(exists=False)


def test_a_damaged_one(host: RootHost) -> None:
    folder = database_of(host)
    (folder / "cert9.db").write_bytes(b"no database")
    database = looked(host).database
    assert "/etc/corosync/qdevice/net/nssdb/cert9.db can not be read" in database.problem
    assert database.exists


def test_the_copy_is_for_nobody_else() -> None:
    with folder_in_memory() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
