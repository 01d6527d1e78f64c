"""All clusters in one pure machine: what happened goes in, what has to be done comes out.

    effects = arbiter.step(Received(connection, data), now)

A connection's bytes go to its session; what the session can not answer alone comes here, is taken into the cluster, and
then the cluster's referee is asked, so that every decision is made on the cluster as it is with the message in it. The
sender's reply follows whatever its message made others hear. Nothing is looked at but the cluster that the message is
of, so the cost of a step does not grow with the number of clusters.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import assert_never

from thirdvote.arbiter.cluster import Cluster, SayTime
from thirdvote.arbiter.deadlines import Deadlines
from thirdvote.arbiter.granting import GrantingReferee
from thirdvote.arbiter.holders import Holders
from thirdvote.arbiter.interface import (
    Close,
    Connected,
    Disconnected,
    Effect,
    Elapsed,
    Ending,
    Input,
    Inspected,
    Level,
    Note,
    NoteKind,
    Persisted,
    Received,
    Reconfigure,
    Release,
    Secured,
    Send,
    StartTls,
    Stopping,
)
from thirdvote.arbiter.late_answers import late_slack
from thirdvote.arbiter.node import Node
from thirdvote.arbiter.outbox import Outbox
from thirdvote.arbiter.peer import Claim, Peer, absence_of, claim_due, given_up_at, next_deadline
from thirdvote.arbiter.presence import overdue_at
from thirdvote.arbiter.record import Past
from thirdvote.arbiter.releases import Absence, Manner, unheard
from thirdvote.arbiter.snapshot import ClusterSnapshot, Snapshot
from thirdvote.config import Settings
from thirdvote.decide.view import Member
from thirdvote.decide.wording import name_nodes
from thirdvote.domain import Algorithm, ClusterName, Heuristics, NodeId, NodeListType, RingId
from thirdvote.errors import ProtocolError, ReplyCode
from thirdvote.session.server import Asked, BeginTls, End, Joining, Policy, Refused, Reply, Request, Security, ServerSession, Stage
from thirdvote.wire.messages import (
    AskForVote,
    AskForVoteReply,
    EchoRequest,
    HeuristicsChange,
    HeuristicsChangeReply,
    Init,
    NodeList,
    NodeListReply,
    ServerError,
    SetOption,
    SetOptionReply,
    VoteInfoReply,
)

NO_PAST = Past(0.0)

NO_RING_ID = RingId(NodeId(0), 0)

LATE_AGAIN_S = 60.0
"""No echo is answered late for that long after one was answered later than it should have been: the machine is busy."""

TOO_LATE_SHARE = 0.25
"""Of the slack of a late answer, that it may leave later than it should."""


class Arbiter:
    def __init__(self, settings: Settings, past: Past = NO_PAST, say_time: SayTime = "{:.1f} s".format) -> None:
        """`say_time` makes a time of the arbiter's clock into one that a person reads: "12:03:07"."""
        self._settings = settings
        self._policy = _policy(settings)
        self._say_time = say_time
        self._peers: dict[int, Peer] = {}
        self._clusters: dict[ClusterName, Cluster] = {}
        self._remembered = {name: Holders.of_record(record, past.started) for name, record in past.records.items()}
        """Of clusters of which no node is connected."""
        self._unknown = None if past.complete else unheard(past.started)
        """How the nodes are lost of a cluster of which nothing is remembered, though it may have votes; None: it has no holders."""
        self._deadlines: Deadlines[int] = Deadlines()
        self._cluster_deadlines: Deadlines[ClusterName] = Deadlines()
        self._outbox = Outbox()
        self._in_time_from = past.started
        """Until then no echo is answered late."""

    def step(self, event: Input, now: float) -> list[Effect]:
        """Effects in the order in which they are to be carried out."""
        match event:
            case Received(connection, data):
                self._receive(connection, data, now)
            case Connected(connection, address):
                self._connect(connection, address, now)
            case Secured(connection, names):
                self._secure(connection, names)
            case Disconnected(connection, ending, reason, delivered):
                self._disconnect(connection, ending, reason, delivered, now)
            case Persisted(tickets, problem):
                self._persisted(tickets, problem, now)
            case Inspected(connection, acknowledged):
                self._inspected(connection, acknowledged, now)
            case Release(name, node_ids):
                self._release(name, node_ids, now)
            case Reconfigure(settings):
                self._reconfigure(settings, now)
            case Elapsed():
                self._expire(now)
            case Stopping():
                self._stop()
            case _:
                assert_never(event)
        return self._outbox.take()

    def deadline(self) -> float | None:
        """When `Elapsed` has to come at the latest, if nothing else does before."""
        times = [time for time in (self._deadlines.earliest(), self._cluster_deadlines.earliest()) if time is not None]
        return min(times, default=None)

    def snapshot(self, now: float) -> Snapshot:
        limits = self._settings.limits
        return Snapshot(len(self._peers), tuple(cluster.snapshot(limits, now) for cluster in self._clusters.values()))

    def cluster_names(self) -> tuple[ClusterName, ...]:
        """In the order of the clusters' creation."""
        return tuple(self._clusters)

    def cluster_snapshot(self, name: ClusterName, now: float) -> ClusterSnapshot | None:
        cluster = self._clusters.get(name)
        return None if cluster is None else cluster.snapshot(self._settings.limits, now)

    def remembered(self, name: ClusterName) -> tuple[NodeId, ...]:
        """Nodes that may hold the vote of a cluster of which none is connected."""
        holders = self._remembered.get(name)
        return () if holders is None else tuple(sorted(node_id for node_id, each in holders.by_node.items() if not each.presumed))

    def counts(self) -> tuple[int, int]:
        """Connections, and clusters."""
        return len(self._peers), len(self._clusters)

    def _reconfigure(self, settings: Settings, now: float) -> None:
        self._settings = settings
        self._policy = _policy(settings)
        for name, cluster in tuple(self._clusters.items()):
            if cluster.policy != settings.policy_of(name):
                cluster.set_policy(settings.policy_of(name), now)
                self._after(cluster, now)

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

    def _disconnect(self, connection: int, ending: Ending, reason: str, delivered: bool, now: float) -> None:
        peer = self._peers.pop(connection, None)
        if peer is None:
            return
        absence = absence_of(peer.node, ending, delivered, now) if peer.node is not None else None
        peer.session.close()
        self._deadlines.forget(connection)
        self._leave(peer, reason, absence, now)

    def _close(self, peer: Peer, reason: str, now: float) -> None:
        self._outbox.effects.append(Close(peer.connection, reason))
        self._disconnect(peer.connection, Ending.LOST, reason, False, now)

    def _expire(self, now: float) -> None:
        for connection in self._deadlines.due(now):
            peer = self._peers[connection]
            self._expire_peer(peer, now)
            if connection in self._peers:
                self._deadlines.schedule(connection, next_deadline(peer))
        for name in self._cluster_deadlines.due(now):
            cluster = self._clusters.get(name)
            if cluster is not None and cluster.granting is not None:
                cluster.at(now)
                cluster.granting.elapsed()
                self._after(cluster, now)

    def _expire_peer(self, peer: Peer, now: float) -> None:
        node = peer.node
        if node is not None and node.echo_due is not None and node.echo_due <= now:
            if now - node.echo_due > TOO_LATE_SHARE * late_slack(node.session.heartbeat_ms / 1000):
                self._in_time_from = now + LATE_AGAIN_S
            self._outbox.answer_echo(node)
        if node is not None and peer.cluster is not None and peer.cluster.granting is not None:
            overdue = overdue_at(node)
            if overdue is not None and overdue <= now:
                peer.cluster.at(now)
                peer.cluster.granting.overdue(node)
                self._after(peer.cluster, now)
        if peer.claim is not None and claim_due(peer.claim) <= now:
            self._settle_claim(peer, peer.claim, now)
        deadline = given_up_at(peer)
        if deadline is not None and deadline <= now:
            self._close(peer, self._expiry_reason(peer, now), now)

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
            self._outbox.effects.append(Close(peer.connection, "the server is stopping"))
            self._deadlines.forget(peer.connection)
        for name in self._clusters:
            self._cluster_deadlines.forget(name)
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
                    self._outbox.effects.append(Send(connection, reply))
                case Asked(request):
                    self._serve(peer, request, now)
                case Joining(init):
                    self._join(peer, init, now)
                case BeginTls(early):
                    self._outbox.effects.append(StartTls(connection, early))
                case Refused(code, reason):
                    if peer.node is not None:
                        peer.node.errors_sent += 1
                    self._note(Level.INFO, NoteKind.PROTOCOL_ERROR, f"answered with error {code:d}: {reason}", peer)
                case End(reason):
                    self._close(peer, reason, now)
                case _:
                    assert_never(output)

    def _join(self, peer: Peer, init: Init, now: float) -> None:
        assert init.node_id is not None
        code = self._admission(peer, init)
        if code is ReplyCode.DUPLICATE_NODE_ID and self._claims(peer, init, now):
            return
        if code is not ReplyCode.NO_ERROR:
            text = f"node {init.node_id} may not join: {code.name.lower().replace('_', ' ')}"
            self._note(Level.WARNING, NoteKind.REFUSED, text, peer)
            self._outbox.effects.append(Send(peer.connection, peer.session.refuse(init, code).data))
            return
        cluster = self._cluster_for(peer, init)
        algorithm = cluster.algorithm
        member = Member(init.node_id, init.ring_id or NO_RING_ID, keep_active_partition=self._settings.keep_active_partition)
        node = Node(peer.connection, peer.address, init.node_id, algorithm, now, peer.session, member)
        node.answered_at = node.echoed_at = node.ticked_at = now
        cluster.at(now)
        cluster.add(node)
        peer.node, peer.cluster = node, cluster
        self._outbox.effects.append(Send(peer.connection, peer.session.accept(init).data))
        self._deadlines.schedule(peer.connection, next_deadline(peer))
        tls = "TLS" if peer.session.security is Security.SECURED else "no TLS"
        text = f"is connected with {algorithm.name.lower()}, heartbeat {init.heartbeat_ms} ms, {tls}"
        self._note(Level.INFO, NoteKind.JOINED, text, peer)

    def _cluster_for(self, peer: Peer, init: Init) -> Cluster:
        """The one that the node joins, made of what is remembered if it is the first."""
        name = peer.session.cluster_name
        assert name is not None
        assert init.tie_breaker is not None
        assert init.algorithm is not None
        cluster = self._clusters.get(name)
        if cluster is None:
            algorithm = Algorithm(init.algorithm)
            known = self._remembered.pop(name, None)
            holders = Holders(algorithm, anybody=self._unknown) if known is None else known
            policy = self._settings.policy_of(name)
            cluster = self._clusters[name] = Cluster(name, algorithm, init.tie_breaker, holders, policy, self._outbox, self._say_time)
        return cluster

    # ---- a node that is connected twice

    def _claims(self, peer: Peer, init: Init, now: float) -> bool:
        """Whether it has to be found out first if the one that is connected is still there; it is asked, and one claim at a time waits."""
        assert peer.session.cluster_name is not None
        assert init.node_id is not None
        cluster = self._clusters[peer.session.cluster_name]
        node = cluster.nodes[init.node_id]
        if cluster.granting is None or node.claimed_by is not None:
            return False
        cluster.at(now)
        if not cluster.granting.presence.ask(node):
            return False
        node.claimed_by = peer.connection
        peer.claim = Claim(init, node)
        peer.session.defer()
        self._deadlines.schedule(peer.connection, next_deadline(peer))
        return True

    def _settle_claim(self, peer: Peer, claim: Claim, now: float) -> None:
        """The time for an answer of the node that is connected is over; when it is gone, `peer` joins."""
        other = self._peers.get(claim.node.connection)
        if other is not None and other.node is claim.node:
            self._close(other, "it does not answer, and the node has connected anew", now)
        else:
            peer.claim = None
            self._join(peer, claim.init, now)

    def _answered(self, node: Node, now: float) -> None:
        """The node is there: who else says to be it is refused."""
        peer = self._peers.get(node.claimed_by) if node.claimed_by is not None else None
        node.claimed_by = None
        if peer is not None and peer.claim is not None:
            init, peer.claim = peer.claim.init, None
            self._note(Level.WARNING, NoteKind.REFUSED, f"node {node.node_id} may not join: it is connected already, and answers", peer)
            self._outbox.effects.append(Send(peer.connection, peer.session.refuse(init, ReplyCode.DUPLICATE_NODE_ID).data))

    def _claim_free(self, node: Node, now: float) -> None:
        """The node is gone: who has claimed to be it joins."""
        peer = self._peers.get(node.claimed_by) if node.claimed_by is not None else None
        if peer is not None and peer.claim is not None:
            init, peer.claim = peer.claim.init, None
            self._join(peer, init, now)

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

    def _serve(self, peer: Peer, request: Request, now: float) -> None:
        node, cluster = peer.node, peer.cluster
        assert node is not None
        assert cluster is not None
        cluster.at(now)
        if isinstance(request, EchoRequest):
            self._echo(node, cluster, request, now)
            return
        try:
            match request:
                case NodeList():
                    self._node_list(peer, node, cluster, request)
                case VoteInfoReply():
                    assert request.sequence_number is not None
                    cluster.referee.vote_info_answered(node, request.sequence_number)
                    self._answered(node, now)
                case SetOption():
                    self._set_option(peer, node, request)
                case HeuristicsChange():
                    self._heuristics(peer, node, cluster, request)
                case AskForVote():
                    verdict = cluster.referee.asked(node)
                    self._outbox.answer(node, verdict, AskForVoteReply(request.sequence_number, verdict.vote, node.ring_id))
                case _:
                    assert_never(request)
        except ProtocolError as error:
            node.errors_sent += 1
            self._note(Level.WARNING, NoteKind.PROTOCOL_ERROR, f"answered with error {error.code:d}: {error}", peer)
            self._outbox.send(peer.connection, ServerError(request.sequence_number, error.code))
        self._after(cluster, now)

    def _echo(self, node: Node, cluster: Cluster, message: EchoRequest, now: float) -> None:
        self._outbox.answer_echo(node)  # one that still waits, of a node that does not wait for answers
        node.take_echo(message, now)
        late_by = 0.0 if cluster.granting is None else cluster.granting.late_by(node)
        if late_by is None:
            return
        due = node.ticked_at + late_by
        if due <= now or now < self._in_time_from:
            self._outbox.answer_echo(node)
        else:
            node.echo_due = due
            self._deadlines.schedule(node.connection, node.echo_due)

    def _after(self, cluster: Cluster, now: float) -> None:
        """What a change of the cluster leaves to be done: nodes that have given up, and the time of the next look."""
        granting = cluster.granting
        if granting is None:
            return
        given_up = [node for node in cluster.nodes.values() if node.given_up]
        if given_up:
            self._end_given_up(cluster, granting, given_up, now)
        if cluster.nodes:
            self._cluster_deadlines.schedule(cluster.name, granting.deadline())

    def _end_given_up(self, cluster: Cluster, granting: GrantingReferee, nodes: list[Node], now: float) -> None:
        """All of them, and then one look at what that means."""
        reason = "silent for so long that it has given up its connection"
        lost = []
        for node in nodes:
            peer = self._peers.pop(node.connection)
            lost.append((node, absence_of(node, Ending.LOST, False, now)))
            peer.session.close()
            self._deadlines.forget(peer.connection)
            self._outbox.effects.append(Close(peer.connection, reason))
            self._note(Level.INFO, NoteKind.LEFT, f"is gone: {reason}", peer)
            peer.node = peer.cluster = None
            del cluster.nodes[node.node_id]
        granting.lost(lost)
        if not cluster.nodes:
            self._put_away(cluster, now)
        for node in nodes:
            self._claim_free(node, now)

    def _inspected(self, connection: int, acknowledged: bool, now: float) -> None:
        peer = self._peers.get(connection)
        if peer is not None and peer.node is not None and peer.cluster is not None and peer.cluster.granting is not None:
            peer.cluster.at(now)
            peer.cluster.granting.inspected(peer.node, acknowledged=acknowledged)
            self._after(peer.cluster, now)

    def _node_list(self, peer: Peer, node: Node, cluster: Cluster, message: NodeList) -> None:
        cluster.referee.check(node, message)
        assert message.list_type is not None
        match message.list_type:
            case NodeListType.INITIAL_CONFIG | NodeListType.CHANGED_CONFIG:
                node.take_config(message.nodes, message.config_version)
                cluster.config_known()
                verdict = cluster.referee.config_changed(node, initial=message.list_type is NodeListType.INITIAL_CONFIG)
            case NodeListType.MEMBERSHIP:
                assert message.ring_id is not None
                node.take_membership(message.nodes, message.ring_id, message.heuristics or Heuristics.UNDEFINED)
                ids = node.member.membership_list or frozenset()
                self._note(Level.INFO, NoteKind.CHANGED, f"reports {name_nodes(ids)} in ring {message.ring_id}", peer)
                verdict = cluster.referee.membership_changed(node)
            case NodeListType.QUORUM:
                node.quorate = message.quorate
                verdict = cluster.referee.quorum_changed(node)
            case _:
                assert_never(message.list_type)
        self._outbox.answer(node, verdict, NodeListReply(message.sequence_number, message.list_type, node.ring_id, verdict.vote))

    def _set_option(self, peer: Peer, node: Node, message: SetOption) -> None:
        if message.keep_active_partition is not None:
            node.take_keep_active_partition(message.keep_active_partition)
        self._deadlines.schedule(peer.connection, peer.session.deadline())
        self._outbox.send(peer.connection, SetOptionReply(message.sequence_number, message.heartbeat_ms, message.keep_active_partition))

    def _heuristics(self, peer: Peer, node: Node, cluster: Cluster, message: HeuristicsChange) -> None:
        assert message.heuristics is not None
        node.take_heuristics(message.heuristics)
        self._note(Level.INFO, NoteKind.CHANGED, f"reports that its heuristics {message.heuristics.name.lower()}", peer)
        verdict = cluster.referee.heuristics_changed(node)
        reply = HeuristicsChangeReply(message.sequence_number, verdict.vote, node.ring_id, message.heuristics)
        self._outbox.answer(node, verdict, reply)

    def _leave(self, peer: Peer, reason: str, absence: Absence | None, now: float) -> None:
        node, cluster = peer.node, peer.cluster
        if peer.claim is not None:
            peer.claim.node.claimed_by, peer.claim = None, None
        if node is None or cluster is None or absence is None:
            self._note(Level.DEBUG, NoteKind.LEFT, f"disconnected: {reason}", peer)
            return
        self._note(Level.INFO, NoteKind.LEFT, f"is gone: {reason}", peer)
        peer.node = peer.cluster = None
        del cluster.nodes[node.node_id]
        cluster.at(now)
        if cluster.nodes or cluster.granting is not None:
            cluster.referee.left(node, absence)
            self._after(cluster, now)
        if not cluster.nodes and self._clusters.get(cluster.name) is cluster:
            self._put_away(cluster, now)
        self._claim_free(node, now)

    def _put_away(self, cluster: Cluster, now: float) -> None:
        """The last node is gone; who may still hold the vote is remembered."""
        del self._clusters[cluster.name]
        self._cluster_deadlines.forget(cluster.name)
        granting = cluster.granting
        if granting is None:
            return
        holders = granting.holders
        before = holders.record()
        holders.put_away()
        if holders.record() != before:
            self._outbox.persist(cluster.name, holders.record())
        if holders.by_node:
            self._remember(cluster.name, holders, now)

    def _remember(self, name: ClusterName, holders: Holders, now: float) -> None:
        """As many as there may be clusters. What is forgotten (its record stays) is unknown from then on: as if its daemons had been
        killed, which is waited for longest.
        """
        self._remembered[name] = holders
        while len(self._remembered) > self._settings.limits.clusters:
            del self._remembered[next(iter(self._remembered))]
            self._unknown = unheard(now, Manner.HANGS)

    # ---- the ledger, and the operator

    def _persisted(self, tickets: Collection[int], problem: str, now: float) -> None:
        by_cluster: dict[ClusterName, list[int]] = {}
        for ticket in tickets:
            name = self._outbox.clusters_of_tickets.pop(ticket, None)
            if name is not None:
                by_cluster.setdefault(name, []).append(ticket)
        for name, own in by_cluster.items():
            cluster = self._clusters.get(name)
            if cluster is not None and cluster.granting is not None:
                cluster.at(now)
                cluster.granting.persisted(own, problem)
                self._after(cluster, now)
            elif name in self._remembered:
                self._remembered[name].persisted(own, problem)

    def _release(self, name: ClusterName, node_ids: frozenset[NodeId], now: float) -> None:
        cluster = self._clusters.get(name)
        if cluster is not None and cluster.granting is not None:
            cluster.at(now)
            cluster.granting.release(node_ids)
            self._after(cluster, now)
            return
        holders = self._remembered.get(name)
        if holders is None:
            return
        for node_id in node_ids & holders.by_node.keys():
            del holders.by_node[node_id]
            text = "counts as released: it counts as off, on the operator's word"
            self._outbox.note_cluster(Level.INFO, NoteKind.RELEASED, text, name, node_id)
        self._outbox.persist(name, holders.record())
        if not holders.by_node:
            del self._remembered[name]

    def _note(self, level: Level, kind: NoteKind, text: str, peer: Peer) -> None:
        node_id = peer.node.node_id if peer.node else None
        self._outbox.effects.append(Note(level, kind, text, peer.session.cluster_name, node_id, peer.connection, peer.address))


def _policy(settings: Settings) -> Policy:
    return Policy(settings.tls, settings.client_certificate, settings.test_algorithm, settings.limits)
