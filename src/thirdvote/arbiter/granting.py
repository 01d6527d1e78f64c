"""The vote of one cluster under `safe` and `fast`: decided by its algorithm, given when nobody else may report quorum by it.

Each change ends in one `_evaluate`, which makes everything right that can be made right now:

    who is there    connected nodes; without those that others have left behind and that do not answer a probe either
    what is decided a verdict for each of them, by the algorithm
    losers          hear NACK at once, in a VOTE_INFO, which they have to answer
    winners         hear ACK when every holder outside of their membership has been released, and the ledger has them
    time            the next moment at which any of this may change

A loser is released when it has answered the NACK for the membership that it reported last, and its Corosync has told it since
that it has no quorum; or has had the time to, for one that has quorum in any case. A node that is not heard is released by
time; `releases` has the rule. What holds a vote back is named: `waiting`.

An echo is answered late while the vote of the device is not needed: all configured nodes are connected, in one ring, and
have it. A node that breaks away then is the sooner known to have given up. Whoever stands in the way of others and does not
answer us is not answered, either.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from thirdvote.arbiter.holders import Holder, Holders
from thirdvote.arbiter.judges import Judge
from thirdvote.arbiter.node import Node
from thirdvote.arbiter.record import ClusterRecord
from thirdvote.arbiter.referee import LISTS_MISSING, NOT_ASKED, Board, refuse_question
from thirdvote.arbiter.releases import Absence, Manner, Timing, released_at, timing
from thirdvote.config import ClusterPolicy
from thirdvote.decide.view import ClusterView, Verdict
from thirdvote.decide.wording import name_nodes
from thirdvote.domain import Handover, NodeId, Vote
from thirdvote.wire.messages import NodeList

PROBE_S_MIN = 0.2
PROBE_S_MAX = 1.0
"""How long an answer is waited for: some round trips, within these bounds."""

PROBE_ROUND_TRIPS = 8

PROBE_AGAIN_S = 1.0
"""A node that has answered and still reports nothing is asked again."""

LEDGER_AGAIN_S = 5.0
"""Between two tries to write what could not be written."""

LATE_SHARE = 0.8
"""Of a heartbeat, after which a late answer leaves; the rest is the slack."""

ROUND_TRIP_SHARE = 0.25
"""Of the slack, that a round trip may take at most where echoes are answered late."""

WAITS_FOR_ANSWERS = Verdict(Vote.WAIT_FOR_REPLY, "it is decided as soon as all is known")


class Actions(Protocol):
    """What a granting referee can have done; carried out by the arbiter."""

    def probe(self, node: Node) -> int:
        """Sends a VOTE_INFO that changes nothing, and returns its number."""

    def answer_echo(self, node: Node) -> None:
        """Answers the one that waits."""

    def persist(self, record: ClusterRecord | None) -> int:
        """Returns the ticket."""

    def note_decided(self, text: str) -> None: ...
    def note_waiting(self, text: str) -> None: ...
    def note_released(self, node_id: NodeId, text: str) -> None: ...
    def note_ledger(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Wait:
    """For one holder: `because` is a clause, `until` None when an event ends it and no time is known."""

    node_id: NodeId
    because: str
    until: float | None


class GrantingReferee:
    def __init__(
        self, board: Board, judge: Judge, holders: Holders, policy: ClusterPolicy, actions: Actions, say_time: Callable[[float], str]
    ) -> None:
        self.board = board
        self.holders = holders
        self.policy = policy
        self.whole = False
        """All configured nodes are connected in one ring, and have the vote: the device's is not needed."""
        self.waits: dict[NodeId, list[Wait]] = {}
        """Of each node that is to have the vote and does not have it yet."""
        self.ledger_problem = ""
        self._judge = judge
        self._actions = actions
        self._say_time = say_time
        self._written = holders.record()
        self._unsure = False
        self._ledger_again: float | None = None
        self._deadline: float | None = None
        self._said_waiting = ""
        self._said_decided: frozenset[NodeId] = frozenset()
        self._configured: frozenset[NodeId] = holders.partition | frozenset(holders.by_node)

    # ---- what happens to the cluster

    def check(self, node: Node, message: NodeList) -> None:
        self._judge.check(node, message)

    def joined(self, node: Node) -> None:
        """The node has passed INIT, and has reported nothing yet."""
        self._judge.came(node.node_id, holds=node.node_id in self.holders.by_node)

    def taken_over(self, node: Node) -> None:
        """It was there already when this referee began; what it was told then, it goes by."""
        self._judge.came(node.node_id, holds=node.has_vote)
        if node.membership_list is not None:
            self.holders.reported(node, self.board.now, is_first=True)
            node.reported = True
        self._evaluate(None)

    def config_changed(self, node: Node, *, initial: bool) -> Verdict:
        if self._judge.needs_config and (initial or node.membership_list is None):
            return LISTS_MISSING
        return self._evaluated(node)

    def membership_changed(self, node: Node) -> Verdict:
        node.needs_vote, node.vote_number, node.refused_at, node.quorate = True, None, None, None
        self.holders.reported(node, self.board.now, is_first=not node.reported)
        node.reported = True
        if self._judge.needs_config and node.config_list is None:
            return LISTS_MISSING
        resumes = node.told is None and node.node_id in self.holders.by_node
        return self._evaluated(node, asking=None if resumes else node.node_id)

    def quorum_changed(self, node: Node) -> Verdict:
        self._evaluate(node.node_id if self._judge.answers_questions and node.told is not None else None)
        return NOT_ASKED

    def heuristics_changed(self, node: Node) -> Verdict:
        if self._judge.needs_config and (node.config_list is None or node.membership_list is None):
            return LISTS_MISSING
        return self._evaluated(node)

    def asked(self, node: Node) -> Verdict:
        if not self._judge.answers_questions:
            return refuse_question(node)
        self._evaluate(node.node_id)
        return WAITS_FOR_ANSWERS if node.needs_vote else node.told or WAITS_FOR_ANSWERS

    def left(self, node: Node, absence: Absence) -> None:
        self._judge.left(node.node_id)
        self.holders.went(node, absence)
        self._evaluate(None)

    def vote_info_answered(self, node: Node, number: int) -> None:
        if number == node.vote_info_number:
            if node.asked_at is not None:
                node.round_trip = self.board.now - node.asked_at
            node.asked_at = None
        elif node.asked_at is not None:
            node.asked_at = self.board.now  # it is there, and has one more to answer
        node.answered_probe = True
        if number == node.vote_number:
            self.holders.polled(node.node_id)
            if self._has(node, Vote.NACK):
                node.refused_at = self.board.now
        self._evaluate(None)

    def persisted(self, tickets: Collection[int], problem: str) -> None:
        self.holders.persisted(tickets, problem)
        if problem:
            self._not_written(problem)
        else:
            self.ledger_problem, self._ledger_again = "", None
        self._evaluate(None)

    def release(self, node_ids: Collection[NodeId]) -> None:
        """The operator's word. Who is connected can say so itself."""
        for node_id in sorted(node_ids):
            if node_id in self.holders.by_node and node_id not in self.board.nodes:
                self._drop(node_id, "it counts as off, on the operator's word")
        self._evaluate(None)

    def elapsed(self) -> None:
        if self._deadline is not None and self._deadline <= self.board.now:
            self._evaluate(None)

    def deadline(self) -> float | None:
        return self._deadline

    def set_policy(self, policy: ClusterPolicy) -> None:
        self.policy = policy
        self._evaluate(None)

    def presume(self, node_ids: Iterable[NodeId], heartbeat_ms: int, away: Absence) -> None:
        """There is no record of this cluster: anybody may have the vote."""
        self.holders.presume(node_ids, heartbeat_ms, away)

    def waiting_for(self, node: Node) -> str:
        return node.held_back

    # ---- one evaluation

    def _evaluated(self, node: Node, asking: NodeId | None = None) -> Verdict:
        """The reply to the message that made it necessary."""
        verdicts = self._evaluate(asking)
        if not node.needs_vote:
            return NOT_ASKED
        return Verdict(Vote.WAIT_FOR_REPLY, node.held_back or verdicts.get(node.node_id, WAITS_FOR_ANSWERS).because)

    def _evaluate(self, asking: NodeId | None) -> dict[NodeId, Verdict]:
        self._configured = self._configured_nodes()
        self._probe_who_is_behind()
        view = self._view()
        verdicts = self._judge.propose(view, asking if asking in view.members else None)
        self._tell_losers(verdicts)
        self._serve_winners(verdicts)
        self._write()
        self._look_at_echoes()
        self._say(verdicts)
        self._deadline = self._next_deadline()
        return verdicts

    def _configured_nodes(self) -> frozenset[NodeId]:
        found = frozenset[NodeId]().union(*(node.member.config_list or () for node in self.board.nodes.values()))
        return found or self._configured

    def _view(self) -> ClusterView:
        members = {node_id: node.member for node_id, node in self.board.nodes.items() if not self._is_absent(node)}
        return ClusterView(members, self.board.tie_breaker)

    def _tell_losers(self, verdicts: dict[NodeId, Verdict]) -> None:
        for node_id, verdict in verdicts.items():
            node = self.board.nodes[node_id]
            if verdict.vote is Vote.NACK and node.membership_list is not None:
                node.held_back = ""
                if self._has(node, Vote.NACK):
                    node.told = verdict
                else:
                    self._tell(node, verdict)

    def _serve_winners(self, verdicts: dict[NodeId, Verdict]) -> None:
        self.waits = {}
        for node_id, verdict in verdicts.items():
            node = self.board.nodes[node_id]
            if verdict.vote is not Vote.ACK or node.membership_list is None:
                continue
            waits = self._waits_of(node)
            if waits:
                self.waits[node_id] = waits
                node.held_back = f"waiting {self._sentence(waits)}; then it gets the vote: {verdict.because}"
            elif self.holders.by_node.get(node_id, _NOBODY).durable:
                self._give(node, verdict)
            elif self._ledger_again is not None and self.board.now < self._ledger_again:
                node.held_back = f"it would get the vote, but the ledger can not be written: {self.ledger_problem}"
            else:
                node.held_back = "it gets the vote as soon as that is in the ledger"
                self._enrol(node)

    def _give(self, node: Node, verdict: Verdict) -> None:
        node.held_back = ""
        self.holders.partition = node.member.membership_list or frozenset()
        self._judge.granted(node)
        if self._has(node, Vote.ACK):
            node.told = verdict
        else:
            node.quorate = None
            self._tell(node, verdict)

    def _has(self, node: Node, vote: Vote) -> bool:
        return not node.needs_vote and node.told is not None and node.told.vote is vote

    def _tell(self, node: Node, verdict: Verdict) -> None:
        node.needs_vote, node.refused_at = False, None
        node.vote_number = self.board.tell(node, verdict)
        self._asked(node)

    def _asked(self, node: Node) -> None:
        if node.asked_at is None:
            node.asked_at = self.board.now

    # ---- holders, and what they are waited for

    def _enrol(self, node: Node) -> None:
        known = self.holders.by_node.get(node.node_id)
        if known is not None and not known.presumed:
            return
        holder = Holder(node.node_id, node.session.heartbeat_ms, ring_id=node.ring_id, members=node.member.membership_list)
        holder.unpolled_since = self.board.now
        holder.uses_heuristics = bool(node.heuristics_membership) or bool(node.heuristics_regular)
        self.holders.by_node[node.node_id] = holder
        self.holders.partition = node.member.membership_list or frozenset()

    def _waits_of(self, node: Node) -> list[Wait]:
        """What keeps the vote from this node; releases on the way whom nothing keeps any more."""
        waits = []
        for holder in self.holders.outside(node.member.membership_list or frozenset()):
            if holder.node_id == node.node_id:
                continue
            wait = self._wait_for(holder)
            if wait is None:
                self._drop(holder.node_id, self._why_released(holder))
            else:
                waits.append(wait)
        return waits

    def _wait_for(self, holder: Holder) -> Wait | None:
        """None: it is released."""
        other = self._speaker(holder)
        if other is not None:
            return self._wait_for_answer(holder, other)
        if self.policy.handover is Handover.FAST and holder.gone_at is not None:
            return None
        absence = self._absence(holder)
        until = released_at(absence, self.holders.ring(holder, self.board.nodes, self._configured), self._timing(holder))
        if until is not None and until <= self.board.now:
            return None
        return Wait(holder.node_id, self._how_lost(absence), until)

    def _speaker(self, holder: Holder) -> Node | None:
        """The node, if it speaks for itself: it has reported a membership since it was lost, and answers."""
        node = self.board.nodes.get(holder.node_id)
        return None if node is None or holder.absence is not None or self._is_unresponsive(node) else node

    def _absence(self, holder: Holder) -> Absence:
        """Of one that does not speak for itself."""
        if holder.absence is not None:
            return holder.absence
        node = self.board.nodes[holder.node_id]
        heard = node.session.last_heard
        return Absence(Manner.SILENT, heard, node.answered_at, node.echoed_at, heard)

    def _wait_for_answer(self, holder: Holder, node: Node) -> Wait | None:
        if not self._has(node, Vote.NACK):
            behind = "has not reported its new ring yet" if node.behind_since is not None else "has not been told yet that it has no vote"
            return Wait(holder.node_id, f"it is connected, and {behind}", None)
        if node.refused_at is None:
            return Wait(holder.node_id, "it has not answered yet that it has no vote", None)
        until = node.refused_at + self._timing(holder).steps_at_most
        if node.quorate is False or until <= self.board.now:
            return None
        return Wait(holder.node_id, "it has taken back its vote, and its Corosync is about to find that it has no quorum", until)

    def _timing(self, holder: Holder) -> Timing:
        return timing(holder.heartbeat_ms, self.holders.algorithm, len(self._configured), holder.uses_heuristics, self.policy)

    def _how_lost(self, absence: Absence) -> str:
        at = self._say_time(absence.at)
        match absence.manner:
            case Manner.SILENT:
                return f"silent since {at}"
            case Manner.CLOSED:
                return f"its daemon was gone without a goodbye at {at}"
            case Manner.GAVE_UP:
                return f"its daemon gave up its connection at {at}"
            case Manner.ENDED:
                return f"its daemon was ended at {at}"
            case Manner.DROPPED if absence.alive is None:
                return f"not heard since the arbitrator began at {at}"
            case Manner.DROPPED:
                return f"its connection was ended here at {at}"

    def _why_released(self, holder: Holder) -> str:
        if self._speaker(holder) is not None:
            return "it has answered that it has no vote, and has no quorum"
        how = self._how_lost(self._absence(holder))
        if self.policy.handover is Handover.FAST and holder.gone_at is not None:
            return f"{how}, its ring is gone, and hand-over is fast"
        return f"{how}, it can not report quorum any more"

    def _drop(self, node_id: NodeId, because: str) -> None:
        """The node is no holder any more. A connected one that was released by time has given up its connection by then."""
        holder = self.holders.by_node.pop(node_id)
        node = self.board.nodes.get(node_id)
        if node is not None and holder.absence is None and self._is_unresponsive(node):
            node.given_up = self.policy.handover is Handover.SAFE
        self._actions.note_released(node_id, because)

    # ---- who is there

    def _probe_who_is_behind(self) -> None:
        now = self.board.now
        behind = self._behind()
        for node_id, node in self.board.nodes.items():
            if node_id not in behind:
                node.behind_since = None
                continue
            if node.behind_since is None:
                node.behind_since, node.answered_probe, node.probed_at = now, False, None
            if node.asked_at is None and (node.probed_at is None or now >= node.probed_at + PROBE_AGAIN_S):
                self.probe(node)

    def probe(self, node: Node) -> None:
        """Asks the node to answer, if it is there; changes nothing for it."""
        node.probed_at = self.board.now
        self._actions.probe(node)
        self._asked(node)

    def _behind(self) -> set[NodeId]:
        """Nodes of whose ring others, which it counts in or which count it in, report a newer one."""
        nodes = self.board.nodes.values()
        if len({node.ring_id for node in nodes}) <= 1:
            return set()
        found = set()
        for node in nodes:
            for other in nodes:
                if other.ring_id.sequence >= node.ring_id.sequence and other.ring_id != node.ring_id and _know_each_other(node, other):
                    found.add(node.node_id)
                    break
        return found

    def _is_unresponsive(self, node: Node) -> bool:
        return node.asked_at is not None and node.asked_at + patience(node) <= self.board.now

    def _is_absent(self, node: Node) -> bool:
        return node.behind_since is not None and self._is_unresponsive(node)

    # ---- the ledger

    def _write(self) -> None:
        """One record for all that changed in this evaluation; what must be in it before an ACK leaves waits for its ticket."""
        record = self.holders.record()
        same = record == self._written and not self._unsure
        if same or (self._ledger_again is not None and self.board.now < self._ledger_again):
            return
        self._written, self._unsure = record, False
        ticket = self._actions.persist(record)
        for holder in self.holders.by_node.values():
            if holder.ticket is None and not holder.presumed:
                holder.ticket = ticket

    def _not_written(self, problem: str) -> None:
        self._unsure = True
        self._ledger_again = self.board.now + LEDGER_AGAIN_S
        if problem != self.ledger_problem:
            self._actions.note_ledger(f"no node can be given a vote that it does not have yet: {problem}")
        self.ledger_problem = problem

    # ---- echoes

    def late_by(self, node: Node) -> float | None:
        """Seconds after which its echo is answered; 0 is at once, None: not before something changes."""
        if self._is_unresponsive(node) and self._is_in_the_way(node):
            return None
        if node.behind_since is not None and not node.answered_probe:
            return None
        heartbeat = node.session.heartbeat_ms / 1000
        slack = (1 - LATE_SHARE) * heartbeat
        if not self.whole or not self.policy.late_answers or node.round_trip is None or node.round_trip > ROUND_TRIP_SHARE * slack:
            return 0.0
        return LATE_SHARE * heartbeat

    def _is_in_the_way(self, node: Node) -> bool:
        return any(wait.node_id == node.node_id for waits in self.waits.values() for wait in waits)

    def _look_at_echoes(self) -> None:
        self.whole = self._is_whole()
        for node in self.board.nodes.values():
            if node.waiting_echo is None:
                continue
            late_by = self.late_by(node)
            if late_by is None:
                node.echo_due = None
            elif late_by == 0.0 or node.echo_due is None:
                self._actions.answer_echo(node)

    def _is_whole(self) -> bool:
        nodes = self.board.nodes
        if self.waits or not self._configured or len(nodes) != len(self._configured) or not self._configured.issubset(nodes):
            return False
        if len({node.ring_id for node in nodes.values()}) != 1:
            return False
        return all(self._has(node, Vote.ACK) and node.member.membership_list == self._configured for node in nodes.values())

    # ---- time, and words

    def _next_deadline(self) -> float | None:
        times = [wait.until for waits in self.waits.values() for wait in waits if wait.until is not None]
        times += [self._ledger_again] if self._ledger_again is not None and self._ledger_again > self.board.now else []
        in_the_way = {wait.node_id for waits in self.waits.values() for wait in waits}
        for node_id, node in self.board.nodes.items():
            if node.behind_since is None and node_id not in in_the_way:
                continue
            if node.asked_at is None:
                times += [node.probed_at + PROBE_AGAIN_S] if node.probed_at is not None and node.behind_since is not None else []
            elif not self._is_unresponsive(node):
                times.append(node.asked_at + patience(node))
        return min(times, default=None)

    def _sentence(self, waits: list[Wait]) -> str:
        """ "until 12:03:07 for node 1, which may still report quorum: silent since 12:02:51"."""
        longest = max(waits, key=lambda wait: float("inf") if wait.until is None else wait.until)
        others = [wait.node_id for wait in waits if wait is not longest]
        also = f"; also for {name_nodes(others)}" if others else ""
        until = "" if longest.until is None else f"until {self._say_time(longest.until)} "
        return f"{until}for node {longest.node_id}, which may still report quorum: {longest.because}{also}"

    @property
    def waiting(self) -> tuple[str, float | None]:
        """What the vote waits for, in a sentence, and until when; empty when it waits for nothing."""
        if not self.waits:
            return "", None
        waits = max(self.waits.values(), key=lambda each: max(float("inf") if wait.until is None else wait.until for wait in each))
        ends = [wait.until for wait in waits]
        return self._sentence(waits), None if None in ends else max(end for end in ends if end is not None)

    def why(self, holder: Holder) -> tuple[str, float | None]:
        """What is known of a holder, as a clause, and until when it may report quorum."""
        node = self.board.nodes.get(holder.node_id)
        if node is not None and self._has(node, Vote.ACK):
            return "it has the vote", None
        if node is not None and node.held_back:
            return "it had the vote in the ring before, and is to have it again", None
        wait = self._wait_for(holder)
        if wait is not None:
            return wait.because, wait.until
        return self._why_released(holder), self.board.now

    def _say(self, verdicts: dict[NodeId, Verdict]) -> None:
        winners = frozenset(node_id for node_id, verdict in verdicts.items() if verdict.vote is Vote.ACK)
        if winners and winners != self._said_decided:
            self._said_decided = winners
            verb = "is" if len(winners) == 1 else "are"
            because = next(verdicts[node_id].because for node_id in sorted(winners))
            self._actions.note_decided(f"{name_nodes(winners)} {verb} to have the vote: {because}")
        sentence = self.waiting[0]
        if sentence and sentence != self._said_waiting:
            self._actions.note_waiting(f"the vote waits {sentence}")
        self._said_waiting = sentence


_NOBODY = Holder(NodeId(0), 0)


def patience(node: Node) -> float:
    """Seconds that an answer is waited for."""
    if node.round_trip is None:
        return PROBE_S_MAX
    return min(max(PROBE_ROUND_TRIPS * node.round_trip, PROBE_S_MIN), PROBE_S_MAX)


def _know_each_other(node: Node, other: Node) -> bool:
    return node.node_id in (other.member.membership_list or ()) or other.node_id in (node.member.membership_list or ())
