"""Makes a failing story short: leaves out what it fails without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.lockstep.story import Story


def shrink(story: Story, fails: Callable[[Story], bool]) -> Story:
    """`story` fails. Pieces are left out, half of it at first and single actions at last, as long as it still does."""
    size = max(1, len(story.actions) // 2)
    while True:
        shorter = _without_a_piece(story, size, fails)
        if shorter is not None:
            story = shorter
        elif size == 1:
            return story
        else:
            size //= 2


def _without_a_piece(story: Story, size: int, fails: Callable[[Story], bool]) -> Story | None:
    for start in range(0, len(story.actions), size):
        candidate = replace(story, actions=story.actions[:start] + story.actions[start + size :])
        if fails(candidate):
            return candidate
    return None
