from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.certificates import NOW, certificates_of
from thirdvote.errors import UserError
from thirdvote.pki import issue, material, paths, renewal, rollover, store
from thirdvote.pki.compatible import valid_from, valid_until
from thirdvote.pki.paths import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Its server certificate ends before its authority does."""
    store.ensure(tmp_path, NOW)
    folder = paths.folder_in(tmp_path)
    authority = store.load_authority(tmp_path)
    shorter = issue.Authority(issue.new_authority(authority.key, NOW - timedelta(days=3_000)).certificate, authority.key)
    key = material.read_key(folder.server_key, "key")
    renewal.write(folder, issue.server_certificate(key.public_key(), shorter, NOW), NOW)
    return folder


def _server(folder: Folder) -> x509.Certificate:
    return material.read_certificate(folder.server, "server certificate")


def test_ninety_days_before_its_end_a_start_renews_it(folder: Folder) -> None:
    before = _server(folder)
    store.ensure(folder.path.parent, valid_until(before) - timedelta(days=91))
    assert _server(folder) == before
    store.ensure(folder.path.parent, valid_until(before) - timedelta(days=89))
    after = _server(folder)
    assert valid_until(after) == valid_until(material.read_certificate(folder.authority, "authority"))
    assert after.public_key() == before.public_key()


def test_it_is_valid_from_the_same_time_on(folder: Folder) -> None:
    """A clock that is years ahead for a moment makes no certificate that nodes do not accept."""
    before = _server(folder)
    after = renewal.renew(folder, NOW + timedelta(days=2_000))
    assert valid_from(after) == valid_from(before)
    assert _server(folder) == after


def test_nothing_is_won_when_the_authority_ends_at_the_same_time(folder: Folder) -> None:
    renewed = renewal.renew(folder, NOW)
    store.ensure(folder.path.parent, valid_until(renewed) - timedelta(days=5))
    assert _server(folder) == renewed


def test_without_the_authoritys_key_it_stays(folder: Folder) -> None:
    before = _server(folder)
    folder.authority_key.rename(folder.path.parent / "elsewhere")
    store.ensure(folder.path.parent, valid_until(before) - timedelta(days=5))
    assert _server(folder) == before
    with pytest.raises(UserError, match=r"ca\.key, is missing"):
        renewal.renew(folder, NOW)


def test_while_authorities_change_the_old_one_renews_it(folder: Folder) -> None:
    rollover.begin(folder, NOW)
    renewal.renew(folder, NOW)
    leaf, cross = certificates_of(folder.server.read_bytes())
    assert material.is_issued_by(leaf, material.read_certificate(folder.old_authority, "old"))
    assert material.is_issued_by(cross, material.read_certificate(folder.authority, "new"))
    store.ensure(folder.path.parent, NOW)


def test_a_key_of_another_certificate(folder: Folder) -> None:
    folder.server_key.write_bytes(material.key_pem(issue.new_key()))
    with pytest.raises(UserError, match="is not the key of"):
        renewal.renew(folder, NOW)
