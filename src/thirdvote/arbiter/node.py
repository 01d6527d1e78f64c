"""One node that has joined: what it reported, and what it was told."""

from __future__ import annotations

from dataclasses import dataclass, replace

from thirdvote.decide.view import Member, Verdict
from thirdvote.domain import Algorithm, Heuristics, NodeId, NodeInfo, RingId, Vote
from thirdvote.session.server import ServerSession
from thirdvote.wire.messages import EchoRequest


@dataclass(slots=True)
class Node:
    """`member` is what decisions see of it; the lists here keep the order, the repetitions and the data centers of the wire."""

    connection: int
    address: str
    node_id: NodeId
    algorithm: Algorithm
    joined_at: float
    session: ServerSession
    member: Member
    config_list: tuple[NodeInfo, ...] | None = None
    config_version: int | None = None
    membership_list: tuple[NodeInfo, ...] | None = None
    heuristics_membership: Heuristics = Heuristics.UNDEFINED
    heuristics_regular: Heuristics = Heuristics.UNDEFINED
    last_vote: Vote | None = None
    last_ack_or_nack: Vote | None = None
    told: Verdict | None = None
    """What the node goes by: the last vote that was not NO_CHANGE, and why."""
    vote_info_number: int = 0

    answer_in_doubt: bool = False
    """The answer to its last echo is not known to have been heard."""
    answered_at: float = 0.0
    echoed_at: float = 0.0
    """When the last echo came that was answered, and the last one at all; at first, when the node joined."""
    ticked_at: float = 0.0
    """When the last echo left the node, at the earliest: echoes can be held up on their way, but its ticks are a heartbeat apart."""
    waiting_echo: EchoRequest | None = None
    echo_due: float | None = None
    """An echo that is not answered yet; with no time for it while the node is not to be answered at all."""
    round_trip: float | None = None
    """Of its latest VOTE_INFO, in seconds."""
    asked_at: float | None = None
    """Since when a VOTE_INFO is unanswered."""
    behind_since: float | None = None
    """When others reported a newer ring of which it knows nothing yet."""
    answered_probe: bool = False
    """It has answered since it was behind, so it is there."""
    needs_vote: bool = False
    """It has reported a membership, and casts nothing until it hears of it."""
    reported: bool = False
    """It has reported a membership on this connection."""
    vote_number: int | None = None
    """Of the last VOTE_INFO with ACK or NACK for the membership that it reported last."""
    refused_at: float | None = None
    """When it answered a NACK for the membership that it reported last."""
    had_ack: bool = False
    """One of them was an ACK."""
    answered_since: float = 0.0
    """When the last VOTE_INFO left for it that it has answered: what it says now, it says since then."""
    sent_at: float | None = None
    """When the last VOTE_INFO left for it."""
    looking: bool = False
    """Whether its kernel has acknowledged what it was asked; `looking_back`: what was sent before it was asked."""
    looking_back: bool = False
    inspected_at: float | None = None
    acknowledged: bool = False
    """Its kernel had acknowledged everything that was sent to it when that was looked at last."""
    quorate: bool | None = None
    """What its Corosync says since then, None: nothing yet."""
    probed_at: float | None = None
    given_up: bool = False
    """It is silent for so long that it must have given up its connection."""
    held_back: str = ""
    """Why a vote that is decided has not been sent to it."""
    errors_sent: int = 0
    claimed_by: int | None = None
    """Another connection that says to be this node."""

    @property
    def ring_id(self) -> RingId:
        return self.member.ring_id

    @property
    def speaks_since(self) -> float:
        """What it says now left it after that, however late it is read."""
        return max(self.ticked_at, self.answered_since)

    @property
    def has_vote(self) -> bool:
        return self.told is not None and self.told.vote is Vote.ACK

    def take_config(self, nodes: tuple[NodeInfo, ...], version: int | None) -> None:
        self.config_list, self.config_version = nodes, version
        self.member = replace(self.member, config_list=frozenset(node.node_id for node in nodes))

    def take_membership(self, nodes: tuple[NodeInfo, ...], ring_id: RingId, heuristics: Heuristics) -> None:
        self.membership_list, self.heuristics_membership = nodes, heuristics
        ids = frozenset(node.node_id for node in nodes)
        self.member = replace(self.member, membership_list=ids, ring_id=ring_id, heuristics=heuristics)

    def take_heuristics(self, heuristics: Heuristics) -> None:
        self.heuristics_regular = heuristics
        self.member = replace(self.member, heuristics=heuristics)

    def take_keep_active_partition(self, on: bool) -> None:
        self.member = replace(self.member, keep_active_partition=on)

    def take_echo(self, message: EchoRequest, now: float) -> None:
        """A clock that is slow by less than a thousandth moves `ticked_at` along."""
        heartbeat = self.session.heartbeat_ms / 1000
        self.waiting_echo, self.echoed_at = message, now
        self.ticked_at = min(now, self.ticked_at + 1.001 * heartbeat)

    def note_vote(self, vote: Vote, because: str) -> None:
        """Remember a vote that goes out to this node, in a reply or in a VOTE_INFO."""
        self.last_vote = vote
        if vote in (Vote.ACK, Vote.NACK):
            self.last_ack_or_nack = vote
        if vote is not Vote.NO_CHANGE:
            self.told = Verdict(vote, because)
