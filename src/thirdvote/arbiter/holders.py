"""Who may still report quorum by a vote that was given: the holders of one cluster, and what is known of each.

A node becomes a holder before its ACK leaves, and stays one, connected or not, until it is released: by its own answer to a
NACK, by time (`releases`), or by the operator's word. A lost node stays on the list for as long as a change of its ring may
bring its old quorum back to life; that matters only once somebody else is to have the vote, and is looked at then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import inf

from thirdvote.arbiter.node import Node
from thirdvote.arbiter.record import ClusterRecord, HolderRecord
from thirdvote.arbiter.releases import Absence, Manner, Mates, Ring, RingChange, unheard
from thirdvote.domain import Algorithm, NodeId, RingId

TRAVEL_S = 0.5
"""For the way of a vote to a node, and of a report from it."""

CHANGES_MAX = 8
"""Changes of a lost node's ring that are kept one by one; of a link that flaps for long, the later ones are kept as one."""


@dataclass(slots=True)
class Holder:
    """`absence` is None while it is connected, and has reported its membership since. `members` is its ring as known last, None: not known;
    `left_out`: others, the `leavers`, have formed rings without it since. `changed_at`, `changes`, `unpolled_since` and `in_flight`
    are those of `Ring`. `refused_at`: when it answered a NACK for that ring; `unpublished_since`: when it reported that ring, until
    its Corosync has told it if it has quorum there.

    `ticket` is that of the record that first named it as one that is given the vote, `durable` whether that is on the disk. One that is
    `presumed` may report quorum, though it was not given a vote of which we know; as a bystander (`is_bystander`) it can not, but keep
    others from losing theirs. It is in no record once it is `negligible`.
    """

    node_id: NodeId
    heartbeat_ms: int
    absence: Absence | None = None
    ring_id: RingId | None = None
    members: frozenset[NodeId] | None = None
    left_out: bool = False
    left_by: RingId | None = None
    """The ring without it that was reported last."""
    leavers: frozenset[NodeId] = frozenset()
    changed_at: float | None = None
    changes: tuple[RingChange, ...] = ()
    polled_ring: RingId | None = None
    """For which it has answered a vote, and its members."""
    polled_members: frozenset[NodeId] | None = None
    unpolled_since: float | None = None
    in_flight: bool = False
    refused_at: float | None = None
    unpublished_since: float | None = None
    said_no: bool = False
    """It was the last that its Corosync told of that ring, that it has no quorum there."""
    acked_at: float | None = None
    uses_heuristics: bool = False
    ticket: int | None = None
    durable: bool = False
    granted_in: frozenset[NodeId] | None = None
    """Of one that is known from the ledger: the members of its ring when it was given the vote."""
    presumed: bool = False
    is_bystander: bool = False
    negligible: bool = False

    def ring_changed(self, now: float, earliest: float, certain: bool = True) -> None:
        """Others report so; the node itself is not heard."""
        self.changed_at = now
        if len(self.changes) == CHANGES_MAX:
            self.changes = (*self.changes[:-1], RingChange(now, -inf, certain or self.changes[-1].certain))
        else:
            self.changes = (*self.changes, RingChange(now, earliest, certain))

    def settled(self) -> None:
        """Its ring, as it is now, has been given the vote: what it reported before does not matter any more. A device that nobody polls
        for may be alive all the same, so `changes` stay.
        """
        if not self.left_out:
            self.changed_at = None


