from __future__ import annotations

import asyncio

import pytest

from tests.voter_here import VoterHere, voter_here
from thirdvote.cli.demo_story import Scene, play, reasons
from thirdvote.domain import ClusterName
from thirdvote.errors import UserError
from thirdvote.node.made_up import Place

NAME = ClusterName(b"demo-test")


def told() -> list[Scene]:
    scenes: list[Scene] = []

    async def story() -> None:
        async with voter_here() as here:
            await play(NAME, Place("127.0.0.1", here.port, None), here.reasons, scenes.append, pause_s=0.0)
            assert here.voter.arbiter.counts() == (0, 0)

    asyncio.run(story())
    return scenes


def test_the_story_from_start_to_end() -> None:
    scenes = told()
    assert [scene.title for scene in scenes] == [
        "the two nodes join",
        "the nodes lose each other",
        "node 1 loses its power",
        "node 1 is back, and the nodes see each other again",
    ]
    assert [[(line.has_vote, line.votes, line.is_quorate) for line in scene.lines] for scene in scenes] == [
        [(True, 3, True), (True, 3, True)],
        [(True, 2, True), (False, 1, False)],
        [(None, 0, False), (True, 2, True)],
        [(True, 3, True), (True, 3, True)],
    ]
    assert "tie-breaker" in scenes[1].lines[1].because


def test_no_scene_without_a_reason_for_each_node() -> None:
    for scene in told():
        for line in scene.lines:
            assert line.because
            assert line.because != "the arbitrator does not know it"


async def _stopped_while_playing(here: VoterHere) -> None:
    joined = asyncio.Event()
    playing = asyncio.ensure_future(
        play(NAME, Place("127.0.0.1", here.port, None), here.reasons, lambda scene: joined.set(), pause_s=60.0),
    )
    await joined.wait()
    assert here.voter.arbiter.counts() == (2, 1)
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing


def test_nothing_is_left_when_it_is_stopped_half_way() -> None:
    async def story() -> None:
        async with voter_here() as here:
            await _stopped_while_playing(here)
            assert here.voter.arbiter.counts() == (0, 0)

    asyncio.run(story())


def test_an_arbitrator_that_can_not_be_reached_is_said() -> None:
    async def story() -> None:
        async with voter_here() as here:
            port = here.port
        await play(NAME, Place("127.0.0.1", port, None), dict, lambda scene: None, pause_s=0.0)

    with pytest.raises(UserError, match="can not reach the arbitrator"):
        asyncio.run(story())


def test_an_arbitrator_that_ends_during_the_demo_is_said() -> None:
    async def story() -> None:
        async with voter_here() as here:
            stopping: list[asyncio.Task[None]] = []

            def stop(scene: Scene) -> None:
                stopping.append(asyncio.ensure_future(here.voter.stop()))

            await play(NAME, Place("127.0.0.1", here.port, None), here.reasons, stop, pause_s=0.5)

    with pytest.raises(UserError, match="the demo did not go as it should: node 1 lost the arbitrator"):
        asyncio.run(story())


def test_reasons_are_read_from_a_snapshot() -> None:
    snapshot = {"clusters": [{"nodes": [{"node": 1, "because": "so"}, {"node": 2, "because": "not so"}]}]}
    assert reasons(snapshot) == {1: "so", 2: "not so"}
    assert reasons({"clusters": []}) == {}
