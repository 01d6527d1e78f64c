"""One cluster: its connected nodes, its referee, and what can be said about it."""

from __future__ import annotations

from typing import assert_never

from thirdvote.arbiter.node import Node
from thirdvote.arbiter.referee import Board, Referee, Tell, TestReferee
from thirdvote.arbiter.rounds import RoundsReferee
from thirdvote.arbiter.snapshot import Bounds, ClusterSnapshot, NodeSnapshot
from thirdvote.arbiter.standing import StandingReferee, TwoNodeReferee
from thirdvote.config import ClusterPolicy
from thirdvote.decide.wording import name_nodes
from thirdvote.domain import Algorithm, ClusterName, NodeId, TieBreaker
from thirdvote.errors import ReplyCode
from thirdvote.session.server import Security


class Cluster:
    """Exists as long as a node of it is connected; algorithm and tie-breaker are those of its first node, and so of all."""

    def __init__(self, name: ClusterName, algorithm: Algorithm, tie_breaker: TieBreaker, tell: Tell) -> None:
        self.name = name
        self.algorithm = algorithm
        self.tie_breaker = tie_breaker
        self.nodes: dict[NodeId, Node] = {}
        self.referee = _referee(algorithm, Board(self.nodes, tie_breaker, tell))

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

    def missing(self) -> tuple[NodeId, ...]:
        """Configured nodes that are not connected."""
        configured = frozenset[NodeId]().union(*(node.member.config_list or () for node in self.nodes.values()))
        return tuple(sorted(configured - self.nodes.keys()))

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

    def snapshot(self, policy: ClusterPolicy, now: float) -> ClusterSnapshot:
        return ClusterSnapshot(
            name=self.name,
            algorithm=self.algorithm,
            tie_breaker=self.tie_breaker,
            handover=policy.handover,
            summary=self.summary(),
            nodes=tuple(self._node_snapshot(node, now) for node in self.nodes.values()),
            missing=self.missing(),
            holders=(),
            waiting="",
            waiting_until=None,
            bounds=Bounds(0.0, 0.0, ""),
        )

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
            round_trip_s=None,
            answers_late=False,
        )


def _referee(algorithm: Algorithm, board: Board) -> Referee:
    match algorithm:
        case Algorithm.TEST:
            return TestReferee()
        case Algorithm.FFSPLIT:
            return RoundsReferee(board)
        case Algorithm.TWO_NODE_LMS:
            return TwoNodeReferee(board)
        case Algorithm.LMS:
            return StandingReferee(board)
        case _:
            assert_never(algorithm)
