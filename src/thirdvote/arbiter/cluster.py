"""One cluster: its connected nodes, its referee, and what can be said about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from thirdvote.arbiter.bounds import bounds
from thirdvote.arbiter.granting import GrantingReferee
from thirdvote.arbiter.holders import Holders
from thirdvote.arbiter.judges import judge_of
from thirdvote.arbiter.node import Node
from thirdvote.arbiter.outbox import ClusterActions, Outbox
from thirdvote.arbiter.record import ClusterRecord, HolderRecord
from thirdvote.arbiter.referee import Board, Referee, TestReferee
from thirdvote.arbiter.releases import Absence, Timing, timing, unheard
from thirdvote.arbiter.rounds import RoundsReferee
from thirdvote.arbiter.snapshot import Bounds, ClusterSnapshot, HolderSnapshot, NodeSnapshot
from thirdvote.arbiter.standing import StandingReferee, TwoNodeReferee
from thirdvote.config import ClusterPolicy, Limits
from thirdvote.decide.wording import name_nodes
from thirdvote.domain import Algorithm, ClusterName, Handover, NodeId, TieBreaker
from thirdvote.errors import ReplyCode
from thirdvote.session.server import Security

SayTime = Callable[[float], str]
"""Makes a time of the arbiter's clock into one that a person reads: "12:03:07"."""