@dataclass(slots=True)
class Holders:
    """Of one cluster. `partition` is the membership list that was given the vote last. `anybody`: votes may have been given of which there
    is no record, and which nodes there are is not known yet; how they are lost, until they say something.
    """

    algorithm: Algorithm
    partition: frozenset[NodeId] = frozenset()
    by_node: dict[NodeId, Holder] = field(default_factory=dict)
    anybody: Absence | None = None
    _left_at: dict[NodeId, float] = field(default_factory=dict)
    _known_since: float = -inf
    """Before, anybody may have come and gone."""

    def __post_init__(self) -> None:
        if self.anybody is not None:
            self._known_since = self.anybody.at

    @classmethod
    def of_record(cls, record: ClusterRecord, started: float) -> Holders:
        """As they are after a restart: nobody has been heard since."""
        away = unheard(started)
        unattended = replace(away, manner=Manner.CLOSED)
        holders = {}
        for each in record.holders:
            absence = unattended if each.unattended else away
            holder = Holder(each.node_id, each.heartbeat_ms, absence, durable=not each.presumed, presumed=each.presumed)
            holder.granted_in = record.partition if each.node_id in record.partition else None
            holders[each.node_id] = holder
        return cls(record.algorithm, record.partition, holders, _known_since=started)

    def record(self) -> ClusterRecord | None:
        """None while there may be holders that it can not name: no record says that more than one that lacks them."""
        kept = [_record_of(holder) for _, holder in sorted(self.by_node.items()) if not holder.negligible]
        return ClusterRecord(self.algorithm, self.partition, tuple(kept)) if kept and self.anybody is None else None

    def presume(self, node_ids: Iterable[NodeId], heartbeat_ms: int, away: Absence) -> None:
        """These may hold a vote of which there is no record."""
        self.anybody = None
        for node_id in node_ids:
            self.by_node.setdefault(node_id, Holder(node_id, heartbeat_ms, away, presumed=True))

    def persisted(self, tickets: Collection[int], problem: str) -> None:
        """Who was to become a holder, and whose record was not written, has not been told; it may report quorum for its mates' votes."""
        for holder in self.by_node.values():
            if holder.ticket in tickets and not problem:
                holder.durable = True
            elif holder.ticket in tickets and not holder.durable:
                holder.presumed, holder.ticket = True, None

    def put_away(self) -> None:
        """Nobody is connected any more. Who ended by itself may report quorum for a moment at the most, which is not worth a record."""
        for holder in self.by_node.values():
            if holder.absence is not None and holder.absence.manner is Manner.ENDED:
                holder.presumed = holder.negligible = True
                holder.durable, holder.ticket = False, None

    def outside(self, members: Collection[NodeId]) -> list[Holder]:
        return [holder for node_id, holder in self.by_node.items() if node_id not in members]

    # ---- what is seen of them

    def went(self, node: Node, absence: Absence) -> None:
        self._left_at[node.node_id] = absence.at
        holder = self.by_node.get(node.node_id)
        if holder is not None:
            holder.absence = absence
        elif self.anybody is not None or (_keeps_others_waiting(node) and absence.manner is not Manner.ENDED):
            self._add_bystander(node, absence)

    def unheard(self, node: Node) -> None:
        """It is connected, and does not answer."""
        if node.node_id not in self.by_node and _keeps_others_waiting(node):
            self._add_bystander(node, None)

    def _add_bystander(self, node: Node, absence: Absence | None) -> None:
        members = node.member.membership_list
        self.by_node[node.node_id] = Holder(
            node.node_id, node.session.heartbeat_ms, absence, node.ring_id, members, presumed=True, is_bystander=True
        )

    def polled(self, node: Node, refused_at: float | None) -> None:
        """The node has answered a vote for the ring that it reported last, and has polled with it; `refused_at` if it was a NACK."""
        holder = self.by_node.get(node.node_id)
        if holder is not None:
            holder.polled_ring, holder.polled_members = node.ring_id, node.member.membership_list
            holder.ring_id, holder.members = node.ring_id, node.member.membership_list
            holder.unpolled_since, holder.refused_at = None, refused_at
            holder.in_flight &= refused_at is not None

    def reported(self, node: Node, nodes: Mapping[NodeId, Node], now: float, notice: float, *, is_first: bool) -> None:
        """The node's new membership: its own ring, that of others which it counts in, and the end of that of those which it does not.
        `nodes` are connected; `notice`: seconds from the loss of the token to a new ring; `is_first`: it is the first report of
        its connection.
        """
        members = node.member.membership_list
        assert members is not None
        others_noticed = self._noticed_by(node, now, notice) if is_first else now
        for holder in self.by_node.values():
            if holder.node_id == node.node_id:
                self._reported_itself(holder, node, members, now, notice)
            elif holder.node_id in members:
                if _is_newer(node.ring_id, holder.ring_id):
                    holder.ring_changed(now, -inf if is_first else node.speaks_since, not is_first or holder.ring_id is not None)
                    holder.ring_id, holder.members, holder.left_out, holder.leavers = node.ring_id, members, False, frozenset()
            elif _lost_ring(holder, node, is_first=is_first):
                leave_now = (members if holder.members is None else members & holder.members) - holder.leavers
                if leave_now or (is_first and _is_newer(node.ring_id, holder.left_by)):
                    earliest = -inf if is_first or node.node_id not in leave_now else node.speaks_since
                    holder.ring_changed(others_noticed, earliest, not is_first or _was_with(node, holder))
                    holder.left_out, holder.left_by, holder.refused_at = True, node.ring_id, None
                    holder.leavers |= members
        self._presume_mates(node, nodes, now)

    def _noticed_by(self, node: Node, now: float, notice: float) -> float:
        """When the others have noticed, at the latest, that they lost this node. If it was away for a moment only, as far as is known, its
        Corosync may have begun anew, and be in a ring of its own before the others know anything.
        """
        known = self.by_node.get(node.node_id)
        if known is not None and known.absence is None:
            return now
        left_at = self._left_at.get(node.node_id, self._known_since)
        return now if now >= left_at + notice + TRAVEL_S else now + notice

    def _reported_itself(self, holder: Holder, node: Node, members: frozenset[NodeId], now: float, notice: float) -> None:
        holder.uses_heuristics |= bool(node.heuristics_membership) or bool(node.heuristics_regular)
        holder.heartbeat_ms = max(holder.heartbeat_ms, node.session.heartbeat_ms)
        holder.absence, holder.changed_at, holder.changes, holder.is_bystander = None, None, (), False
        holder.left_out, holder.leavers = False, frozenset()
        holder.refused_at, holder.unpublished_since, holder.said_no = None, now, False
        if holder.polled_ring != node.ring_id:
            token_was_lost = holder.polled_members is None or not holder.polled_members <= members  # and not when rings come together
            holder.in_flight = token_was_lost and holder.acked_at is not None and now < holder.acked_at + notice + TRAVEL_S
            holder.unpolled_since = now
        if not _is_out_of_date(node.ring_id, holder):
            holder.ring_id, holder.members = node.ring_id, members

    def _presume_mates(self, node: Node, nodes: Mapping[NodeId, Node], now: float) -> None:
        """Who is in a ring with a node has quorum by it, vote or not. If it never comes to us, its daemon may have given up."""
        members = node.member.membership_list or frozenset()
        for node_id in members - self.by_node.keys():
            mate = nodes.get(node_id)
            speaks = mate is not None and mate.membership_list is not None
            away = None if speaks else Absence(Manner.GAVE_UP, now, now, now, alive=now)
            presumed = Holder(node_id, node.session.heartbeat_ms, away, node.ring_id, members, presumed=True)
            presumed.refused_at = mate.refused_at if mate is not None else None
            self.by_node[node_id] = presumed

    def ring(self, holder: Holder, nodes: Mapping[NodeId, Node], configured: frozenset[NodeId], away: frozenset[NodeId]) -> Ring:
        """`away`: configured nodes that are not heard. They may come together with it."""
        mates = (configured if holder.members is None else holder.members) - holder.leavers - {holder.node_id}
        watching = any(mate in nodes and nodes[mate].ring_id == holder.ring_id for mate in mates)
        strangers = Mates.STRANGERS if away - {holder.node_id} else Mates.NONE
        found = Mates.WATCHING if watching else Mates.AWAY if mates else strangers
        since = holder.unpolled_since
        given = since is not None and holder.acked_at is not None and holder.acked_at >= since
        return Ring(holder.changed_at, holder.changes, found, since, given, holder.unpublished_since, holder.in_flight)


