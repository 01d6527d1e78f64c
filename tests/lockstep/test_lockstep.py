"""A fixed set of random stories, told to the stock server and to ours; at length by `make lockstep`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lockstep.compare import SWITCHES, Divergence, check_ours, check_stock, our_model, stock_model
from tests.lockstep.model import Model
from tests.lockstep.ours import MemoryServer, start_ours
from tests.lockstep.run import Runner
from tests.lockstep.servers import STOCK_PROGRAM, Process, SocketServer
from tests.lockstep.shrink import shrink
from tests.lockstep.story import Connect, Say, Story, make_story
from thirdvote.domain import Algorithm

ALGORITHMS = (Algorithm.FFSPLIT, Algorithm.LMS, Algorithm.TWO_NODE_LMS)
MEMORY_STORIES = 150
STOCK_STORIES = {Algorithm.FFSPLIT: 120, Algorithm.LMS: 25, Algorithm.TWO_NODE_LMS: 60}
"""lms waits for the stock server's timers."""

SHOWS = {
    Algorithm.FFSPLIT: {"S3": 147, "S5": 460, "S12": 204, "S14": 8, "S15": 147, "S21": 1, "L1": 5116},
    Algorithm.LMS: {"S5": 464, "S16": 1, "S17": 157, "S18": 0},
    Algorithm.TWO_NODE_LMS: {"S5": 21, "S21": 239},
}
"""A seed for each defect of the models: its story goes otherwise without that defect. They change with the generator."""

needs_stock = pytest.mark.skipif(shutil.which(STOCK_PROGRAM) is None, reason=f"{STOCK_PROGRAM} is not installed")


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(tmp_path)
    yield runner
    runner.stop()


@pytest.fixture
def our_process(tmp_path: Path) -> Iterator[Process]:
    process = start_ours(tmp_path)
    yield process
    process.stop()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_our_arbiter_is_the_stock_server_without_its_defects(algorithm: Algorithm) -> None:
    for seed in range(MEMORY_STORIES):
        check_ours(make_story(seed, algorithm), MemoryServer())


@pytest.mark.stock
@needs_stock
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_our_arbiter_beside_the_stock_server(algorithm: Algorithm, runner: Runner) -> None:
    runner.run(make_story(seed, algorithm) for seed in range(STOCK_STORIES[algorithm]))
    assert len(runner.reports) == STOCK_STORIES[algorithm]
    if algorithm is not Algorithm.FFSPLIT:
        assert "S19/S20/S22" in {defect for report in runner.reports for defect in report.defects}, runner.summary()


@pytest.mark.stock
@needs_stock
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_defect_shows_beside_the_stock_server(algorithm: Algorithm, runner: Runner) -> None:
    seeds = SHOWS[algorithm]
    assert seeds.keys() == set(SWITCHES[algorithm])
    runner.run(make_story(seed, algorithm) for seed in seeds.values())
    shown = [(defect, defect in report.defects) for defect, report in zip(seeds, runner.reports, strict=True)]
    assert shown == [(defect, True) for defect in seeds]


@pytest.mark.stock
@needs_stock
def test_our_program_beside_the_stock_server(tmp_path: Path, our_process: Process) -> None:
    runner = Runner(tmp_path, lambda: SocketServer(our_process))
    try:
        runner.run(make_story(seed) for seed in range(1000, 1040))
    finally:
        runner.stop()


def test_a_difference_is_seen_and_made_short() -> None:
    """The model with all the defects in the place of our server: every story in which S14 plays fails."""
    story = next(story for story in (make_story(seed, Algorithm.FFSPLIT) for seed in range(500)) if _shows(story, "S14"))
    short = shrink(story, lambda part: _shows(part, "S14"))
    assert len(short.actions) < len(story.actions)
    with pytest.raises(Divergence, match="our server is not as its model says"):
        check_ours(short, _model_with(short, "S14"))


def test_a_story_is_made_from_its_seed_alone() -> None:
    assert make_story(7) == make_story(7)
    assert make_story(7) != make_story(8)


def test_stories_are_about_something() -> None:
    stories = [make_story(seed) for seed in range(200)]
    assert {story.algorithm for story in stories} == set(ALGORITHMS)
    assert {story.tie_breaker.mode.name for story in stories} == {"LOWEST", "HIGHEST", "NODE_ID"}
    assert {type(action).__name__ for story in stories for action in story.actions} == {
        "Connect",
        "Disconnect",
        "Say",
        "Withhold",
        "Answer",
    }
    assert any(isinstance(action, Say) for action in stories[0].actions)
    assert max(len({action.slot for action in story.actions if isinstance(action, Connect)}) for story in stories) >= 6


def test_the_models_differ_in_the_stock_servers_defects() -> None:
    story = make_story(1, Algorithm.LMS)
    check_stock(story, stock_model(story), b"c")
    with pytest.raises(Divergence):
        check_stock(story, our_model(story), b"c")


def _shows(story: Story, defect: str) -> bool:
    """Ours would differ if it had this defect alone."""
    try:
        check_ours(story, _model_with(story, defect))
    except Divergence:
        return True
    return False


def _model_with(story: Story, defect: str) -> Model:
    return stock_model(story, set(SWITCHES[story.algorithm]) - {defect})
