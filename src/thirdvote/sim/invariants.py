"""What must hold in every simulated world, and the first moment at which it does not.

OVERLAP   under `safe`, no node reports quorum in a ring without another node that still reports it, for longer than 0.1 s
LIVENESS  a cluster that is whole again, with its arbitrator, gets all its votes back
WAIT      a partition that can have the vote, and stands still, does not wait for it longer than the policy says
LEDGER    at the moment at which a vote leaves, the disk has the record that names its node as a holder
HEALTHY   no node of a whole cluster loses quorum by faults of the arbitrator alone

Overlap is excused in four cases, and in no others. Nobody polls for a new ring, because the daemon of one of its members hangs, or did
since the ring was formed, or was killed, and the arbitrator could not know, because it and the host did not hear each other, or because
it was started again; or such a daemon goes on, and has not noticed yet. A partition has quorum by its nodes' votes alone, so no vote was
given. A node heard another that did not hear it, so that its ring changed a token later, and the settings do not tell the token. Corosync
itself is behind: a vote that was first cast while the ring was breaking is told in the new ring, after the daemon has taken it back, and
stands for two steps of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from thirdvote.domain import Algorithm, ClusterName, Handover, NodeId, Vote
from thirdvote.sim.corosync import NOTHING, Report, quorum_of
from thirdvote.sim.disk import Disk
from thirdvote.sim.schedule import (
    ARBITRATOR,
    Delay,
    Fault,
    HangDaemon,
    KillCorosync,
    KillDaemon,
    OneWayLoss,
    PowerOn,
    Schedule,
    Setup,
    Split,
    StopDaemon,
    is_of_the_arbitrator,
)
from thirdvote.wire.codec import HEADER, decode
from thirdvote.wire.messages import AskForVoteReply, HeuristicsChangeReply, MessageType, NodeListReply, OptionType, VoteInfo

OVERLAP_S_MAX = 0.1
"""What is below it can not be told from none by a real node's services."""


UNKNOWN_TOKEN_S = 1.8
"""The arbitrator reckons with a token timeout of 3 s, and 0.65 s for each node above two: a fifth of it, twice."""


class Invariant(StrEnum):
    OVERLAP = "overlap"
    LIVENESS = "liveness"
    WAIT = "wait"
    LEDGER = "ledger"
    HEALTHY = "healthy"
    PROGRAM = "program"
    """Not an invariant: the arbiter itself failed."""


@dataclass(frozen=True, slots=True)
class Failure:
    invariant: Invariant
    at: float
    step: int
    text: str


@dataclass(frozen=True, slots=True)
class HandOver:
    """A partition of the cluster got quorum, `seconds` after the last `fault` before it."""

    fault: str
    seconds: float


@dataclass(slots=True)
class Measures:
    overlap_s: float = 0.0
    excused_overlap_s: float = 0.0
    wait_s: float = 0.0
    whole_again_s: float | None = None
    hand_overs: list[HandOver] = field(default_factory=list)


def liveness_s(setup: Setup) -> float:
    """From the repair to all votes: daemons connect again (they sleep, then wait for their connect timer), and the last ring that
    somebody still waits in is over.
    """
    return setup.sync_timeout_s + 4 * setup.heartbeat_s + 2 * setup.poll_s + 5 * setup.token_s + 5.0


def wait_s(schedule: Schedule) -> float:
    """The longest wait of a partition that can have the vote, from the last fault, or from when all its nodes are connected.

    H + T for a holder that hangs or is silent; a sleep and a poll for one that gave up before its ring changed, which heuristics keep
    from polling for half of ST at most; ST for one whose daemon was killed or hangs, or that goes on casting,
    and once more where its ring may have changed again meanwhile. One that the arbitrator stops hearing just after it was asked looks as
    if it hung. And where several nodes are lost together, or who comes back may have been started anew, others may notice later.
    """
    setup = schedule.setup
    was_killed = not setup.tls or any(_looks_killed(fault) for fault in schedule.faults)
    steady = setup.heartbeat_s + setup.timeout_s + 1.9 * setup.poll_s + (setup.sync_timeout_s / 2 if setup.heuristics_s else 0.0)
    frozen = 2 * setup.sync_timeout_s if was_killed or not setup.gives_up_its_vote else 0.0
    in_doubt = setup.nodes > 2 or any(_leaves_in_doubt(fault) for fault in schedule.faults)
    unseen = _notice_s(setup) + setup.poll_s if in_doubt else 0.0
    return max(steady, frozen) + unseen + UNKNOWN_TOKEN_S + 2 * setup.token_s + 1.0


