"""Whatever nodes report, in whatever order and with whatever delay of answers, no two partitions hold the vote.

Nodes here are honest (a list names its sender, nodes of one ring send one list) but arbitrary in everything else: rings
come and go in any shape, reports are partial, answers to VOTE_INFO are withheld and given late, nodes leave and return.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from tests.world import Client, World, ring
from thirdvote.domain import Algorithm, Heuristics, RingId, Vote
from thirdvote.wire.messages import Message, NodeListReply, VoteInfo, VoteInfoReply

RUNS = 150
NODES = 4


@dataclass
class Site:
    """A cluster whose corosync does as it likes: `truth` is the ring and the members that each node is in.

    A node reads what the server sent only when it answers, so it may go by an old vote for any time; `casting` is the
    ring for which it has an ACK, as the stock client has it: only votes for the ring reported last count.
    """

    world: World
    algorithm: Algorithm
    clients: dict[int, Client] = field(default_factory=dict)
    truth: dict[int, tuple[RingId, tuple[int, ...]]] = field(default_factory=dict)
    unread: dict[int, list[Message]] = field(default_factory=dict)
    reported: dict[int, RingId] = field(default_factory=dict)
    casting: dict[int, RingId] = field(default_factory=dict)
    sequence: int = 10
    nodes: int = NODES

    @property
    def configured(self) -> range:
        return range(1, self.nodes + 1)

    def split(self, groups: list[int]) -> None:
        """`groups[i]` is the partition of node i + 1."""
        self.sequence += 4
        for group in set(groups):
            members = tuple(number for number in self.configured if groups[number - 1] == group)
            for number in members:
                self.truth[number] = (ring(members[0], self.sequence), members)

    def join(self, number: int) -> None:
        if number not in self.clients:
            self.clients[number] = client = self.world.join(number, *self.configured, algorithm=self.algorithm)
            client.answers = False
            self.unread[number] = []
            self.report(number, None)

    def report(self, number: int, heuristics: Heuristics | None) -> None:
        if number in self.clients:
            self.casting.pop(number, None)
            ring_id, members = self.truth[number]
            self.reported[number] = ring_id
            self.unread[number] += self.clients[number].membership(ring_id, *members, heuristics=heuristics)

    def read(self, number: int) -> None:
        """Go through what came, up to a VOTE_INFO, which is answered."""
        unread = self.unread.get(number, [])
        while unread:
            message = unread.pop(0)
            if isinstance(message, VoteInfo | NodeListReply) and message.ring_id == self.reported[number]:
                self.take(number, message.vote)
            if isinstance(message, VoteInfo):
                unread += self.clients[number].send(VoteInfoReply(message.sequence_number))
                return

    def take(self, number: int, vote: Vote | None) -> None:
        if vote is Vote.ACK:
            self.casting[number] = self.reported[number]
        elif vote is not Vote.NO_CHANGE:
            self.casting.pop(number, None)

    def collect(self) -> None:
        for number, client in self.clients.items():
            self.unread[number] += client.take()

    def leave(self, number: int) -> None:
        if number in self.clients:
            self.clients.pop(number).leave()
            for book in (self.unread, self.reported, self.casting):
                book.pop(number, None)


Step = tuple[object, ...]


def script(seed: int) -> list[Step]:
    """Twenty steps, likely enough to go wrong: votes that were read, a change, and then some nodes that read and some that do not."""
    dice = random.Random(seed)

    def groups() -> list[int]:
        return [dice.randrange(dice.choice((1, 2, 2, 3))) for _ in range(NODES)]

    def step() -> Step:
        number = dice.randint(1, NODES)
        match dice.choice(("split", "settle", "report", "report", "read", "read", "read", "leave", "join")):
            case "split":
                return ("split", groups())
            case "settle":
                return ("settle", groups())
            case "report":
                return ("report", number, dice.choice((None, Heuristics.PASS, Heuristics.FAIL)))
            case kind:
                return (kind, number)

    return [step() for _ in range(20)]


def play(algorithm: Algorithm, script: list[Step], check: Callable[[Site], None]) -> Site:
    site = Site(World(), algorithm)
    site.split([0] * NODES)
    for number in range(1, NODES + 1):
        site.join(number)
    for step in script:
        match step:
            case ("split", list(groups)):
                site.split(groups)
            case ("settle", list(groups)):
                site.split(groups)
                drain(site)
            case ("report", int(number), value):
                assert value is None or isinstance(value, Heuristics)
                site.report(number, value)
            case ("read", int(number)):
                site.read(number)
            case ("leave", int(number)):
                site.leave(number)
            case ("join", int(number)):
                site.join(number)
        site.collect()
        check(site)
    return site


def drain(site: Site) -> None:
    """Everybody reports what is true, and reads and answers until there is nothing more to read."""
    for number in site.clients:
        site.report(number, None)
    site.collect()
    while any(site.unread.values()):
        for number in site.clients:
            site.read(number)
        site.collect()


def nothing(site: Site) -> None:
    """No check between the steps."""


def one_ring_at_most(site: Site) -> None:
    assert len(set(site.casting.values())) <= 1, site.casting


@pytest.mark.parametrize("block", range(8))
def test_ffsplit_never_has_two_rings_that_cast_the_vote(block: int) -> None:
    for seed in range(block * RUNS, (block + 1) * RUNS):
        with story(seed):
            play(Algorithm.FFSPLIT, script(seed), one_ring_at_most)


@pytest.mark.parametrize("block", range(4))
def test_lms_has_one_ring_that_casts_the_vote_once_all_have_reported(block: int) -> None:
    """A node whose ring is changing keeps what it was told until it reports; corosync does not count that vote meanwhile."""
    for seed in range(block * RUNS, (block + 1) * RUNS):
        with story(seed):
            site = play(Algorithm.LMS, script(seed), nothing)
            drain(site)
            one_ring_at_most(site)


@pytest.mark.parametrize("algorithm", [Algorithm.FFSPLIT, Algorithm.LMS])
def test_a_cluster_that_is_whole_again_always_gets_its_votes(algorithm: Algorithm) -> None:
    for seed in range(RUNS):
        with story(seed):
            site = play(algorithm, script(seed), nothing)
            site.split([0] * NODES)
            for number in range(1, NODES + 1):
                site.join(number)
            drain(site)
            assert sorted(site.casting) == list(range(1, NODES + 1))
            (cluster,) = site.world.arbiter.snapshot(site.world.now).clusters
            assert cluster.summary == "all nodes are connected and have the vote"


@contextmanager
def story(seed: int) -> Iterator[None]:
    """Names the run that failed: `play(algorithm, script(seed), print)` shows it again."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"seed {seed}: {script(seed)}")
        raise