class Cluster:
    """Exists as long as a node of it is connected; algorithm and tie-breaker are those of its first node, and so of all."""

    def __init__(
        self,
        name: ClusterName,
        algorithm: Algorithm,
        tie_breaker: TieBreaker,
        holders: Holders,
        policy: ClusterPolicy,
        outbox: Outbox,
        say_time: SayTime,
    ) -> None:
        """`holders` are those that are left from before."""
        self.name = name
        self.algorithm = algorithm
        self.tie_breaker = tie_breaker
        self.policy = policy
        self.nodes: dict[NodeId, Node] = {}
        self._anybody: ClusterRecord | None = None
        self._outbox = outbox
        self._say_time = say_time
        self._board = Board(self.nodes, tie_breaker, outbox.tell)
        holders.algorithm = algorithm
        self.referee: Referee = self._new_referee(holders)

    @property
    def granting(self) -> GrantingReferee | None:
        """The referee, if the policy is one that waits for releases."""
        return self.referee if isinstance(self.referee, GrantingReferee) else None

    def at(self, now: float) -> None:
        self._board.now = now

    def set_policy(self, policy: ClusterPolicy, now: float) -> None:
        """A change to or from `stock` begins anew: who has the vote under `stock` may hold it, and who is not connected may, too."""
        self.at(now)
        waits = _waits_for_releases(self.algorithm, policy)
        self.policy = policy
        if self.granting is not None and waits:
            self.granting.set_policy(policy)
        elif waits:
            holders = Holders(self.algorithm, frozenset(node.node_id for node in self.nodes.values() if node.has_vote))
            self.referee = self._new_referee(holders)
            self._presume(unheard(now))
            if self.granting is not None:
                self.granting.take_over(self.nodes.values())
        elif self.granting is not None:
            self.referee = self._new_referee(self.granting.holders)
            self.config_known()

    def _new_referee(self, holders: Holders) -> Referee:
        if _waits_for_releases(self.algorithm, self.policy):
            judge = judge_of(self.algorithm, holders.partition)
            actions = ClusterActions(self._outbox, self.name)
            return GrantingReferee(self._board, judge, holders, self.policy, actions, self._say_time)
        return _stock_referee(self.algorithm, self._board, holders.partition)

    def config_known(self) -> None:
        """A configuration has come: who is in it may have the vote, if nothing else is known of this cluster.

        Under `stock` anybody may, and no holders are kept; but a restart with another policy must not take that for nobody.
        """
        if self.granting is not None and self.granting.holders.anybody is not None:
            self._presume(self.granting.holders.anybody)
        elif self.granting is None and self.algorithm is not Algorithm.TEST:
            heartbeat_ms = self._heartbeat_ms()
            anybody = tuple(HolderRecord(node_id, heartbeat_ms) for node_id in sorted(self._configured()))
            record = ClusterRecord(self.algorithm, frozenset(), anybody)
            if anybody and record != self._anybody:
                self._anybody = record
                self._outbox.persist(self.name, record)

    def _configured(self) -> frozenset[NodeId]:
        return frozenset[NodeId]().union(*(node.member.config_list or () for node in self.nodes.values()))

    def _heartbeat_ms(self) -> int:
        """The longest of them."""
        return max((node.session.heartbeat_ms for node in self.nodes.values()), default=0)

    def _presume(self, away: Absence) -> None:
        if self.granting is not None:
            self.granting.presume(self._configured(), self._heartbeat_ms(), away)

    def admits(self, node_id: NodeId, algorithm: int, tie_breaker: TieBreaker) -> ReplyCode:
        if tie_breaker != self.tie_breaker:
            return ReplyCode.TIE_BREAKER_DIFFERS
        if algorithm != self.algorithm:
            return ReplyCode.ALGORITHM_DIFFERS
        if node_id in self.nodes:
            return ReplyCode.DUPLICATE_NODE_ID
        return ReplyCode.NO_ERROR

    def add(self, node: Node) -> None:
        """Keeps the nodes in order of their ids, on which every decision relies."""
        self.nodes[node.node_id] = node
        in_order = sorted(self.nodes.items())
        self.nodes.clear()
        self.nodes.update(in_order)
        if self.granting is not None:
            self.granting.joined(node)

    def timing_of(self, node: Node) -> Timing:
        uses_heuristics = bool(node.heuristics_membership) or bool(node.heuristics_regular)
        nodes = len(node.member.config_list or ())
        return timing(node.session.heartbeat_ms, self.algorithm, nodes, uses_heuristics, self.policy)

    def missing(self) -> tuple[NodeId, ...]:
        """Configured nodes that are not connected."""
        return tuple(sorted(self._configured() - self.nodes.keys()))

    def summary(self) -> str:
        holders = [node.node_id for node in self.nodes.values() if node.has_vote]
        missing = self.missing()
        absent = f"; not connected: {name_nodes(missing)}" if missing else ""
        if not holders:
            return f"nobody has the vote{absent}"
        if len(holders) == len(self.nodes) and not missing:
            return "all nodes are connected and have the vote"
        return f"{name_nodes(holders)} {'has' if len(holders) == 1 else 'have'} the vote{absent}"

    def because(self, node: Node) -> str:
        """Why the node has the vote that it has, or none."""
        held_back = self.referee.waiting_for(node)
        if held_back:
            return held_back
        if node.told is None:
            return "it has not reported its membership yet"
        return node.told.because

    def snapshot(self, limits: Limits, now: float) -> ClusterSnapshot:
        self.at(now)
        waiting, waiting_until = self.granting.waiting if self.granting is not None else ("", None)
        return ClusterSnapshot(
            name=self.name,
            algorithm=self.algorithm,
            tie_breaker=self.tie_breaker,
            handover=self.policy.handover,
            summary=self.summary(),
            nodes=tuple(self._node_snapshot(node, now) for node in self.nodes.values()),
            missing=self.missing(),
            holders=self._holder_snapshots(),
            waiting=waiting,
            waiting_until=waiting_until,
            bounds=self._bounds(limits),
        )

    def _holder_snapshots(self) -> tuple[HolderSnapshot, ...]:
        granting = self.granting
        if granting is None:
            return ()
        found = []
        for node_id, holder in sorted(granting.holders.by_node.items()):
            because, until = granting.why(holder)
            found.append(HolderSnapshot(node_id, granting.speaks(holder), because, until))
        return tuple(found)

    def _bounds(self, limits: Limits) -> Bounds:
        """Of the slowest of its nodes."""
        found = [bounds(self.timing_of(node), len(self._configured()), self.policy, limits) for node in self.nodes.values()]
        return max(found, key=lambda each: (each.handover_s, each.overlap_s), default=Bounds(0.0, 0.0, ""))

    def _node_snapshot(self, node: Node, now: float) -> NodeSnapshot:
        session = node.session
        secured = session.security is Security.SECURED
        return NodeSnapshot(
            node_id=node.node_id,
            connection=node.connection,
            address=node.address,
            heartbeat_ms=session.heartbeat_ms,
            config_version=node.config_version,
            config_list=node.config_list or (),
            membership_list=node.membership_list or (),
            ring_id=node.ring_id,
            heuristics=node.member.heuristics,
            heuristics_membership=node.heuristics_membership,
            heuristics_regular=node.heuristics_regular,
            keep_active_partition=node.member.keep_active_partition,
            tls_active=secured,
            certificate_verified=secured and session.policy.client_certificate,
            last_vote=node.last_vote,
            last_ack_or_nack=node.last_ack_or_nack,
            has_vote=node.has_vote,
            because=self.because(node),
            connected_for_s=now - node.joined_at,
            last_heard_s=now - session.last_heard,
            round_trip_s=node.round_trip,
            answers_late=self.granting is not None and bool(self.granting.late_by(node)),
        )


def _waits_for_releases(algorithm: Algorithm, policy: ClusterPolicy) -> bool:
    return policy.handover is not Handover.STOCK and algorithm is not Algorithm.TEST


def _stock_referee(algorithm: Algorithm, board: Board, partition: frozenset[NodeId]) -> Referee:
    match algorithm:
        case Algorithm.TEST:
            return TestReferee()
        case Algorithm.FFSPLIT:
            return RoundsReferee(board, quorate_partition=partition)
        case Algorithm.TWO_NODE_LMS:
            return TwoNodeReferee(board)
        case Algorithm.LMS:
            return StandingReferee(board)
        case _:
            assert_never(algorithm)
