"""The stock server's 23 stories, replayed.

ffsplit is the same byte for byte, but for a node that leaves: ours no longer counts it (S14), so the vote moves at once
where the stock server moves it with the next message that happens to come. lms and 2nodelms answer sooner than the
stock server (its defects S16 to S22: lists judged a message late, losers never told, half-blind tie-breaker), so there
the votes that the nodes go by after each step are compared; where those differ too, `DIFFERENT` says which and why.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.world import World, messages_in
from thirdvote.arbiter.interface import Disconnected, Ending, Received
from thirdvote.domain import Vote
from thirdvote.wire.messages import Message

STORIES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "scenarios.json").read_text())["scenarios"]

FFSPLIT = [story for story in STORIES if story["algorithm"] == 1]
OTHERS = [story for story in STORIES if story["algorithm"] != 1]

LEAVES = ("ffsplit: four nodes 2:2, tie-breaker lowest", "node 2 closes (it is still counted during this evaluation)")
MOVES_AT_ONCE = {"1": Vote.NACK, "3": Vote.ACK, "4": Vote.ACK}

DIFFERENT: dict[tuple[str, str], dict[str, Vote]] = {
    # the node that the tie-breaker names brings its whole half along (S16)
    ("lms: four nodes 2:2, tie-breaker node id 1 (stock server: only node 1 gets ACK)", "all report"): {"2": Vote.ACK},
    ("lms: four nodes 2:2, tie-breaker node id 1 (stock server: only node 1 gets ACK)", "quorum lists"): {"2": Vote.ACK},
    # a loser is told when the winner goes (S19)
    ("lms: two nodes, split, tie-breaker lowest, heal", "winner closes: nobody is told"): {"2": Vote.ACK},
    ("2nodelms: split, tie-breaker lowest; loser is not told when the winner goes", "node 1 closes"): {"2": Vote.ACK},
    ("2nodelms: split, tie-breaker lowest; loser is not told when the winner goes", "node 2 asks for a vote"): {"2": Vote.ACK},
    # and so is a newcomer that was refused (S22)
    ("lms: newcomer while another partition is active", "node 1 closes"): {"2": Vote.ACK},
}


class Replay:
    def __init__(self) -> None:
        self.world = World()
        self.connections: dict[int, int] = {}

    def step(self, step: dict[str, Any]) -> dict[str, list[Message]]:
        for client in self.world.clients.values():
            client.answers = step.get("auto_reply", True)
        for action in step["send"]:
            number = action["client"]
            if action.get("connect"):
                client = self.world.connect()
                client.answers = step.get("auto_reply", True)
                self.connections[number] = client.connection
            elif action.get("close"):
                self.world.step(Disconnected(self.connections[number], Ending.GOODBYE, "end of stream"))
            else:
                self.world.step(Received(self.connections[number], bytes.fromhex(action["hex"])))
        return {str(number): heard for number, connection in self.connections.items() if (heard := self.world.clients[connection].take())}


def expected(step: dict[str, Any]) -> dict[str, list[Message]]:
    return {
        number: [message for answer in answers for message in messages_in(bytes.fromhex(answer["hex"]))]
        for number, answers in step["then"].items()
        if answers
    }


@pytest.mark.parametrize("story", FFSPLIT, ids=lambda story: story["name"])
def test_ffsplit_is_the_stock_servers_byte_for_byte(story: dict[str, Any]) -> None:
    replay = Replay()
    for step in story["steps"]:
        heard = replay.step(step)
        if (story["name"], step["do"]) == LEAVES:
            votes: dict[str, Vote] = {}
            _follow(votes, heard)
            assert votes == MOVES_AT_ONCE
        else:
            assert heard == expected(step), step["do"]


@pytest.mark.parametrize("story", OTHERS, ids=lambda story: story["name"])
def test_lms_and_2nodelms_leave_each_node_with_the_stock_servers_vote(story: dict[str, Any]) -> None:
    replay = Replay()
    ours: dict[str, Vote] = {}
    stock: dict[str, Vote] = {}
    for step in story["steps"]:
        _follow(ours, replay.step(step))
        _follow(stock, expected(step))
        assert ours == stock | DIFFERENT.get((story["name"], step["do"]), {}), step["do"]


def test_every_listed_difference_is_one() -> None:
    steps = {(story["name"], step["do"]) for story in OTHERS for step in story["steps"]}
    assert DIFFERENT.keys() <= steps


def _follow(votes: dict[str, Vote], heard: dict[str, list[Message]]) -> None:
    for number, messages in heard.items():
        for message in messages:
            vote = getattr(message, "vote", None)
            if vote is not None and vote is not Vote.NO_CHANGE:
                votes[number] = vote
