from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import NOW, request
from tests.unit.pki.test_inventory import signed
from thirdvote.errors import UserError
from thirdvote.pki import inventory, revocation, running, store

SHOWN = {
    "cluster": "web",
    "node": 1,
    "address": "192.0.2.1:1",
    "serial_number": "67",
    "subject": "web",
    "authority": "QNet CA",
    "fingerprint_sha256": "AA:BB",
    "valid_from": "2026-11-23T00:00:00+00:00",
    "valid_until": "2036-11-23T00:00:00+00:00",
    "seconds_left": 1,
}


@contextmanager
def voter(path: Path, *answers: dict[str, Any]) -> Iterator[list[str]]:
    """Answers one request with each; the commands that it was given."""
    asked: list[str] = []
    left = list(answers)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                asked.append(json.loads(line)["command"])
                self.wfile.write(json.dumps(left.pop(0)).encode() + b"\n")

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store.ensure(tmp_path, NOW)
    return tmp_path


def test_nobody_runs(tmp_path: Path) -> None:
    assert running.read_again(tmp_path / "s") is None
    assert running.shown_by_nodes(tmp_path / "s") is None


def test_a_voter_that_can_not_read_them_says_why(tmp_path: Path) -> None:
    with (
        voter(tmp_path / "s", {"ok": False, "error": "damaged", "hint": "restore"}),
        pytest.raises(UserError, match="damaged"),
    ):
        running.read_again(tmp_path / "s")


def test_a_voter_is_told_when_something_that_it_refuses_changes(data: Path) -> None:
    with voter(data / "control.sock", {"ok": True, "ended": 2}, {"ok": True, "ended": 0}) as asked:
        store.sign(data, request("web"), "web", NOW)
        assert asked == []
        store.sign(data, request("web"), "web", NOW, replace=True)
        assert asked == ["reload-certificates"]
        store.sign(data, request("web"), "web", NOW)
        assert asked == ["reload-certificates"] * 2, "a certificate of a cluster whose others are refused"


def test_a_voter_elsewhere_is_told(data: Path, tmp_path: Path) -> None:
    store.sign(data, request("web"), "web", NOW)
    revocation.revoke(data, revocation.choose(data, "web"), "", NOW)
    with voter(tmp_path / "elsewhere", {"ok": True, "ended": 0}) as asked:
        store.sign(data, request("web"), "web", NOW, control=tmp_path / "elsewhere")
        assert asked == ["reload-certificates"]


def test_what_is_used_is_kept_and_what_was_not_known_is_added(data: Path) -> None:
    inventory.add(data / "pki", [signed("67")], NOW)
    other = SHOWN | {"serial_number": "99", "cluster": "db", "subject": "db", "node": 7}
    running.record(data, [SHOWN, SHOWN | {"node": 2}, other], NOW)
    db, web = inventory.every(data / "pki")
    assert web == replace(signed("67"), last_used=NOW, last_used_by="1, 2")
    assert (db.cluster, db.way, db.signed_at, db.last_used_by, db.valid_until.year) == ("db", "seen", None, "7", 2036)


def test_when_nothing_is_shown_nothing_is_written(data: Path) -> None:
    running.record(data, [], NOW)
    assert not inventory.path_in(data / "pki").exists()


def test_who_needs_the_old_authority() -> None:
    old, new = signed("1", "left"), replace(signed("2", "done"), authority="QNet CA 2")
    both = [signed("3", "half"), replace(signed("4", "half"), authority="QNet CA 2")]
    gone = [
        replace(signed("5", "out"), revoked_at=NOW),
        signed("6", "ended", NOW - timedelta(days=1)),
        replace(signed("7", "x"), way="demo"),
    ]
    shown = [SHOWN | {"cluster": "half", "node": 2}, SHOWN | {"cluster": "done", "authority": "QNet CA 2"}]
    assert running.who_needs_the_old([old, new, *both, *gone], shown, "QNet CA", "QNet CA 2", NOW) == {
        "half": "node 2 still shows a certificate of the old authority",
        "left": "has no certificate of the new authority",
    }


NEEDED = {
    "algorithm": "ffsplit",
    "nodes": [{"node": 1, "has_vote": True, "config_list": [{"node": 1}, {"node": 2}], "membership_list": [{"node": 1}]}],
}


def test_who_needs_the_vote_now(tmp_path: Path) -> None:
    assert running.who_needs_the_vote(tmp_path / "s", "web") is None
    snapshot = {"ok": True, "snapshot": {"clusters": [NEEDED]}}
    with voter(tmp_path / "s", snapshot) as asked:
        assert running.who_needs_the_vote(tmp_path / "s", "web") == [1]
        assert asked == ["snapshot"]
    (tmp_path / "s").unlink()
    certificates = {"ok": True, "certificates": [SHOWN]}
    with voter(tmp_path / "s", snapshot, certificates, snapshot, certificates) as asked:
        assert running.who_needs_the_vote(tmp_path / "s", "web", ["67"]) == [1]
        assert running.who_needs_the_vote(tmp_path / "s", "web", ["68"]) == []
        assert asked == ["snapshot", "certificates"] * 2