def _keeps_others_waiting(node: Node) -> bool:
    """Without a vote of its own: Corosync on those with whom it comes together waits for its device, too."""
    return len(node.member.config_list or ()) > 2 and node.membership_list is not None and not node.given_up


def _record_of(holder: Holder) -> HolderRecord:
    unattended = holder.absence is not None and holder.absence.manner in (Manner.CLOSED, Manner.HANGS)
    return HolderRecord(holder.node_id, holder.heartbeat_ms, unattended, holder.presumed)


def _is_newer(ring_id: RingId, known: RingId | None) -> bool:
    return known is None or ring_id.sequence > known.sequence


def _was_with(node: Node, holder: Holder) -> bool:
    """In the ring in which the holder has the vote; so a report without it is of a change since then."""
    known = holder.members if holder.members is not None else holder.granted_in
    return known is not None and node.node_id in known


def _is_out_of_date(ring_id: RingId, holder: Holder) -> bool:
    """Others have reported a newer ring with it already: the report was held up, and its daemon may end before it comes to say more."""
    return holder.ring_id is not None and holder.ring_id.sequence > ring_id.sequence


def _lost_ring(holder: Holder, node: Node, *, is_first: bool) -> bool:
    """Whether this report, which leaves the holder out, means that its ring is gone: the node was in it, or may have been, as it may
    if both were away at the same time.
    """
    apart = holder.members is not None and node.node_id not in holder.members
    if apart and not (is_first and holder.absence is not None):
        return False
    return _is_newer(node.ring_id, holder.ring_id)
