from __future__ import annotations

import pytest
from click.testing import CliRunner

from thirdvote.arbiter import granting
from thirdvote.cli.simulate import replay_command, simulate, smallest_of
from thirdvote.domain import Algorithm, Handover
from thirdvote.errors import UsageError
from thirdvote.sim.draw import Wanted


def output_of(*words: str) -> tuple[str, int]:
    result = CliRunner().invoke(simulate, words, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.output, result.return_value


def test_a_summary_says_what_was_tried_and_that_it_held() -> None:
    text, status = output_of("--runs", "20", "--jobs", "1", "--policy", "stock")
    assert status == 0
    assert text.startswith("20 worlds, ")
    assert "all held" in text
    assert "longest overlap" in text
    assert "Split" in text


def test_one_world_can_be_looked_at() -> None:
    text, status = output_of("--seed", "7", "--policy", "stock", "--trace", "--algorithm", "ffsplit", "--timeout", "1250")
    assert status == 0
    assert text.startswith("Schedule(seed=7, setup=Setup(")
    assert "timeout_ms=1250" in text
    assert "fault" in text
    assert "reports quorum with" in text


def test_a_trace_is_of_one_world() -> None:
    for words in (["--trace"], ["--trace", "--seed", "3", "--runs", "2"]):
        with pytest.raises(UsageError, match="one world"):
            output_of(*words)


def test_a_failure_says_how_to_see_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granting, "released_at", lambda absence, ring, timing: absence.at)
    text, status = output_of("--runs", "60", "--jobs", "1", "--algorithm", "ffsplit")
    assert status == 1
    assert "failed" in text
    assert "overlap at" in text
    assert "again: thirdvote simulate --seed " in text
    assert "smallest: Schedule(seed=" in text


def test_it_ends_with_the_fifth_failure_unless_it_shall_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granting, "released_at", lambda absence, ring, timing: absence.at)
    words = ("--runs", "600", "--jobs", "1", "--algorithm", "ffsplit")
    short, whole = output_of(*words)[0], output_of(*words, "--keep-going")[0]
    assert not short.startswith("600 worlds")
    assert whole.startswith("600 worlds")
    assert whole.count("\nseed ") > short.count("\nseed ") >= 5
    assert whole.count("smallest: ") == 5


def test_the_command_that_replays_names_what_was_asked_for() -> None:
    assert replay_command(5, Wanted()) == "thirdvote simulate --seed 5 --policy safe --trace"
    wanted = Wanted(Handover.FAST, Algorithm.TWO_NODE_LMS, 1_250)
    assert replay_command(5, wanted) == "thirdvote simulate --seed 5 --policy fast --algorithm 2nodelms --timeout 1250 --trace"


def test_a_seed_that_does_not_fail_has_no_smallest() -> None:
    assert smallest_of(1, Wanted(Handover.STOCK)) is None
