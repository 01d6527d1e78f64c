"""Stories: what nodes report, and what they are told, as text that is read by people and checked by the tests.

A story is a file of three kinds of lines. Lines that begin with # are for the reader. Lines that begin with blanks are
what comes of the line above: the votes that the nodes get, in order, each with its reason as `thirdvote clusters` shows it; a
vote that a node has already, for the same reason, is not repeated. All others are what happens:

    cluster ffsplit of nodes 1 2, tie-breaker lowest, keep-active-partition      always the first; "hand-over safe" or "fast" may follow
    nodes 1 2 start together in ring 1.a          join, then each reports this ring with all of them
    node 1 joins                                  with its configuration; "in ring 1.0" where that matters
    node 1 reports ring 1.e with 1                a list of the members; ", heuristics pass" or "fail" may follow
    node 1 has configuration 1 2 3                a changed one
    node 1 has heuristics pass                    changed without a change of the ring
    node 1 switches keep-active-partition off     or on; counts from the next decision on
    node 1 asks for its vote
    node 1 reports quorum                         or "no quorum": the list that follows each decision
    node 1 holds back its answers                 to VOTE_INFO
    node 1 answers                                what it held back, and from now on at once
    node 1 leaves                                 its daemon is ended in order
    node 1 is killed                              its daemon, that is
    node 1 falls silent                           nothing comes of it any more, and it answers nothing; its kernel neither
    4.5 s pass                                    with echoes of every node that is not silent; time begins at 0
    the arbitrator restarts                       with what is on the disk; every node has to join anew
    the operator releases node 1
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from tests.world import PLAIN, SAFE, Client, World, messages_in, ring
from thirdvote.arbiter.interface import Effect, Ending, Received, Release, Send
from thirdvote.arbiter.record import Past
from thirdvote.arbiter.snapshot import NodeSnapshot
from thirdvote.config import Settings
from thirdvote.domain import Algorithm, ClusterName, Handover, Heuristics, NodeId, RingId, TieBreaker, TieBreakerMode, Vote
from thirdvote.errors import ReplyCode
from thirdvote.wire.codec import encode
from thirdvote.wire.messages import Message, ServerError, VoteInfo, VoteInfoReply

HERE = Path(__file__).parent
NAME = b"story"

ALGORITHMS = {"test": Algorithm.TEST, "ffsplit": Algorithm.FFSPLIT, "2nodelms": Algorithm.TWO_NODE_LMS, "lms": Algorithm.LMS}

LABELS = {Vote.ACK: "vote", Vote.NACK: "no vote", Vote.WAIT_FOR_REPLY: "waits", Vote.ASK_LATER: "no vote yet", None: "no vote yet"}


class BadStory(Exception):
    """A line that means nothing."""


class ListeningWorld(World):
    """Remembers which connection was sent something, in order, and who was answered with an error."""

    def __init__(self, settings: Settings, past: Past | None = None, began: float | None = None) -> None:
        """`began`: when the story did."""
        super().__init__(settings, past, lambda time: f"{time - self.began:.1f} s")
        self.began = self.now if began is None else began
        self.sent: list[int] = []
        self.errors: list[tuple[int, ReplyCode]] = []
        self.vote_info_numbers: dict[int, int] = {}

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self.sent.append(effect.connection)
                for message in messages_in(effect.data):
                    self._note(effect.connection, message)
        super().carry_out(effects)

    def _note(self, connection: int, message: Message) -> None:
        if isinstance(message, ServerError) and message.error_code is not None:
            self.errors.append((connection, ReplyCode(message.error_code)))
        if isinstance(message, VoteInfo) and message.sequence_number is not None:
            self.vote_info_numbers[connection] = message.sequence_number


class Stage:
    """One story as it is played."""

    def __init__(self) -> None:
        self.settings = PLAIN
        self.world = ListeningWorld(PLAIN)
        self.clients: dict[int, Client] = {}
        self.configured: tuple[int, ...] = ()
        self.algorithm = Algorithm.FFSPLIT
        self.tie_breaker = TieBreaker(TieBreakerMode.LOWEST)
        self.keep_active = False
        self.silent: set[int] = set()
        self.shown: dict[int, str] = {}

    def play(self, line: str) -> list[str]:
        """What comes of it, as lines."""
        for pattern, action in ACTIONS:
            match = re.fullmatch(pattern, line)
            if match:
                self.world.sent.clear()
                self.world.errors.clear()
                action(self, *match.groups())
                return list(self._news())
        raise BadStory(f"{line!r} is none of the lines that a story knows")

    def _news(self) -> Iterator[str]:
        by_connection = {client.connection: number for number, client in self.clients.items()}
        for connection, code in self.world.errors:
            yield f"node {by_connection[connection]}: error {code:d}, {code.name.lower().replace('_', ' ')}"
        snapshot = self.world.arbiter.cluster_snapshot(ClusterName(NAME), self.world.now)
        nodes = {node.connection: node for node in snapshot.nodes} if snapshot else {}
        for connection in dict.fromkeys([*self.world.sent, *nodes]):
            if connection in nodes:
                text = self._sentence(nodes[connection])
                if text != self.shown.get(connection):
                    self.shown[connection] = text
                    yield text

    def _sentence(self, node: NodeSnapshot) -> str:
        client = self.clients[node.node_id]
        return f"node {node.node_id}: {LABELS[client.effective]}: {node.because}"

    # ---- what a line does

    def cluster(
        self, algorithm: str, nodes: str, tie_breaker: str | None, node_id: str | None, keep_active: str | None, handover: str | None
    ) -> None:
        if handover is not None:
            self.settings = replace(SAFE, handover=Handover(handover))
            self.world = ListeningWorld(self.settings)
        self.algorithm, self.configured = ALGORITHMS[algorithm], numbers(nodes)
        if node_id is not None:
            self.tie_breaker = TieBreaker(TieBreakerMode.NODE_ID, NodeId(int(node_id)))
        elif tie_breaker is not None:
            self.tie_breaker = TieBreaker(TieBreakerMode[tie_breaker.upper()])
        self.keep_active = keep_active is not None

    def start_together(self, nodes: str, its_ring: str) -> None:
        for number in numbers(nodes):
            self.join(str(number), its_ring)
        for number in numbers(nodes):
            self.report(str(number), its_ring, nodes, None)

    def join(self, number: str, its_ring: str | None) -> None:
        client = self.clients[int(number)] = self.world.connect(NAME)
        client.preinit()
        client.init(int(number), self.algorithm, self.tie_breaker, ring_id=ring_named(its_ring) if its_ring else None)
        client.keep_active_partition(self.keep_active)
        client.config(*self.configured)

    def report(self, number: str, its_ring: str, nodes: str, heuristics: str | None) -> None:
        value = Heuristics[heuristics.upper()] if heuristics else None
        self.clients[int(number)].membership(ring_named(its_ring), *numbers(nodes), heuristics=value)

    def have_configuration(self, number: str, nodes: str) -> None:
        self.clients[int(number)].config(*numbers(nodes), changed=True)

    def have_heuristics(self, number: str, value: str) -> None:
        self.clients[int(number)].heuristics(Heuristics[value.upper()])

    def switch_keep_active(self, number: str, value: str) -> None:
        self.clients[int(number)].keep_active_partition(value == "on")

    def ask(self, number: str) -> None:
        self.clients[int(number)].ask()

    def report_quorum(self, number: str, no: str | None) -> None:
        self.clients[int(number)].quorum(int(number), quorate=no is None)

    def hold_back(self, number: str) -> None:
        self.clients[int(number)].answers = False

    def answer(self, number: str) -> None:
        client = self.clients[int(number)]
        client.answers = True
        number_held_back = self.world.vote_info_numbers[client.connection]
        self.world.step(Received(client.connection, encode(VoteInfoReply(number_held_back))))

    def leave(self, number: str, ending: Ending = Ending.GOODBYE) -> None:
        client = self.clients.pop(int(number))
        self.shown.pop(client.connection, None)
        client.leave(ending)

    def be_killed(self, number: str) -> None:
        self.leave(number, Ending.CLOSED)

    def fall_silent(self, number: str) -> None:
        self.silent.add(int(number))
        self.clients[int(number)].answers = False

    def pass_time(self, seconds: str) -> None:
        self.world.pass_time(float(seconds), *(client for number, client in self.clients.items() if number not in self.silent))
        for number, client in tuple(self.clients.items()):
            if client.closed is not None:
                del self.clients[number]

    def restart(self) -> None:
        records = {name: record for name, record in self.world.ledger.items() if record is not None}
        now, began = self.world.now, self.world.began
        self.world = ListeningWorld(self.settings, Past(now, records), began)
        self.world.now = now
        self.clients.clear()
        self.shown.clear()

    def release(self, number: str) -> None:
        self.world.step(Release(ClusterName(NAME), frozenset({NodeId(int(number))})))


def numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


def ring_named(text: str) -> RingId:
    node_id, sequence = (int(part, 16) for part in text.split("."))
    return ring(node_id, sequence)


NODES = r"nodes? ([\d ]+)"
RING = r"([0-9a-f]+\.[0-9a-f]+)"
TIE_BREAKER = r"(?:, tie-breaker (?:(lowest|highest)|node (\d+)))?"
ACTIONS: list[tuple[str, Callable[..., None]]] = [
    (
        rf"cluster (\w+) of {NODES}(?:, tie-breaker (?:(lowest|highest)|node (\d+)))?(, keep-active-partition)?(?:, hand-over (\w+))?",
        Stage.cluster,
    ),
    (rf"{NODES} start together in ring {RING}", Stage.start_together),
    (rf"node (\d+) joins(?: in ring {RING})?", Stage.join),
    (rf"node (\d+) reports ring {RING} with ([\d ]+)(?:, heuristics (pass|fail))?", Stage.report),
    (r"node (\d+) has configuration ([\d ]+)", Stage.have_configuration),
    (r"node (\d+) has heuristics (pass|fail)", Stage.have_heuristics),
    (r"node (\d+) switches keep-active-partition (on|off)", Stage.switch_keep_active),
    (r"node (\d+) asks for its vote", Stage.ask),
    (r"node (\d+) reports (no )?quorum", Stage.report_quorum),
    (r"node (\d+) holds back its answers", Stage.hold_back),
    (r"node (\d+) answers", Stage.answer),
    (r"node (\d+) leaves", Stage.leave),
    (r"node (\d+) is killed", Stage.be_killed),
    (r"node (\d+) falls silent", Stage.fall_silent),
    (r"([\d.]+) s pass", Stage.pass_time),
    (r"the arbitrator restarts", Stage.restart),
    (r"the operator releases node (\d+)", Stage.release),
]


def stories() -> list[Path]:
    return sorted(HERE.glob("*/*.txt"))


def played(text: str) -> str:
    """The story with what really comes of each line."""
    stage = Stage()
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(" "):
            continue
        lines.append(line)
        if line and not line.startswith("#"):
            lines += [f"    {news}" for news in stage.play(line)]
    return "\n".join(lines) + "\n"
