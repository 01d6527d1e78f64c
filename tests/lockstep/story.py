"""Random stories of one cluster, as a list of things that its nodes do.

A story is made from a seed alone, before any server has said a word: the world below it has nodes that are up or down
and see some of each other, and whenever that changes, the nodes concerned have something to report, which they do
sooner or later, in any order, or never. Now and then somebody says what no healthy node would.

An action that makes no sense when its turn comes (a node speaks that is not connected) is passed over, so every part of
a story is a story too; that is what makes it possible to shrink one.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.lockstep.servers import HEARTBEAT_MS
from thirdvote.domain import (
    Algorithm,
    ClusterName,
    Heuristics,
    NodeId,
    NodeInfo,
    NodeListType,
    RingId,
    TieBreaker,
    TieBreakerMode,
)
from thirdvote.wire.messages import (
    AskForVote,
    ClientMessage,
    HeuristicsChange,
    Init,
    NodeList,
    Preinit,
    SetOption,
    VoteInfoReply,
)

INTRUDER_SLOT = 1000
"""A second connection that claims a node's id has the slot of that node plus this."""

LARGE_ID = 2**31 - 1
"""Node ids made from an IPv4 address are above this."""


@dataclass(frozen=True)
class Connect:
    slot: int


@dataclass(frozen=True)
class Disconnect:
    slot: int


@dataclass(frozen=True)
class Say:
    """The cluster's name in a PREINIT is filled in when the story is told."""

    slot: int
    message: ClientMessage


@dataclass(frozen=True)
class Withhold:
    """From here on the node does not answer VOTE_INFOs by itself, or does again."""

    slot: int
    on: bool


@dataclass(frozen=True)
class Answer:
    """The node answers the oldest VOTE_INFO that it has not answered."""

    slot: int


Action = Connect | Disconnect | Say | Withhold | Answer


@dataclass(frozen=True)
class Story:
    seed: int
    algorithm: Algorithm
    tie_breaker: TieBreaker
    actions: tuple[Action, ...]


def make_story(seed: int, algorithm: Algorithm | None = None, *, odd: bool = True) -> Story:
    """`odd`: with the messages that no healthy node sends, in about every fourth story."""
    return _Maker(seed, algorithm, odd).make()


NO_RING = RingId(NodeId(0), 0)


@dataclass
class _Node:
    node_id: int
    up: bool = False
    heuristics: Heuristics = Heuristics.UNDEFINED
    ring: RingId = NO_RING
    number: int = 0


