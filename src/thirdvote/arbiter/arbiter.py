"""All clusters in one pure machine: what happened goes in, what has to be done comes out.

    effects = arbiter.step(Received(connection, data), now)

A connection's bytes go to its session; what the session can not answer alone comes here, is taken into the cluster, and
then the cluster's referee is asked, so that every decision is made on the cluster as it is with the message in it. The
sender's reply follows whatever its message made others hear. Nothing is looked at but the cluster that the message is
of, so the cost of a step does not grow with the number of clusters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from thirdvote.arbiter.cluster import Cluster
from thirdvote.arbiter.deadlines import Deadlines
from thirdvote.arbiter.interface import (
    Close,
    Connected,
    Disconnected,
    Effect,
    Elapsed,
    Input,
    Level,
    Note,
    NoteKind,
    Persisted,
    Received,
    Release,
    Secured,
    Send,
    StartTls,
    Stopping,
)
from thirdvote.arbiter.node import Node
from thirdvote.arbiter.record import Past
from thirdvote.arbiter.snapshot import ClusterSnapshot, Snapshot
from thirdvote.config import Settings
from thirdvote.decide.view import Member, Verdict
from thirdvote.decide.wording import name_nodes
from thirdvote.domain import Algorithm, ClusterName, Heuristics, NodeListType, Vote
from thirdvote.errors import ProtocolError, ReplyCode
from thirdvote.session.server import Asked, BeginTls, End, Joining, Policy, Refused, Reply, Request, Security, ServerSession, Stage
from thirdvote.wire.codec import encode
from thirdvote.wire.messages import (
    AskForVote,
    AskForVoteReply,
    HeuristicsChange,
    HeuristicsChangeReply,
    Init,
    NodeList,
    NodeListReply,
    ServerError,
    ServerMessage,
    SetOption,
    SetOptionReply,
    VoteInfo,
    VoteInfoReply,
)

SayTime = Callable[[float], str]

NO_PAST = Past(0.0)


@dataclass(slots=True)
class Peer:
    """One connection; `node` and `cluster` are set while it has joined one."""

    connection: int
    address: str
    session: ServerSession
    node: Node | None = None
    cluster: Cluster | None = None


class Arbiter:
    def __init__(self, settings: Settings, past: Past = NO_PAST, say_time: SayTime = "{:.1f} s".format) -> None:
        """`say_time` makes a time of the arbiter's clock into one that a person reads: "12:03:07"."""
        self._settings = settings
        self._past = past
        self._say_time = say_time
        self._policy = _policy(settings)
        self._peers: dict[int, Peer] = {}
        self._clusters: dict[ClusterName, Cluster] = {}
        self._deadlines = Deadlines()
        self._effects: list[Effect] = []

    def step(self, event: Input, now: float) -> list[Effect]:
        """Effects in the order in which they are to be carried out."""
        match event:
            case Received(connection, data):
                self._receive(connection, data, now)
            case Connected(connection, address):
                self._connect(connection, address, now)
            case Secured(connection, names):
                self._secure(connection, names)
            case Disconnected(connection, _, reason):
                self._disconnect(connection, reason)
            case Persisted() | Release():
                pass
            case Elapsed():
                self._expire(now)
            case Stopping():
                self._stop()
            case _:
                assert_never(event)
        effects, self._effects = self._effects, []
        return effects

    def deadline(self) -> float | None:
        """When `Elapsed` has to come at the latest, if nothing else does before."""
        return self._deadlines.earliest()

    def reconfigure(self, settings: Settings) -> None:
        """For what happens from now on; connections keep the limits with which they began."""
        self._settings = settings
        self._policy = _policy(settings)

    def snapshot(self, now: float) -> Snapshot:
        policy_of = self._settings.policy_of
        return Snapshot(len(self._peers), tuple(cluster.snapshot(policy_of(name), now) for name, cluster in self._clusters.items()))

    def cluster_names(self) -> tuple[ClusterName, ...]:
        """In the order of the clusters' creation."""
        return tuple(self._clusters)

    def cluster_snapshot(self, name: ClusterName, now: float) -> ClusterSnapshot | None:
        cluster = self._clusters.get(name)
        return None if cluster is None else cluster.snapshot(self._settings.policy_of(name), now)

    def counts(self) -> tuple[int, int]:
        """Connections, and clusters."""
        return len(self._peers), len(self._clusters)

    # ---- connections come and go

    def _connect(self, connection: int, address: str, now: float) -> None:
        peer = Peer(connection, address, ServerSession(self._policy, now))
        self._peers[connection] = peer
        self._deadlines.schedule(connection, peer.session.deadline())
        self._note(Level.DEBUG, NoteKind.CONNECTED, "connected", peer)

    def _secure(self, connection: int, names: tuple[bytes, ...]) -> None:
        peer = self._peers.get(connection)
        if peer is not None:
            peer.session.secured(names)

    def _disconnect(self, connection: int, reason: str) -> None:
        peer = self._peers.pop(connection, None)
        if peer is None:
            return
        peer.session.close()
        self._deadlines.forget(connection)
        self._leave(peer, reason)

    def _close(self, peer: Peer, reason: str) -> None:
        self._effects.append(Close(peer.connection, reason))
        self._disconnect(peer.connection, reason)

    def _expire(self, now: float) -> None:
        for connection in self._deadlines.due(now):
            peer = self._peers[connection]
            deadline = peer.session.deadline()
            if deadline is not None and deadline <= now:
                self._close(peer, self._expiry_reason(peer, now))
            else:
                self._deadlines.schedule(connection, deadline)

    def _expiry_reason(self, peer: Peer, now: float) -> str:
        session = peer.session
        if session.stage is Stage.JOINED:
            return f"silent for {now - session.last_heard:.1f} s, heartbeat is {session.heartbeat_ms / 1000:g} s"
        during = "the TLS handshake" if session.security is Security.HANDSHAKE else "its introduction"
        return f"not done with {during} after {session.policy.limits.before_init_s:g} s"

    def _stop(self) -> None:
        """Connections end without a decision: those who are still there must not gain a vote because others went first."""
        for peer in self._peers.values():
            peer.session.close()
            self._effects.append(Close(peer.connection, "the server is stopping"))
            self._deadlines.forget(peer.connection)
        self._peers.clear()
        self._clusters.clear()

    # ---- bytes

    def _receive(self, connection: int, data: bytes, now: float) -> None:
        peer = self._peers.get(connection)
        if peer is None:
            return
        for output in peer.session.receive(data, now):
            match output:
                case Reply(reply):
                    self._effects.append(Send(connection, reply))
                case Asked(request):
                    self._serve(peer, request)
                case Joining(init):
                    self._join(peer, init, now)
                case BeginTls(early):
                    self._effects.append(StartTls(connection, early))
                case Refused(code, reason):
                    self._note(Level.INFO, NoteKind.PROTOCOL_ERROR, f"answered with error {code:d}: {reason}", peer)
                case End(reason):
                    self._close(peer, reason)
                case _:
                    assert_never(output)

    def _join(self, peer: Peer, init: Init, now: float) -> None:
        assert init.node_id is not None
        assert init.tie_breaker is not None
        assert init.ring_id is not None
        assert init.algorithm is not None
        code = self._admission(peer, init)
        if code is not ReplyCode.NO_ERROR:
            text = f"node {init.node_id} may not join: {code.name.lower().replace('_', ' ')}"
            self._note(Level.WARNING, NoteKind.REFUSED, text, peer)
            self._effects.append(Send(peer.connection, peer.session.refuse(init, code).data))
            return
        name = peer.session.cluster_name
        assert name is not None
        algorithm = Algorithm(init.algorithm)
        cluster = self._clusters.get(name)
        if cluster is None:
            cluster = self._clusters[name] = Cluster(name, algorithm, init.tie_breaker, self._tell)
        member = Member(init.node_id, init.ring_id, keep_active_partition=self._settings.keep_active_partition)
        node = Node(peer.connection, peer.address, init.node_id, algorithm, now, peer.session, member)
        cluster.add(node)
        peer.node, peer.cluster = node, cluster
        self._effects.append(Send(peer.connection, peer.session.accept(init).data))
        self._deadlines.schedule(peer.connection, peer.session.deadline())
        tls = "TLS" if peer.session.security is Security.SECURED else "no TLS"
        text = f"is connected with {algorithm.name.lower()}, heartbeat {init.heartbeat_ms} ms, {tls}"
        self._note(Level.INFO, NoteKind.JOINED, text, peer)

    def _admission(self, peer: Peer, init: Init) -> ReplyCode:
        assert init.node_id is not None
        assert init.tie_breaker is not None
        assert init.algorithm is not None
        assert peer.session.cluster_name is not None
        limits = self._settings.limits
        cluster = self._clusters.get(peer.session.cluster_name)
        if cluster is None:
            return ReplyCode.NO_ERROR if len(self._clusters) < limits.clusters else ReplyCode.INTERNAL_ERROR
        code = cluster.admits(init.node_id, init.algorithm, init.tie_breaker)
        if code is ReplyCode.NO_ERROR and len(cluster.nodes) >= limits.nodes_per_cluster:
            return ReplyCode.INTERNAL_ERROR
        return code

    # ---- what a joined node says

    def _serve(self, peer: Peer, request: Request) -> None:
        node, cluster = peer.node, peer.cluster
        assert node is not None
        assert cluster is not None
        try:
            match request:
                case NodeList():
                    self._node_list(peer, node, cluster, request)
                case VoteInfoReply():
                    assert request.sequence_number is not None
                    cluster.referee.vote_info_answered(node, request.sequence_number)
                case SetOption():
                    self._set_option(peer, node, request)
                case HeuristicsChange():
                    self._heuristics(peer, node, cluster, request)
                case AskForVote():
                    verdict = cluster.referee.asked(node)
                    self._answer(peer, node, verdict, AskForVoteReply(request.sequence_number, verdict.vote, node.ring_id))
                case _:
                    assert_never(request)
        except ProtocolError as error:
            self._note(Level.WARNING, NoteKind.PROTOCOL_ERROR, f"answered with error {error.code:d}: {error}", peer)
            self._send(peer.connection, ServerError(request.sequence_number, error.code))

    def _node_list(self, peer: Peer, node: Node, cluster: Cluster, message: NodeList) -> None:
        cluster.referee.check(node, message)
        assert message.list_type is not None
        match message.list_type:
            case NodeListType.INITIAL_CONFIG | NodeListType.CHANGED_CONFIG:
                node.take_config(message.nodes, message.config_version)
                verdict = cluster.referee.config_changed(node, initial=message.list_type is NodeListType.INITIAL_CONFIG)
            case NodeListType.MEMBERSHIP:
                assert message.ring_id is not None
                node.take_membership(message.nodes, message.ring_id, message.heuristics or Heuristics.UNDEFINED)
                ids = node.member.membership_list or frozenset()
                self._note(Level.INFO, NoteKind.CHANGED, f"reports {name_nodes(ids)} in ring {message.ring_id}", peer)
                verdict = cluster.referee.membership_changed(node)
            case NodeListType.QUORUM:
                verdict = cluster.referee.quorum_changed(node)
            case _:
                assert_never(message.list_type)
        self._answer(peer, node, verdict, NodeListReply(message.sequence_number, message.list_type, node.ring_id, verdict.vote))

    def _set_option(self, peer: Peer, node: Node, message: SetOption) -> None:
        if message.keep_active_partition is not None:
            node.take_keep_active_partition(message.keep_active_partition)
        self._deadlines.schedule(peer.connection, peer.session.deadline())
        self._send(peer.connection, SetOptionReply(message.sequence_number, message.heartbeat_ms, message.keep_active_partition))

    def _heuristics(self, peer: Peer, node: Node, cluster: Cluster, message: HeuristicsChange) -> None:
        assert message.heuristics is not None
        node.take_heuristics(message.heuristics)
        self._note(Level.INFO, NoteKind.CHANGED, f"reports that its heuristics {message.heuristics.name.lower()}", peer)
        verdict = cluster.referee.heuristics_changed(node)
        reply = HeuristicsChangeReply(message.sequence_number, verdict.vote, node.ring_id, message.heuristics)
        self._answer(peer, node, verdict, reply)

    def _leave(self, peer: Peer, reason: str) -> None:
        node, cluster = peer.node, peer.cluster
        if node is None or cluster is None:
            self._note(Level.DEBUG, NoteKind.LEFT, f"disconnected: {reason}", peer)
            return
        self._note(Level.INFO, NoteKind.LEFT, f"is gone: {reason}", peer)
        peer.node = peer.cluster = None
        del cluster.nodes[node.node_id]
        if cluster.nodes:
            cluster.referee.left(node)
        else:
            del self._clusters[cluster.name]

    # ---- what nodes are told

    def _tell(self, node: Node, verdict: Verdict) -> int:
        node.vote_info_number += 1
        self._note_vote(node, verdict)
        self._send(node.connection, VoteInfo(node.vote_info_number, verdict.vote, node.ring_id))
        return node.vote_info_number

    def _answer(self, peer: Peer, node: Node, verdict: Verdict, message: ServerMessage) -> None:
        self._note_vote(node, verdict)
        self._send(peer.connection, message)

    def _note_vote(self, node: Node, verdict: Verdict) -> None:
        """A vote that the node has already is worth a word only to who looks at each message."""
        news = verdict.vote is not Vote.NO_CHANGE and (node.told is None or node.told.vote is not verdict.vote)
        node.note_vote(verdict.vote, verdict.because)
        if news:
            peer = self._peers.get(node.connection)
            kind = NoteKind.VOTE_SENT if verdict.vote in (Vote.ACK, Vote.NACK) else NoteKind.WAITING
            level = Level.INFO if kind is NoteKind.VOTE_SENT else Level.DEBUG
            self._note(level, kind, f"{_VOTE_TEXT[verdict.vote]}: {verdict.because}", peer)

    def _send(self, connection: int, message: ServerMessage) -> None:
        self._effects.append(Send(connection, encode(message)))

    def _note(self, level: Level, kind: NoteKind, text: str, peer: Peer | None) -> None:
        if peer is None:
            self._effects.append(Note(level, kind, text))
            return
        node_id = peer.node.node_id if peer.node else None
        self._effects.append(Note(level, kind, text, peer.session.cluster_name, node_id, peer.connection, peer.address))


_VOTE_TEXT = {
    Vote.ACK: "vote",
    Vote.NACK: "no vote",
    Vote.ASK_LATER: "no decision yet",
    Vote.WAIT_FOR_REPLY: "waiting",
    Vote.NO_CHANGE: "no change",
}


def _policy(settings: Settings) -> Policy:
    return Policy(settings.tls, settings.client_certificate, settings.test_algorithm, settings.limits)
