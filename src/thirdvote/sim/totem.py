"""Which rings corosync forms, and when: a model of totem.

From when a member of a ring does not hear another one, the ring's token is lost; two tokens later those who hear each other then have new
rings, each side for itself, and later if one more is lost while they agree on that. One that left in order is missed at once. Nodes that
hear each other again come together within 0.2 to 1.5 s, all at about the same moment. A link that was broken for longer than a token, but
not for long enough to lose somebody, leads to a new ring of the same members. Where not everybody hears everybody, those who do form the
ring; a link that works in one direction only counts as broken.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import combinations
from random import Random

from thirdvote.domain import NodeId, RingId
from thirdvote.sim.corosync import HOLD, HOLDS_MAX, SEQUENCE_STEP, Corosync, Ring
from thirdvote.sim.engine import Callback, Engine, Timer
from thirdvote.sim.network import Network

DETECTION = 2.03
DETECTION_JITTER = 0.17
ONE_WAY_LATER = 1.0
"""Tokens. Measured: 2.03 to 2.20, the same on both sides; with one-way loss, the side that is not heard sees it a token later."""
CONSENSUS = 1.2
"""Tokens. What it takes to go on without somebody who does not answer, when another one has left in order meanwhile."""
LEAVE_S = 0.1
MERGE_S = (0.2, 1.5)
SAME_MOMENT_S = 0.02
"""How far apart the members of one new ring see it."""

STEP_S_MIN = 0.004

Group = frozenset[int]


class Totem:
    def __init__(self, engine: Engine, random: Random, network: Network, nodes: Mapping[int, Corosync], token_s: float) -> None:
        self._engine = engine
        self._random = random
        self._network = network
        self._nodes = nodes
        self._token_s = token_s
        self._broken: dict[tuple[int, int], float] = {}
        self._left: dict[int, float] = {}
        self._planned: dict[Group, Timer] = {}
        self._entering: dict[Group, int] = {}
        self._missing_after: dict[tuple[int, int], float] = {}

    def start(self) -> None:
        """All nodes that run are in one ring from the beginning."""
        group = frozenset(node for node, corosync in self._nodes.items() if corosync.running)
        self._install(group, spread=0.0)

    def left_in_order(self, node: int) -> None:
        """Before the node's corosync stops: the others need not wait to miss it."""
        self._left[node] = self._engine.now

    def look(self) -> None:
        """Something has changed in who runs and who hears whom."""
        self._look_at_links()
        self._look_at_rings()
        groups = self._groups()
        for group in [group for group in self._planned if group not in groups]:
            self._planned.pop(group).cancel()
        for group in groups:
            if group not in self._planned and group not in self._entering and not self._is_formed(group):
                self._plan(group)

    # ---- who hears whom

    def _look_at_links(self) -> None:
        now = self._engine.now
        for first, second in combinations(self._nodes, 2):
            pair = (first, second)
            if self._hears(first, second):
                since = self._broken.pop(pair, None)
                if since is not None and now - since > self._token_s and self._nodes[first].ring is self._nodes[second].ring:
                    self._form_again(first)
            elif pair not in self._broken:
                self._broken[pair] = now
                jitter = self._random.random() * DETECTION_JITTER
                for looking, lost in (pair, (second, first)):
                    one_way = self._network.up(lost, looking) and not self._network.up(looking, lost)
                    self._missing_after[looking, lost] = self._token_s * (DETECTION + jitter + (ONE_WAY_LATER if one_way else 0.0))

    def _look_at_rings(self) -> None:
        """A ring stands still from the moment at which its token does not come round."""
        for ring in {id(corosync.ring): corosync.ring for corosync in self._nodes.values() if corosync.running}.values():
            stalled = any(pair in self._broken for pair in combinations(sorted(ring.members), 2))
            if stalled != ring.stalled:
                ring.stalled, ring.stalled_since = stalled, self._engine.now
                if not stalled and not ring.waiting:
                    ring.decide_again() if ring.settled else ring.settle()

    def _hears(self, first: int, second: int) -> bool:
        running = self._nodes[first].running and self._nodes[second].running
        return running and self._network.both_ways(first, second)

    def _groups(self) -> list[Group]:
        """The largest sets of nodes that all hear each other, largest first; each node is in one."""
        left = {node for node, corosync in self._nodes.items() if corosync.running}
        groups = []
        while left:
            group = self._largest(left)
            groups.append(group)
            left -= group
        return groups

    def _largest(self, nodes: set[int]) -> Group:
        for size in range(len(nodes), 1, -1):
            for chosen in combinations(sorted(nodes), size):
                if all(pair not in self._broken for pair in combinations(chosen, 2)):
                    return frozenset(chosen)
        return frozenset((min(nodes),))

    # ---- new rings

    def _is_formed(self, group: Group) -> bool:
        rings = {id(self._nodes[node].ring) for node in group}
        return len(rings) == 1 and all(self._nodes[node].ring.members == group for node in group)

    def _plan(self, group: Group) -> None:
        lost = {(node, other) for node in group for other in self._nodes[node].ring.members - group}
        due = min((self._missed_at(node, other) for node, other in lost), default=self._engine.now)
        if any(self._lost_while_gathering(node, other) for node, other in lost):
            due += CONSENSUS * self._token_s
        left = [self._left[other] for _, other in lost if self._has_left(other)]
        if left and any(not self._has_left(other) for _, other in lost):
            due = min(due, min(left) + CONSENSUS * self._token_s)
        elif left:
            due = min(left) + LEAVE_S * self._random.uniform(0.5, 1.5)
        if len({id(self._nodes[node].ring) for node in group}) > 1:
            due = max(due, self._engine.now + self._random.uniform(*MERGE_S))
        self._planned[group] = self._engine.at(due, lambda: self._form(group))

    def _has_left(self, node: int) -> bool:
        return not self._nodes[node].running and node in self._left

    def _missed_at(self, node: int, lost: int) -> float:
        """When a node that has not said that it leaves is missed."""
        if self._has_left(lost):
            return float("inf")
        ring = self._nodes[node].ring
        if (min(node, lost), max(node, lost)) not in self._broken:  # they hear each other, but a third one does not
            return max(self._engine.now, ring.stalled_since + DETECTION * self._token_s)
        return ring.stalled_since + self._missing_after[node, lost] + self._random.random() * SAME_MOMENT_S

    def _lost_while_gathering(self, node: int, lost: int) -> bool:
        """The token was over by then; who had agreed on the new ring is missing in it, and it has to be agreed on anew."""
        ring = self._nodes[node].ring
        since = self._broken.get((min(node, lost), max(node, lost)))
        return since is not None and self._token_s < since - ring.stalled_since < DETECTION * self._token_s

    def _form_again(self, node: int) -> None:
        members = self._nodes[node].ring.members
        if all(pair not in self._broken for pair in combinations(sorted(members), 2)) and members not in self._planned:
            self._planned[members] = self._engine.after(self._random.uniform(0.05, 0.3), lambda: self._form(members))

    def _form(self, group: Group) -> None:
        self._planned.pop(group, None)
        self._install(group, SAME_MOMENT_S)

    def _install(self, group: Group, spread: float) -> None:
        sequence = max(self._nodes[node].sequence for node in group) + SEQUENCE_STEP
        ring = Ring(RingId(NodeId(min(group)), sequence), group, set(group), self._take_step, self._engine.now)
        self._entering[group] = len(group)
        for node in sorted(group):
            corosync = self._nodes[node]
            corosync.sequence = sequence  # nobody takes this number again
            self._left.pop(node, None)
            if len(group) == 1 or not spread:
                self._enter(corosync, ring)
            else:
                self._engine.after(self._random.random() * spread, partial(self._enter, corosync, ring))

    def _take_step(self, ring: Ring, callback: Callback) -> None:
        steps = self._random.randrange(HOLDS_MAX + 1)
        self._engine.at(max(ring.since + steps * HOLD * self._token_s, self._engine.now + STEP_S_MIN), callback)

    def _enter(self, corosync: Corosync, ring: Ring) -> None:
        """Unless it was put into a newer ring meanwhile, or has stopped."""
        if corosync.running and corosync.sequence == ring.ring_id.sequence:
            corosync.install(ring)
        self._entering[ring.members] -= 1
        if not self._entering[ring.members]:
            del self._entering[ring.members]
            self.look()