def _looks_killed(fault: Fault) -> bool:
    return isinstance(fault, KillDaemon | KillCorosync | HangDaemon) or (isinstance(fault, OneWayLoss) and fault.target == ARBITRATOR)


def _leaves_in_doubt(fault: Fault) -> bool:
    """A node may lose its connection to the arbitrator by it, and come back."""
    match fault:
        case OneWayLoss():
            return ARBITRATOR in (fault.source, fault.target)
        case Split():
            return any(ARBITRATOR in side for side in fault.sides)
        case PowerOn() | StopDaemon() | KillDaemon() | KillCorosync() | Delay():
            return True
        case _:
            return is_of_the_arbitrator(fault)


def _notice_s(setup: Setup) -> float:
    """From the loss of a token to the quorum in a new ring, as long as the arbitrator has to believe that it takes."""
    token_s = setup.token_s if setup.tells_token else 3.0 + 0.65 * (setup.nodes - 2)
    return 2.6 * token_s


class Votes:
    """Which messages carry a vote that a node may cast."""

    CARRIERS = frozenset(
        map(
            int,
            (
                MessageType.NODE_LIST_REPLY,
                MessageType.ASK_FOR_VOTE_REPLY,
                MessageType.VOTE_INFO,
                MessageType.HEURISTICS_CHANGE_REPLY,
            ),
        )
    )

    ACK = bytes((0, OptionType.VOTE, 0, 1, Vote.ACK))
    """The option as it is on the wire: what has it nowhere need not be read."""

    @classmethod
    def gives(cls, data: bytes) -> bool:
        """`data` is a message, or several."""
        while data and cls.ACK in data:
            number, length = HEADER.unpack_from(data)
            body, data = data[HEADER.size : HEADER.size + length], data[HEADER.size + length :]
            if number in cls.CARRIERS:
                message = decode(MessageType(number), body)
                assert isinstance(message, NodeListReply | AskForVoteReply | VoteInfo | HeuristicsChangeReply)
                if message.vote is Vote.ACK:
                    return True
        return False


def is_in_ledger(disk: Disk, cluster: ClusterName, node: int) -> bool:
    record = disk.records.get(cluster)
    return record is not None and any(holder.node_id == NodeId(node) for holder in record.holders)


def keeps_a_ledger(setup: Setup) -> bool:
    return setup.handover is not Handover.STOCK and setup.algorithm is not Algorithm.TEST


def overlapping(reports: Mapping[int, Report]) -> list[tuple[int, int]]:
    """Pairs of nodes that both report quorum, the first of them in a ring without the second."""
    quorate = [(node, report.members) for node, report in reports.items() if report.quorate]
    if len(quorate) < 2:
        return []
    return [(node, other) for node, members in quorate for other, _ in quorate if other not in members]


class Reports:
    """Who reports what, and since when they overlap. `excused` tells whether a pair's overlap is, now."""

    def __init__(self, setup: Setup) -> None:
        self.now: dict[int, Report] = dict.fromkeys(range(1, setup.nodes + 1), NOTHING)
        self.overlap_since: float | None = None
        self.excused_since: float | None = None
        self._setup = setup
        self._told: list[int] = []
        """Nodes in the order of their last reports."""

    def tell(self, node: int, report: Report) -> None:
        self.now[node] = report
        if node in self._told:
            self._told.remove(node)
        self._told.append(node)

    def began_by_nodes_alone(self, pair: tuple[int, int]) -> bool:
        """The second of the two to report its quorum has as many nodes in its ring as need no device for that."""
        second = max(pair, key=self._told.index)
        return len(self.now[second].members) >= quorum_of(self._setup)


def only_the_arbitrator(faults: list[Fault]) -> bool:
    return all(map(is_of_the_arbitrator, faults))