@dataclass
class _Maker:
    seed: int
    algorithm_wanted: Algorithm | None
    odd_wanted: bool
    actions: list[Action] = field(default_factory=list)
    reports: dict[int, list[ClientMessage]] = field(default_factory=lambda: defaultdict(list))
    """What each node has to say and has not said yet."""

    def make(self) -> Story:
        self.random = random.Random(self.seed)
        pick = self.random
        self.algorithm = self.algorithm_wanted or pick.choice([Algorithm.FFSPLIT, Algorithm.FFSPLIT, Algorithm.LMS, Algorithm.TWO_NODE_LMS])
        self.odd = self.odd_wanted and pick.random() < 0.25
        count = 2 if self.algorithm is Algorithm.TWO_NODE_LMS else pick.choice([1, 2, 2, 2, 3, 3, 4, 4, 5, 6])
        ids = sorted(pick.sample(range(1, 9), count))
        if self.algorithm is Algorithm.LMS and pick.random() < 0.1:
            ids = [LARGE_ID + node_id if position or pick.random() < 0.7 else node_id for position, node_id in enumerate(ids)]
        self.configured = ids if self.algorithm is Algorithm.TWO_NODE_LMS or pick.random() < 0.8 else sorted({*ids, pick.randint(1, 9)})
        mode = pick.choice(list(TieBreakerMode))
        self.tie_breaker = TieBreaker(mode, NodeId(pick.choice(ids) if mode is TieBreakerMode.NODE_ID else 0))
        self.nodes = {node_id: _Node(node_id) for node_id in ids}
        self.uses_heuristics = pick.random() < 0.4
        self.sequence = pick.randint(1, 20)
        self.partitions = [set(ids)]
        self.slow = pick.random() < 0.2
        self.kap = pick.choice([True, True, False, None])
        if pick.random() < 0.5:
            self._start_together()
        for _ in range(pick.randint(5, 25) * (2 if self.slow else 1)):
            self._something_happens()
        self._report(len(self.actions))
        return Story(self.seed, self.algorithm, self.tie_breaker, tuple(self.actions))

    # ---- the world changes

    def _start_together(self) -> None:
        for node in self.nodes.values():
            self._up(node)
        self._report(100)

    def _something_happens(self) -> None:
        events: list[tuple[int, Callable[[], None]]] = [
            (4, self._start),
            (2, self._die),
            (4, self._split),
            (3, self._heal),
            (1, self._drop_connection),
            (1 if self.uses_heuristics else 0, self._change_heuristics),
            (1, self._change_configuration),
            (1, self._change_kap),
            (1, self._say_something_superfluous),
            (1, self._withhold),
            (12 if self.slow else 1, self._answer),
            (2 if self.odd else 0, self._say_something_odd),
        ]
        (event,) = self.random.choices([event for _, event in events], [weight for weight, _ in events])
        event()
        self._report(self.random.choice([0, 1, 2, 4, 100, 100]))

    def _report(self, count: int) -> None:
        """Up to `count` of what is to be reported, each node in its own order."""
        for _ in range(count):
            waiting = [node_id for node_id, messages in self.reports.items() if messages]
            if not waiting:
                return
            node_id = self.random.choice(waiting)
            self.actions.append(Say(node_id, self.reports[node_id].pop(0)))

    def _someone(self, *, up: bool) -> _Node | None:
        nodes = [node for node in self.nodes.values() if node.up is up]
        return self.random.choice(nodes) if nodes else None

    def _partition(self, node: _Node) -> set[int]:
        return next(partition for partition in self.partitions if node.node_id in partition)

    def _members(self, node: _Node) -> list[int]:
        return sorted(other for other in self._partition(node) if self.nodes[other].up)

    def _start(self) -> None:
        node = self._someone(up=False)
        if node is not None:
            self._up(node)

    def _up(self, node: _Node) -> None:
        node.up = True
        self._new_ring(self._partition(node), but=node)
        self._connect(node)

    def _connect(self, node: _Node) -> None:
        """The stock client's burst, in which any part may come late."""
        slot, pick = node.node_id, self.random
        self.actions.append(Connect(slot))
        if self.slow:
            self.actions.append(Withhold(slot, True))
        node.number = pick.randint(0, 5)
        self.reports[slot].clear()
        if self.uses_heuristics:
            node.heuristics = pick.choice(list(Heuristics))
        burst: list[ClientMessage] = [Preinit(self._number(node), ClusterName(b""))]
        burst.append(self._init(node))
        if self.kap is not None:
            burst.append(SetOption(self._number(node), None, self.kap))
        burst += [self._config(node, NodeListType.INITIAL_CONFIG), self._membership(node)]
        burst.append(self._quorum(node))
        at_once = len(burst) if pick.random() < 0.7 else pick.randint(2, len(burst))
        self.actions += [Say(slot, message) for message in burst[:at_once]]
        self.reports[slot] += burst[at_once:]

    def _die(self) -> None:
        node = self._someone(up=True)
        if node is None:
            return
        node.up = False
        self.reports[node.node_id].clear()
        close = Disconnect(node.node_id)
        early = self.random.random() < 0.5
        if early:
            self.actions.append(close)
        self._new_ring(self._partition(node))
        if not early:
            self._report(self.random.choice([0, 1, 100]))
            self.actions.append(close)

    def _drop_connection(self) -> None:
        node = self._someone(up=True)
        if node is not None:
            self.actions.append(Disconnect(node.node_id))
            if self.random.random() < 0.7:
                self._connect(node)

    def _split(self) -> None:
        partition = max(self.partitions, key=len)
        if len(partition) < 2:
            return
        part = set(self.random.sample(sorted(partition), self.random.randint(1, len(partition) - 1)))
        self.partitions.remove(partition)
        for piece in (part, partition - part):
            self.partitions.append(piece)
            self._new_ring(piece)

    def _heal(self) -> None:
        if len(self.partitions) < 2:
            return
        self.random.shuffle(self.partitions)
        merged = self.partitions.pop() | self.partitions.pop()
        self.partitions.append(merged)
        self._new_ring(merged)

    def _new_ring(self, partition: set[int], but: _Node | None = None) -> None:
        """`but` reports by itself, as it has only come."""
        members = sorted(node_id for node_id in partition if self.nodes[node_id].up)
        if not members:
            return
        self.sequence += self.random.choice([1, 4, 4])
        ring_id = RingId(NodeId(members[0]), self.sequence)
        for node_id in members:
            node = self.nodes[node_id]
            node.ring = ring_id
            if node is not but:
                if self.uses_heuristics and self.random.random() < 0.3:
                    node.heuristics = self.random.choice(list(Heuristics))
                self._queue(node, self._membership(node))
                if self.random.random() < 0.8:
                    self._queue(node, self._quorum(node))

    def _change_heuristics(self) -> None:
        node = self._someone(up=True)
        if node is not None:
            node.heuristics = self.random.choice([Heuristics.PASS, Heuristics.FAIL])
            self._queue(node, HeuristicsChange(self._number(node), node.heuristics))

    def _change_configuration(self) -> None:
        if self.algorithm is not Algorithm.TWO_NODE_LMS or self.odd:
            self.configured = sorted(set(self.configured) ^ {self.random.randint(1, 9)} | set(self.nodes))
        for node in self.nodes.values():
            if node.up:
                self._queue(node, self._config(node, NodeListType.CHANGED_CONFIG))

    def _change_kap(self) -> None:
        node = self._someone(up=True)
        if node is not None:
            self._queue(node, SetOption(self._number(node), None, self.random.random() < 0.5))

    # ---- what only some nodes do

    def _say_something_superfluous(self) -> None:
        node = self._someone(up=True)
        if node is None:
            return
        messages: list[ClientMessage] = [
            self._membership(node),
            self._quorum(node),
            self._config(node, NodeListType.CHANGED_CONFIG),
            AskForVote(self._number(node)),
            VoteInfoReply(self.random.randint(0, 12)),
            replace(self._init(node), sequence_number=self._number(node)),
            SetOption(self._number(node), self.random.choice([HEARTBEAT_MS, 1, 1 << 31])),
        ]
        message = self.random.choice(messages)
        if self.random.random() < 0.5:
            self.actions.append(Say(node.node_id, message))
        else:
            self._queue(node, message)

    def _withhold(self) -> None:
        node = self._someone(up=True)
        if node is not None:
            self.actions.append(Withhold(node.node_id, self.random.random() < 0.6))

    def _answer(self) -> None:
        node = self._someone(up=True)
        if node is not None:
            self.actions.append(Answer(node.node_id))

    def _say_something_odd(self) -> None:
        node = self._someone(up=True)
        if node is None:
            return
        anyone = tuple(NodeInfo(NodeId(self.random.randint(1, 9))) for _ in range(self.random.randint(0, 4)))
        itself = NodeInfo(NodeId(node.node_id))
        messages: list[ClientMessage] = [
            replace(self._membership(node), nodes=anyone),
            replace(self._membership(node), nodes=(*anyone, itself)),
            replace(self._membership(node), nodes=(itself, itself)),
            replace(self._config(node, NodeListType.CHANGED_CONFIG), nodes=anyone),
            replace(self._config(node, NodeListType.CHANGED_CONFIG), nodes=(*anyone, itself)),
        ]
        if self.random.random() < 0.3:
            self._intrude(node)
        else:
            self._queue(node, self.random.choice(messages))

    def _intrude(self, node: _Node) -> None:
        slot = INTRUDER_SLOT + node.node_id
        other = TieBreaker(TieBreakerMode.NODE_ID, NodeId(99))
        another = Algorithm.FFSPLIT if self.algorithm is Algorithm.LMS else Algorithm.LMS
        init = self.random.choice(
            [
                self._init(node),
                replace(self._init(node), tie_breaker=other),
                replace(self._init(node), node_id=NodeId(77), algorithm=int(another)),
            ]
        )
        self.actions += [Connect(slot), Say(slot, Preinit(1, ClusterName(b""))), Say(slot, init), Disconnect(slot)]

    # ---- messages

    def _queue(self, node: _Node, message: ClientMessage) -> None:
        self.reports[node.node_id].append(message)

    def _number(self, node: _Node) -> int:
        node.number += 1
        return node.number

    def _init(self, node: _Node) -> Init:
        everything = tuple(range(18)), tuple(range(24))
        number, node_id, algorithm = self._number(node), NodeId(node.node_id), int(self.algorithm)
        return Init(number, *everything, node_id, algorithm, HEARTBEAT_MS, self.tie_breaker, node.ring)

    def _config(self, node: _Node, kind: NodeListType) -> NodeList:
        nodes = tuple(NodeInfo(NodeId(node_id)) for node_id in self.configured)
        return NodeList(self._number(node), kind, self.random.choice([None, 1, 2]), nodes=nodes)

    def _membership(self, node: _Node) -> NodeList:
        nodes = tuple(NodeInfo(NodeId(node_id)) for node_id in self._members(node))
        heuristics = None if node.heuristics is Heuristics.UNDEFINED else node.heuristics
        return NodeList(self._number(node), NodeListType.MEMBERSHIP, None, node.ring, nodes=nodes, heuristics=heuristics)

    def _quorum(self, node: _Node) -> NodeList:
        nodes = tuple(NodeInfo(NodeId(node_id)) for node_id in self._members(node))
        return NodeList(self._number(node), NodeListType.QUORUM, quorate=self.random.random() < 0.5, nodes=nodes)
