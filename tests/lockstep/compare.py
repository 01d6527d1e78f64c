"""Tells one story to the stock server, to ours, and to a model of each, and accounts for every difference.

1. The stock server says, at every action and to every node, what the model with all the defects says.
2. Ours says what the model without any defect says.

So whatever is different between the two servers is what is different between the two models: the listed defects, and
nothing else. Which of them showed in a story is told by switching one at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from tests.lockstep.model import Crash, Model
from tests.lockstep.model_ffsplit import FfsplitModel
from tests.lockstep.model_settled import SettledLmsModel, SettledTwoNodeLmsModel
from tests.lockstep.model_standing import LmsModel, TwoNodeLmsModel
from tests.lockstep.servers import HEARTBEAT_MS, Server, ServerDied
from tests.lockstep.story import Say, Story
from tests.lockstep.telling import Heard, Teller, read, tell_all
from thirdvote.domain import Algorithm, TieBreaker, Vote

SWITCHES: dict[Algorithm, tuple[str, ...]] = {
    Algorithm.FFSPLIT: ("S3", "S5", "S12", "S14", "S15", "S21", "L1"),
    Algorithm.LMS: ("S5", "S16", "S17", "S18"),
    Algorithm.TWO_NODE_LMS: ("S5", "S21"),
}
"""Defects that the models switch one by one. S19, S20 and S22 are what is left: see `model_standing`."""

MakeModel = Callable[[TieBreaker, Collection[str]], Model]
STOCK_MODELS: dict[Algorithm, MakeModel] = {
    Algorithm.FFSPLIT: FfsplitModel,
    Algorithm.LMS: LmsModel,
    Algorithm.TWO_NODE_LMS: TwoNodeLmsModel,
}
OUR_MODELS: dict[Algorithm, MakeModel] = {
    Algorithm.FFSPLIT: FfsplitModel,
    Algorithm.LMS: SettledLmsModel,
    Algorithm.TWO_NODE_LMS: SettledTwoNodeLmsModel,
}

STALE = "S19/S20/S22"

TIMERS_S = 3.5 * HEARTBEAT_MS / 4 / 1000
"""The stock server looks at a waiting lms node every quarter of its heartbeat; three looks settle what can be settled."""
PATIENCE_S = 5.0
"""How long a busy machine may keep the stock server from what it has to say."""


@dataclass(frozen=True)
class Report:
    """`differing` counts the actions at which the two servers said different things."""

    actions: int
    differing: int
    defects: frozenset[str]
    crashed: bool


class Divergence(AssertionError):
    def __init__(self, who: str, index: int, story: Story, said: Heard, expected: Heard) -> None:
        self.who, self.index = who, index
        lines = [
            f"seed {story.seed}, {story.algorithm.name}, {story.tie_breaker}: {who} is not as its model says at action {index}",
            *(f"  {number:3} {_shown(action)}" for number, action in enumerate(story.actions[: index + 1])),
            *_differences(said, expected),
        ]
        super().__init__("\n".join(lines))


def stock_model(story: Story, without: Collection[str] = ()) -> Model:
    return STOCK_MODELS[story.algorithm](story.tie_breaker, set(SWITCHES[story.algorithm]) - set(without))


def our_model(story: Story) -> Model:
    return OUR_MODELS[story.algorithm](story.tie_breaker, ())


def check_ours(story: Story, server: Server, name: bytes = b"c") -> list[Heard]:
    """What our server said; raises Divergence where that is not what the model without defects says."""
    ours, model = Teller(server, name), Teller(our_model(story), name)
    told: list[Heard] = []
    for index, action in enumerate(story.actions):
        said, expected = ours.tell(action), model.tell(action)
        if said != expected:
            raise Divergence("our server", index, story, said, expected)
        told.append(said)
    return told


def check_stock(story: Story, server: Server, name: bytes) -> list[Heard]:
    """What the stock server said, up to where it died if the model says that it does; raises Divergence likewise."""
    wait_s = 0.0 if story.algorithm is Algorithm.FFSPLIT else TIMERS_S
    stock, model = Teller(server, name, wait_s), Teller(stock_model(story), name, wait_s)
    told: list[Heard] = []
    for index, action in enumerate(story.actions):
        try:
            expected = model.tell(action)
        except Crash:
            _let_it_die(stock, story, index)
            return told
        said = stock.tell(action)
        end = time.monotonic() + PATIENCE_S
        while wait_s and said != expected and time.monotonic() < end:
            stock.hear_more(said)
        if said != expected:
            raise Divergence("the stock server", index, story, said, expected)
        told.append(said)
    return told


def compare(story: Story, stock: Server, ours: Server, name: bytes) -> Report:
    stock_said = check_stock(story, stock, name)
    we_said = check_ours(story, ours, name)
    differing = sum(one != other for one, other in zip(stock_said, we_said, strict=False))
    crashed = len(stock_said) < len(story.actions)
    return Report(len(story.actions), differing, _defects_in(story) if differing or crashed else frozenset(), crashed)


def _defects_in(story: Story) -> frozenset[str]:
    """Those without which the stock server would have said something else; what no switch explains is staleness."""
    as_it_is = _transcript(story, ())
    shown = {defect for defect in SWITCHES[story.algorithm] if _transcript(story, (defect,)) != as_it_is}
    if story.algorithm is not Algorithm.FFSPLIT and _transcript(story, SWITCHES[story.algorithm]) != _our_transcript(story):
        shown.add(STALE)
    assert shown, f"seed {story.seed}: the servers differ, and no defect says why"
    return frozenset(shown)


def _transcript(story: Story, without: Collection[str]) -> list[Heard] | None:
    """None when the stock server dies in it."""
    try:
        return tell_all(story, stock_model(story, without), b"c", TIMERS_S)
    except Crash:
        return None


def _our_transcript(story: Story) -> list[Heard]:
    return tell_all(story, our_model(story), b"c")


def _let_it_die(stock: Teller, story: Story, index: int) -> None:
    """With nobody else connected, nobody sees it die; the next story will."""
    try:
        stock.tell(story.actions[index])
    except ServerDied:
        return


def _shown(action: object) -> str:
    if isinstance(action, Say):
        message = action.message
        values = ((name, getattr(message, name)) for name in message.__slots__ if not name.startswith("supported_"))
        return (
            f"{action.slot}: {message.type.name} {' '.join(f'{name}={_value(value)}' for name, value in values if value not in (None, ()))}"
        )
    return repr(action)


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(str(entry.node_id) for entry in value)
    return value.name if isinstance(value, Vote) else str(value)


def _differences(said: Heard, expected: Heard) -> list[str]:
    lines = []
    for slot in sorted(said.keys() | expected.keys()):
        if said.get(slot) != expected.get(slot):
            lines.append(f"  node {slot} hears  {[read(data) for data in said.get(slot, [])]}")
            lines.append(f"  instead of {'':{len(str(slot))}}   {[read(data) for data in expected.get(slot, [])]}")
    return lines
