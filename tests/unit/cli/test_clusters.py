from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest

from tests.control_here import control_here
from thirdvote.cli.clusters import _heartbeat, _show, clusters
from thirdvote.cli.main import main
from thirdvote.cli.options import complete_cluster

STORY = (
    "cluster ffsplit of nodes 1 2, tie-breaker node 2, keep-active-partition",
    "nodes 1 2 start together in ring 1.a",
    "node 1 has heuristics pass",
)


def run(*arguments: str) -> int:
    return main(["clusters", *arguments], lambda settings, reload: None)


def test_tie_breaker_and_keep_active_partition(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with control_here(tmp_path / "c", STORY):
        assert run("--control", str(tmp_path / "c")) == 0
    assert capsys.readouterr().out.startswith("story: ffsplit, tie-breaker node 2, keep active partition, handover stock\n")


def test_details_have_heuristics_where_there_are_any(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with control_here(tmp_path / "c", STORY) as requests:
        run("story", "--control", str(tmp_path / "c"))
    shown = capsys.readouterr().out
    assert shown.count("heuristics") == 1
    assert requests == [{"command": "snapshot", "cluster": "story"}]


def test_json_is_the_snapshot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with control_here(tmp_path / "c", STORY):
        run("--json", "--control", str(tmp_path / "c"))
    (cluster,) = json.loads(capsys.readouterr().out)
    assert (cluster["name"], [node["node"] for node in cluster["nodes"]]) == ("story", [1, 2])


def test_names_are_completed_where_an_arbitrator_runs(tmp_path: Path) -> None:
    context = click.Context(clusters)
    context.params = {"control": str(tmp_path / "c")}
    with control_here(tmp_path / "c", STORY):
        assert [item.value for item in complete_cluster(context, clusters.params[0], "st")] == ["story"]
        assert complete_cluster(context, clusters.params[0], "x") == []
    assert complete_cluster(context, clusters.params[0], "") == []


def cluster(**differences: Any) -> dict[str, Any]:
    common = {"name": "web", "algorithm": "ffsplit", "tie_breaker": "lowest", "keep_active_partition": False, "handover": "safe"}
    empty = {"summary": "nobody has the vote", "waiting": "", "nodes": [], "missing": [], "holders": []}
    return {**common, **empty, "bounds": {"handover_s": 14.32, "overlap_s": 0.0, "advice": "set it to 1250"}, **differences}


def shown(capsys: pytest.CaptureFixture[str], with_details: bool = False, **differences: Any) -> list[str]:
    _show(cluster(**differences), with_details)
    return capsys.readouterr().out.splitlines()[2:]


def test_what_the_policy_allows(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys) == ["  longest hand-over 14.3 s, longest overlap none"]
    assert shown(capsys, with_details=True) == [
        "  longest hand-over 14.3 s when a node loses its power or its network, longest overlap none; from when Corosync has seen it",
        "  advice: set it to 1250",
    ]
    assert shown(capsys, bounds={"handover_s": None, "overlap_s": 9.04, "advice": ""}) == [
        "  longest hand-over without end, longest overlap 9.0 s"
    ]
    assert shown(capsys, bounds={"handover_s": 0.0, "overlap_s": 0.0, "advice": ""}) == []


def test_who_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    waiting = "until 12:03:07 for node 1, which may still report quorum: silent since 12:02:51"
    holders = [
        {"node": 1, "connected": False, "because": "silent since 12:02:51", "until": None, "until_s": None},
        {"node": 2, "connected": True, "because": "it has the vote", "until": "2026-11-25T12:03:07+00:00", "until_s": 8.9},
    ]
    assert shown(capsys, waiting=waiting, holders=holders)[0] == f"  waiting {waiting}"
    assert shown(capsys, True, waiting=waiting, holders=holders)[3:5] == [
        "  may report quorum by a vote of ours:",
        "    node 1: silent since 12:02:51",
    ]


def test_holders_that_are_all_well_are_not_listed(capsys: pytest.CaptureFixture[str]) -> None:
    holders = [{"node": 2, "connected": True, "because": "it has the vote", "until": None, "until_s": None}]
    assert shown(capsys, True, holders=holders)[2:] == []
    assert shown(capsys, True, holders=holders, waiting="for node 2")[-1] == "    node 2: it has the vote"


def test_the_round_trip_and_late_answers() -> None:
    assert _heartbeat({"heartbeat_ms": 8_000, "round_trip_s": None, "answers_late": False}) == "8 s"
    assert _heartbeat({"heartbeat_ms": 1_000, "round_trip_s": 0.00123, "answers_late": True}) == "1 s, round trip 1.2 ms, answered late"
