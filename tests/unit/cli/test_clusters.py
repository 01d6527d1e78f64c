from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from tests.control_here import control_here
from thirdvote.cli.clusters import _complete, clusters
from thirdvote.cli.main import main

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
        assert [item.value for item in _complete(context, clusters.params[0], "st")] == ["story"]
        assert _complete(context, clusters.params[0], "x") == []
    assert _complete(context, clusters.params[0], "") == []
