"""ffsplit: the vote for the half of a cluster that is to go on, or for the partition that has more than half.

**When it decides.** Only on a stable view: (a) all nodes have the same configuration list, and (b) whoever is connected
and named in a node's membership list reports the same ring and names at least the same nodes. Taken literally, (b)
compares every list with the list of everybody in it. But every list names its sender. So if X names Y, Y has to name
all that X names, X among them; then the same holds the other way round, and the two lists are equal. Hence

    (b)  the connected nodes that a list names are exactly those that sent this list, and they are in one ring

which takes one look at each id of each different list. Equal lists are brought together by a dict, which costs one hash
and one comparison of each list. A list that was never sent counts as an empty one: it names nobody, and it agrees with
other configuration lists only where nobody has sent one.

**Who wins.** The nodes are gone through in the order of their ids; each one's partition (the nodes that its membership
list names) challenges the best so far. It is measured by its size against that of the configuration:

    more than half   takes the lead, whoever has it
    less than half   never does
    half             takes the lead by, in this order: the higher score; the more connected nodes; keep-active-partition,
                     if all nodes have it on; having the tie-breaker's node. Against nobody it takes the lead at once

Score is the number of connected nodes in the partition, plus the passed, minus the failed heuristics.

Three things follow that corosync-qnetd does, too, and that a rule made up afresh might not. Of two partitions with more
than half each, which only contradictory configurations can make, the later one leads. Keep-active-partition asks about the
node that challenges and the node that took the lead, not about their partitions: so a node takes the lead over from
one in its own partition as well. And if neither half has the tie-breaker's node, the half that came first keeps the lead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import assert_never

from thirdvote.decide.view import ClusterView, Member, Verdict, score
from thirdvote.decide.wording import name_nodes, which_is_behind
from thirdvote.domain import Heuristics, NodeId, Vote


@dataclass(frozen=True, slots=True)
class Unsettled:
    """The nodes contradict each other: some of them have not reported yet what others have."""

    because: str


@dataclass(frozen=True, slots=True)
class Settled:
    """`winner` is a membership list as it was sent, or empty; `verdicts` has an ACK or NACK for each connected node."""

    winner: frozenset[NodeId]
    verdicts: dict[NodeId, Verdict]


def decide(view: ClusterView, quorate_partition: frozenset[NodeId]) -> Unsettled | Settled:
    """`quorate_partition` is the winner of the decision before, which keep-active-partition asks for; empty at first."""
    partitions = _partitions(view)
    contradiction = _contradiction(view, partitions)
    if contradiction is not None:
        return Unsettled(contradiction)
    config = next(iter(view.members.values())).config_list if view.members else None
    if not config:
        return Settled(frozenset(), dict.fromkeys(view.members, Verdict(Vote.NACK, "no node has sent its configuration yet")))
    election = _Election(view, config, quorate_partition)
    for node_id, partition in _by_node(partitions):
        election.challenge(node_id, partition)
    return Settled(election.winner, election.verdicts(partitions))


# ---- what the nodes report


@dataclass(frozen=True, slots=True, eq=False)
class _Partition:
    """`node_ids` are those that the membership list names, `members` those that sent it: the connected ones, in a stable view."""

    node_ids: frozenset[NodeId]
    members: tuple[Member, ...]
    score: int


def _partitions(view: ClusterView) -> list[_Partition]:
    senders: dict[frozenset[NodeId], list[Member]] = {}
    for member in view.members.values():
        if member.membership_list:
            senders.setdefault(member.membership_list, []).append(member)
    return [_Partition(node_ids, tuple(members), score(members)) for node_ids, members in senders.items()]


def _by_node(partitions: list[_Partition]) -> Iterator[tuple[NodeId, _Partition]]:
    yield from sorted(
        ((member.node_id, partition) for partition in partitions for member in partition.members),
        key=lambda pair: pair[0],
    )


def _contradiction(view: ClusterView, partitions: list[_Partition]) -> str | None:
    """What keeps the view from being stable, None if it is."""
    return _config_contradiction(view) or next(filter(None, (_membership_contradiction(view, each) for each in partitions)), None)


def _config_contradiction(view: ClusterView) -> str | None:
    senders = {member.config_list or frozenset(): member for member in view.members.values()}
    if len(senders) <= 1:
        return None
    for node_ids, member in senders.items():
        if not node_ids:
            return f"node {member.node_id} has not sent its configuration yet"
    (here, one), (there, other), *_ = senders.items()
    return f"node {one.node_id} is configured for {name_nodes(here)}, but node {other.node_id} for {name_nodes(there)}"


def _membership_contradiction(view: ClusterView, partition: _Partition) -> str | None:
    first = partition.members[0]
    for member in partition.members:
        if member.ring_id != first.ring_id:
            return which_is_behind(first, member)
    senders = {member.node_id for member in partition.members}
    for node_id in partition.node_ids:
        named = view.members.get(node_id)
        if named is not None and node_id not in senders:
            return _why_not_together(first, named)
    return None


def _why_not_together(sender: Member, named: Member) -> str:
    if not named.membership_list:
        return f"node {named.node_id} has not reported its membership yet"
    if named.ring_id != sender.ring_id:
        return which_is_behind(sender, named)
    return f"{name_nodes((sender.node_id, named.node_id))} report different members of one ring"


# ---- the election


class _Rule(Enum):
    """What a challenge was decided by; see the table at the top."""

    MORE_THAN_HALF = auto()
    LESS_THAN_HALF = auto()
    SCORE = auto()
    CONNECTED = auto()
    KEEP_ACTIVE_PARTITION = auto()
    TIE_BREAKER = auto()
    CAME_FIRST = auto()


@dataclass(frozen=True, slots=True)
class _Contest:
    """How a partition fared against another one, the last time that the two met."""

    rule: _Rule
    opponent: _Partition


class _Election:
    def __init__(self, view: ClusterView, config: frozenset[NodeId], quorate_partition: frozenset[NodeId]) -> None:
        self._config = config
        self._quorate_partition = quorate_partition
        self._keep_active = all(member.keep_active_partition for member in view.members.values())
        self._tie_breaker = view.tie_breaker
        self._preferred = view.tie_breaker.preferred(config)
        self._view = view
        self._leader: tuple[NodeId, _Partition] | None = None
        self._contests: dict[_Partition, _Contest] = {}

    @property
    def winner(self) -> frozenset[NodeId]:
        return self._leader[1].node_ids if self._leader else frozenset()

    def challenge(self, node_id: NodeId, partition: _Partition) -> None:
        wins, rule = self._outcome(node_id, partition)
        leader = self._leader[1] if self._leader else None
        if leader is not None and leader is not partition and rule is not _Rule.LESS_THAN_HALF:
            self._contests[partition] = _Contest(rule, leader)
            self._contests[leader] = _Contest(rule, partition)
        if wins:
            self._leader = node_id, partition

    def _outcome(self, node_id: NodeId, partition: _Partition) -> tuple[bool, _Rule]:
        size = 2 * len(partition.node_ids) - len(self._config)
        if size > 0:
            return True, _Rule.MORE_THAN_HALF
        if size < 0:
            return False, _Rule.LESS_THAN_HALF
        if self._leader is None:
            return True, _Rule.CAME_FIRST
        leading_id, leader = self._leader
        if partition.score != leader.score:
            return partition.score > leader.score, _Rule.SCORE
        if len(partition.members) != len(leader.members):
            return len(partition.members) > len(leader.members), _Rule.CONNECTED
        was_active = node_id in self._quorate_partition
        if self._keep_active and was_active != (leading_id in self._quorate_partition):
            return was_active, _Rule.KEEP_ACTIVE_PARTITION
        if self._preferred in partition.node_ids:
            return True, _Rule.TIE_BREAKER
        return False, _Rule.TIE_BREAKER if self._preferred in leader.node_ids else _Rule.CAME_FIRST

    # ---- what comes of it, in words

    def verdicts(self, partitions: list[_Partition]) -> dict[NodeId, Verdict]:
        """In the order of the node ids; the nodes of a partition share theirs."""
        by_node: dict[NodeId, Verdict] = {}
        halves = sum(2 * len(partition.node_ids) == len(self._config) for partition in partitions)
        for partition in partitions:
            won = self._leader is not None and self._leader[1] is partition
            verdict = Verdict(Vote.ACK if won else Vote.NACK, self._because(partition, won, halves))
            by_node.update(dict.fromkeys((member.node_id for member in partition.members), verdict))
        silent = Verdict(Vote.NACK, "it has not reported its membership yet")
        return {node_id: by_node.get(node_id, silent) for node_id in self._view.members}

    def _because(self, partition: _Partition, won: bool, halves: int) -> str:
        contest = self._contests.get(partition)
        size = 2 * len(partition.node_ids) - len(self._config)
        if size < 0:
            return f"only {self._count(partition)} here"
        if size > 0 and won:
            return f"{self._count(partition)} together here"
        if contest is None:
            return "no other half is connected"
        own = "its half" if size == 0 else "its partition"
        other = self._title(contest.opponent, halves)
        if won:
            return self._statement(contest.rule, partition, own, contest.opponent, other)
        return self._statement(contest.rule, contest.opponent, other, partition, own)

    def _count(self, partition: _Partition) -> str:
        """ "3 of 4 configured nodes are"."""
        count, configured = len(partition.node_ids), len(self._config)
        verb = "is" if count == 1 else "are"
        if partition.node_ids <= self._config:
            return f"{count} of {configured} configured nodes {verb}"
        return f"{count} {'node' if count == 1 else 'nodes'}, where {configured} are configured, {verb}"

    def _title(self, partition: _Partition, halves: int) -> str:
        if halves == 2 and 2 * len(partition.node_ids) == len(self._config):
            return "the other half"
        return f"the partition of {name_nodes(partition.node_ids)}"

    def _statement(self, rule: _Rule, winner: _Partition, its_title: str, loser: _Partition, losers_title: str) -> str:
        """Why the one beat the other; true from either side, which differ only in what they call the two."""
        match rule:
            case _Rule.MORE_THAN_HALF:
                return f"{its_title} has more than half of the configured nodes, and is the last one that has"
            case _Rule.SCORE:
                return _why_it_scores_higher(winner, its_title, loser, losers_title)
            case _Rule.CONNECTED:
                return f"{its_title} has more connected nodes than {losers_title}, at the same score"
            case _Rule.KEEP_ACTIVE_PARTITION:
                return f"keep-active-partition: {its_title} had the vote before"
            case _Rule.TIE_BREAKER:
                return f"{its_title} has node {self._preferred}, the tie-breaker"
            case _Rule.CAME_FIRST:
                return f"neither side has node {self._preferred}, the tie-breaker, and {its_title} comes first by node id"
            case _Rule.LESS_THAN_HALF:
                raise AssertionError("a partition of less than half beats nobody, and whoever beats it needs no reason")
            case _:
                assert_never(rule)


def _why_it_scores_higher(winner: _Partition, its_title: str, loser: _Partition, losers_title: str) -> str:
    if _count(winner, Heuristics.UNDEFINED) == len(winner.members) and _count(loser, Heuristics.UNDEFINED) == len(loser.members):
        return f"{its_title} has more connected nodes than {losers_title}"
    if _count(winner, Heuristics.PASS) == len(winner.members) and not _count(loser, Heuristics.PASS):
        return f"{its_title} passed the heuristics, {losers_title} did not"
    return f"{its_title} scores {winner.score} for connected nodes and heuristics, {losers_title} {loser.score}"


def _count(partition: _Partition, heuristics: Heuristics) -> int:
    return sum(member.heuristics is heuristics for member in partition.members)
