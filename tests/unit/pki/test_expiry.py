from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.certificates import NOW, request
from tests.unit.pki.test_inventory import signed
from thirdvote.pki import expiry, inventory, paths, store

END = NOW + timedelta(days=3_653)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store.ensure(tmp_path, NOW)
    return tmp_path


def _texts(data: Path, days_before_the_end: int) -> list[str]:
    return [warned.text for warned in expiry.warnings(data, END - timedelta(days=days_before_the_end))]


def test_sixty_days_before_the_end_and_what_to_do(data: Path) -> None:
    assert _texts(data, 3_000) == []
    assert _texts(data, 61) == []
    authority, server = _texts(data, 59)
    assert str(data / "pki" / "ca.crt") in authority
    assert "thirdvote ca renew --authority" in authority
    assert str(data / "pki" / "server.crt") in server
    assert "can not outlive its authority" in server


def test_a_server_that_could_not_be_renewed(data: Path) -> None:
    """Its authority lives longer, and its key is elsewhere."""
    store.ensure(data, NOW)
    folder = paths.folder_in(data)
    folder.server.unlink()
    later = NOW + timedelta(days=1)
    store.ensure(data, later)
    fact = next(fact for fact in store.facts(data) if fact.role == "server")
    shorter = replace(fact, valid_until=NOW + timedelta(days=30))
    folder.authority_key.rename(data / "elsewhere")
    (text,) = expiry._of_fact(data, shorter, store.facts(data)[0], NOW)
    assert f"put {folder.authority_key} back" in text


def test_clusters_are_warned_of_when_their_last_certificate_ends(data: Path) -> None:
    soon = NOW + timedelta(days=30)
    kept = [
        signed("1", "web", soon),
        signed("2", "db", soon),
        signed("3", "db"),
        replace(signed("4", "old", soon), authority="QNet CA 0"),
        signed("5", "gone", NOW - timedelta(days=1)),
        replace(signed("6", "demo-a", soon), way="demo"),
        replace(signed("7", "out", soon), revoked_at=NOW),
    ]
    inventory.add(data / "pki", kept, NOW)
    assert [(warned.cluster, "enrol it anew" in warned.text) for warned in expiry.warnings(data, NOW)] == [("web", True)]


def test_many_clusters_are_counted(data: Path) -> None:
    soon = NOW + timedelta(days=30)
    inventory.add(data / "pki", [signed(f"{number:x}", f"c{number}", soon) for number in range(1, 31)], NOW)
    warned = expiry.warnings(data, NOW)
    assert len(warned) == expiry.NAMED_MAX + 1
    assert "10 more clusters" in warned[-1].text


def test_an_inventory_that_can_not_be_read_keeps_nobody_from_starting(data: Path) -> None:
    store.sign(data, request("web"), "web", NOW)
    inventory.path_in(data / "pki").write_bytes(b"rubbish" * 100)
    (warned,) = expiry.warnings(data, NOW)
    assert "can not be used" in warned.text
