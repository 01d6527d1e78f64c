"""Which of the connected nodes are there: who is asked to answer, who does not, and whether at least its kernel does."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from thirdvote.arbiter.node import Node
from thirdvote.arbiter.referee import Board
from thirdvote.arbiter.releases import Absence, Manner
from thirdvote.domain import NodeId, RingId

PROBE_S_MIN = 0.2
PROBE_S_MAX = 1.0
"""How long an answer is waited for: some round trips, within these bounds."""

PROBE_ROUND_TRIPS = 8

OVERDUE_SHARE = 1.2
"""A node that has not been heard for so many heartbeats is asked, so that something is known of it before it is given up."""

HEARD_S = 0.5
"""How long a word of a node counts as its latest."""

PROBE_AGAIN_S = 1.0
"""A node that has answered and still reports nothing is asked again."""

INSPECTED_S = 0.05
"""How long what was seen of a kernel's acknowledgements counts."""


_NOBODY = frozenset[NodeId]()


class Probing(Protocol):
    def probe(self, node: Node) -> int:
        """Sends a VOTE_INFO that changes nothing, and returns its number."""

    def inspect(self, node: Node) -> None:
        """Asks whether the node's kernel has acknowledged all that was sent to it; `inspected_at` and `acknowledged` tell."""


class Presence:
    def __init__(self, board: Board, actions: Probing) -> None:
        self.board = board
        self._actions = actions

    def probe_who_is_behind(self) -> None:
        """Each of them once in a while, as long as it may be there."""
        now = self.board.now
        behind = self._behind()
        for node_id, node in self.board.nodes.items():
            if node_id not in behind:
                node.behind_since = None
                continue
            if node.behind_since is None:
                node.behind_since, node.answered_probe, node.probed_at = now, False, None
            may_be_there = node.asked_at is None or node.acknowledged
            if may_be_there and (node.probed_at is None or now >= node.probed_at + PROBE_AGAIN_S):
                self._probe(node)

    def ask_again(self, every: float) -> None:
        """Those of whom it is not known that they have spoken since then."""
        for node in self.board.nodes.values():
            if self.board.now >= node.speaks_since + every:
                self.ask(node)

    def ask(self, node: Node) -> bool:
        """Asks the node to answer, if it is not asked already; False if it can not be asked, as it has reported nothing yet."""
        if node.asked_at is None:
            self._probe(node)
        return node.asked_at is not None

    def is_heard_of(self, members: frozenset[NodeId]) -> bool:
        """A node with this membership has spoken just now, so that it is still its membership; else they are asked."""
        nodes = [node for node in self.board.nodes.values() if node.member.membership_list == members]
        if any(self.board.now < node.session.last_heard + HEARD_S for node in nodes):
            return True
        for node in nodes:
            self.ask(node)
        return False

    def are_heard(self, nodes: Collection[Node]) -> bool:
        """Each has spoken just now; those who have not are asked."""
        silent = [node for node in nodes if self.board.now >= node.session.last_heard + HEARD_S]
        for node in silent:
            self.ask(node)
        return not silent

    def _probe(self, node: Node) -> None:
        """Changes nothing for the node. One that has reported nothing does not expect it yet."""
        if node.membership_list is None:
            return
        node.probed_at = self.board.now
        self.asked(node)
        self._actions.probe(node)

    def _behind(self) -> set[NodeId]:
        """Nodes of whose ring others, which it counts in or which count it in, report a newer one."""
        rings: dict[RingId, list[Node]] = {}
        for node in self.board.nodes.values():
            rings.setdefault(node.ring_id, []).append(node)
        if len(rings) == 1:
            return set()
        there = {ring_id: frozenset(node.node_id for node in nodes) for ring_id, nodes in rings.items()}
        named = {ring_id: _NOBODY.union(*(node.member.membership_list or () for node in nodes)) for ring_id, nodes in rings.items()}
        found = set()
        for ring_id, nodes in rings.items():
            newer = [other for other in rings if other != ring_id and other.sequence >= ring_id.sequence]
            for node in nodes:
                counts_in = node.member.membership_list or _NOBODY
                if any(node.node_id in named[other] or not counts_in.isdisjoint(there[other]) for other in newer):
                    found.add(node.node_id)
        return found

    def is_unresponsive(self, node: Node) -> bool:
        """It has been asked, and has had the time to answer."""
        return node.asked_at is not None and node.asked_at + patience(node) <= self.board.now

    def is_absent(self, node: Node) -> bool:
        """Others have left it behind, and it does not answer: decisions are made without it."""
        return node.behind_since is not None and self.is_unresponsive(node)

    def asked(self, node: Node) -> None:
        """A VOTE_INFO is about to leave for it. What its kernel has acknowledged before has been heard, its last echo's answer too."""
        if node.answer_in_doubt and node.asked_at is None and not node.looking_back:
            node.looking_back = True
            self._actions.inspect(node)
        node.sent_at = self.board.now
        if node.asked_at is None:
            node.asked_at = self.board.now

    def answered(self, node: Node, number: int) -> None:
        """The answer to VOTE_INFO `number` has come. After one that is not the last, it is there, and has one more to answer."""
        now = self.board.now
        if node.asked_at is not None:
            if number == node.vote_info_number:
                node.round_trip, node.asked_at = now - node.asked_at, None
                node.answered_since = now if node.sent_at is None else node.sent_at
            else:
                node.asked_at = now
        node.answered_probe = True

    def look(self, node: Node) -> None:
        """Whether the kernel of a node that does not answer has acknowledged what it was asked, if it had the time to."""
        if node.looking or node.sent_at is None or self.board.now < node.sent_at + patience(node) or self.is_seen(node):
            return
        node.looking = True
        self._actions.inspect(node)

    def looked(self, node: Node, *, acknowledged: bool) -> bool:
        """What was seen; whether that changes anything, and no other look is under way."""
        if acknowledged:
            node.answer_in_doubt = False
        if node.looking_back:
            node.looking_back = False
            return acknowledged
        node.looking, node.inspected_at, node.acknowledged = False, self.board.now, acknowledged
        return not any(other.looking for other in self.board.nodes.values())

    def is_seen(self, node: Node) -> bool:
        """It is known as of now."""
        return self.was_looked_at(node) and node.inspected_at is not None and self.board.now < node.inspected_at + INSPECTED_S

    def was_looked_at(self, node: Node) -> bool:
        """Since it had the time to answer what it was asked last."""
        if node.sent_at is None or node.inspected_at is None:
            return False
        return node.inspected_at >= node.sent_at + patience(node)

    def next_look(self, node: Node) -> list[float]:
        """Times at which something may be found out about it."""
        times = [time + patience(node) for time in (node.asked_at, node.sent_at) if time is not None]
        if node.behind_since is not None and node.probed_at is not None:
            times.append(node.probed_at + PROBE_AGAIN_S)
        return times


def overdue_at(node: Node) -> float | None:
    """When a node that is asked nothing has to have been heard again."""
    if node.asked_at is not None or node.membership_list is None:
        return None
    return node.session.last_heard + OVERDUE_SHARE * node.session.heartbeat_ms / 1000


def silence(node: Node) -> Absence:
    """Of a connected node that does not answer. If its kernel has acknowledged what it was asked, its daemon hangs."""
    heard = node.session.last_heard
    manner = Manner.HANGS if node.acknowledged and node.asked_at is not None else Manner.SILENT
    in_doubt = node.answer_in_doubt and node.answered_at == node.echoed_at  # an echo after that one tells that its answer was heard
    return Absence(manner, heard, node.answered_at, node.echoed_at, heard, in_doubt)


def patience(node: Node) -> float:
    """Seconds that an answer is waited for."""
    if node.round_trip is None:
        return PROBE_S_MAX
    return min(max(PROBE_ROUND_TRIPS * node.round_trip, PROBE_S_MIN), PROBE_S_MAX)
