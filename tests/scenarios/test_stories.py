"""Every story comes out as it is written. After a wanted change: `python -m tests.scenarios --rewrite`, and read the diff."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.story import HERE, BadStory, played, stories


@pytest.mark.parametrize("path", stories(), ids=lambda path: str(path.relative_to(HERE)))
def test_story(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert played(text) == text


def test_there_are_stories_of_each_algorithm_and_of_a_vote_that_waits() -> None:
    assert {path.parent.name for path in stories()} == {"ffsplit", "lms", "two_node_lms", "safe"}


def test_a_line_that_means_nothing_is_an_error() -> None:
    with pytest.raises(BadStory, match="node 1 sings"):
        played("cluster ffsplit of nodes 1 2\nnode 1 sings\n")


def test_what_is_written_does_not_count_as_played() -> None:
    """A wrong expectation is replaced, not kept."""
    story = "cluster ffsplit of nodes 1 2\nnode 1 joins\n    node 1: vote: because I say so\n"
    assert "because I say so" not in played(story)
