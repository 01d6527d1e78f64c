from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.control_here import STATUS, control_here
from thirdvote.cli.main import main
from thirdvote.cli.status import SHOWN_MAX, problems_of

SPLIT = (
    "cluster ffsplit of nodes 1 2, tie-breaker lowest",
    "nodes 1 2 start together in ring 1.a",
    "node 1 reports ring 1.e with 1",
    "node 2 reports ring 2.e with 2",
)


def status(path: Path, *arguments: str, story: tuple[str, ...] = (), **differences: Any) -> int:
    with control_here(path, story, differences):
        return main(["status", "--control", str(path), *arguments], lambda settings, reload: None)


def test_problems_are_in_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(tmp_path / "c", "--json", story=SPLIT) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == ["story: node 2 has no vote: the other half has node 1, the tie-breaker"]
    assert found["connections"] == 2


def test_what_is_not_usual_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status(tmp_path / "c", tls="off", test_algorithm=True, connections=3, connections_before_init=1)
    shown = capsys.readouterr().out
    assert "[::]:5403, no TLS\n" in shown
    assert "2 nodes in 0 clusters, 1 connection not in a cluster yet" in shown
    assert "test is served" in shown


def test_what_is_to_be_known_of_certificates_is_a_problem() -> None:
    warned = [{"text": "ca.crt expires on 2026-12-24", "cluster": None}, {"text": "the certificate of 'web' expires", "cluster": "web"}]
    found = STATUS | {"connections": 0, "certificates": {"revoked": 0, "warnings": warned}}
    assert problems_of(found, []) == ["ca.crt expires on 2026-12-24", "the certificate of 'web' expires"]


def test_a_server_that_is_nearly_full_is_a_problem() -> None:
    full = STATUS | {"connections": 18_000, "clusters": 0}
    assert problems_of(full, []) == ["18000 of 20000 possible connections are in use"]
    assert problems_of(full | {"connections": 17_999}, []) == []


FAILING = {
    "path": "/d/ledger.db",
    "state": "failing",
    "problem": "the ledger /d/ledger.db is damaged",
    "hint": "`mv` it",
    "records": 0,
    "past_complete": False,
}


def test_a_ledger_that_can_not_be_written_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status(tmp_path / "c", ledger=FAILING)
    shown = capsys.readouterr().out
    assert "ledger     /d/ledger.db, can not be written\n" in shown
    assert "no vote is given that needs a new record: the ledger /d/ledger.db is damaged (hint: `mv` it)" in shown


def test_a_ledger_that_was_not_complete_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status(tmp_path / "c", ledger={"path": "/d/ledger.db", "state": "ok", "records": 2, "past_complete": False})
    assert "ledger     /d/ledger.db, 2 records, not complete at the last start\n" in capsys.readouterr().out


def test_a_long_list_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = " ".join(map(str, range(1, SHOWN_MAX + 4)))
    status(tmp_path / "c", story=(f"cluster ffsplit of nodes {nodes}", "node 1 joins"))
    shown = capsys.readouterr().out.splitlines()
    assert shown[-1] == "  and 3 more; `thirdvote clusters` has them all"
    assert len([line for line in shown if line.startswith("  -")]) == SHOWN_MAX


def test_a_vote_that_waits_is_one_problem_and_not_two() -> None:
    until = "until 12:03:07 for node 2, which may still report quorum: silent since 12:02:51"
    node = {"node": 1, "has_vote": False, "because": f"waiting {until}; then it gets the vote"}
    other = {"node": 3, "has_vote": False, "because": "the other half has node 1"}
    cluster = {"name": "web", "waiting": until, "missing": [2], "nodes": [node, other]}
    assert problems_of(STATUS | {"connections": 2, "clusters": 1}, [cluster]) == [
        f"web: the vote waits {until}",
        "web: node 2 is not connected",
        "web: node 3 has no vote: the other half has node 1",
    ]


def test_a_history_that_is_not_written_is_a_problem() -> None:
    failing = STATUS | {"connections": 0, "history": {"kept": True, "problem": "database or disk is full"}}
    assert problems_of(failing, []) == ["the history is not written: database or disk is full"]


@pytest.mark.parametrize(
    ("enrolment", "line"),
    [
        ({"pid": 7, "restarts": 0, "always": False}, "`thirdvote enroll status` shows who may come in"),
        (
            {"pid": 7, "restarts": 0, "always": True},
            "a window is open all the time (enroll-always); `thirdvote enroll status` shows who may come in",
        ),
        ({"pid": None, "restarts": 3, "always": False}, "does not run"),
    ],
)
def test_how_nodes_are_let_in(tmp_path: Path, capsys: pytest.CaptureFixture[str], enrolment: dict[str, Any], line: str) -> None:
    status(tmp_path / "c", enrolment=enrolment)
    shown = capsys.readouterr().out
    assert re.search(rf"^enrolment +{re.escape(line)}$", shown, re.MULTILINE), shown
    assert ("the enrolment does not run, so no node can be let in" in shown) is (enrolment["pid"] is None)
