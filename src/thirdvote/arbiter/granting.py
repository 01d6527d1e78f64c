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
from math import inf
from typing import Protocol

from thirdvote.arbiter.holders import Holder, Holders
from thirdvote.arbiter.judges import Judge
from thirdvote.arbiter.late_answers import can_be_answered_late, late_slack
from thirdvote.arbiter.node import Node
from thirdvote.arbiter.presence import INSPECTED_S, Presence, Probing, silence
from thirdvote.arbiter.record import ClusterRecord
from thirdvote.arbiter.referee import LISTS_MISSING, NOT_ASKED, Board, refuse_question
from thirdvote.arbiter.refusals import is_final, settles_at
from thirdvote.arbiter.releases import Absence, Manner, Ring, Timing, released_at, timing
from thirdvote.arbiter.waits import Wait, end_of, how_lost, sentence
from thirdvote.config import ClusterPolicy
from thirdvote.decide.view import ClusterView, Verdict
from thirdvote.decide.wording import name_nodes
from thirdvote.domain import Handover, NodeId, Vote
from thirdvote.wire.messages import NodeList

LEDGER_AGAIN_S = 5.0
"""Between two tries to write what could not be written."""

WATCHED_EVERY_S = 0.2
"""Nodes are asked that often while it matters when a ring changes."""

WAITS_FOR_ANSWERS = Verdict(Vote.WAIT_FOR_REPLY, "it is decided as soon as all is known")


IN_FLIGHT_ELSEWHERE = Verdict(Vote.NACK, "a vote that was given to the other side just before the split may come into force there")
"""For who is to have the vote, and reports the quorum of its ring before until it is told something."""


class Actions(Probing, Protocol):
    """What a granting referee can have done; carried out by the arbiter."""

    def answer_echo(self, node: Node) -> None:
        """Answers the one that waits."""

    def persist(self, record: ClusterRecord | None) -> int:
        """Returns the ticket."""

    def note_decided(self, text: str) -> None: ...
    def note_waiting(self, text: str) -> None: ...
    def note_released(self, node_id: NodeId, text: str) -> None: ...
    def note_ledger(self, text: str) -> None: ...


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
        self._known_waits: dict[NodeId, Wait | None] = {}
        self._judge = judge
        self.presence = Presence(board, actions)
        self._actions = actions
        self._say_time = say_time
        self._written = holders.record()
        self._unsure = False
        self._news = True
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
        self._judge.came(node.node_id, holds=self._had_vote(node))

    def take_over(self, nodes: Collection[Node]) -> None:
        """They were there already when this referee began; what they were told then, they go by."""
        for node in nodes:
            node.asked_at = node.behind_since = node.vote_number = node.quorate = None
            node.looking = False
            self._judge.came(node.node_id, holds=node.has_vote)
            if node.membership_list is not None:
                self.holders.reported(node, self.board.nodes, self.board.now, self._notice(node), is_first=True)
                node.reported = True
        self._evaluate(None)

    def config_changed(self, node: Node, *, initial: bool) -> Verdict:
        if self._judge.needs_config and (initial or node.membership_list is None):
            return LISTS_MISSING
        return self._evaluated(node)

    def membership_changed(self, node: Node) -> Verdict:
        resumes = not node.reported and self._had_vote(node)
        node.needs_vote, node.vote_number, node.quorate, node.had_ack = True, None, None, False
        node.refused_at = None
        self.holders.reported(node, self.board.nodes, self.board.now, self._notice(node), is_first=not node.reported)
        node.reported = True
        if self._judge.needs_config and node.config_list is None:
            return LISTS_MISSING
        return self._evaluated(node, asking=None if resumes else node.node_id)

    def quorum_changed(self, node: Node) -> Verdict:
        holder = self.holders.by_node.get(node.node_id)
        if holder is not None and node.reported:
            holder.unpublished_since = None
            holder.said_no = node.quorate is False
        if self._judge.answers_questions and node.told is not None:
            self._evaluate(node.node_id)
        else:
            self._look_again()
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

    def _had_vote(self, node: Node) -> bool:
        holder = self.holders.by_node.get(node.node_id)
        return holder is not None and not holder.presumed

    def left(self, node: Node, absence: Absence) -> None:
        self.lost([(node, absence)])

    def lost(self, nodes: Collection[tuple[Node, Absence]]) -> None:
        """They are out of the cluster already."""
        for node, absence in nodes:
            self._judge.left(node.node_id)
            self.holders.went(node, absence)
        self._evaluate(None)

    def overdue(self, node: Node) -> None:
        """Its next echo should have come."""
        self.presence.ask(node)
        self._look_again()

    def inspected(self, node: Node, *, acknowledged: bool) -> None:
        if self.presence.looked(node, acknowledged=acknowledged):
            self._look_again()

    def vote_info_answered(self, node: Node, number: int) -> None:
        self.presence.answered(node, number)
        if number == node.vote_number:
            node.refused_at = self.board.now if self._has(node, Vote.NACK) else None
            self.holders.polled(node, node.refused_at)
            if node.refused_at is not None and node.had_ack:
                node.quorate = None  # what it said so far may be from before its last vote
        self._look_again()

    def persisted(self, tickets: Collection[int], problem: str) -> None:
        self.holders.persisted(tickets, problem)
        if problem:
            self._not_written(problem)
        else:
            self.ledger_problem, self._ledger_again = "", None
        self._look_again()

    def release(self, node_ids: Collection[NodeId]) -> None:
        """The operator's word. Who answers can say so itself."""
        for node_id in sorted(node_ids):
            holder = self.holders.by_node.get(node_id)
            if holder is not None and not self.speaks(holder):
                self._drop(holder, "it counts as off, on the operator's word")
        self._look_again()

    def elapsed(self) -> None:
        if self._deadline is not None and self._deadline <= self.board.now:
            self._look_again()

    def deadline(self) -> float | None:
        return self._deadline

    def set_policy(self, policy: ClusterPolicy) -> None:
        self.policy = policy
        self._look_again()

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

    def _look_again(self) -> None:
        """Nothing is new that a decision goes by: a vote that was given keeps its reason."""
        self._evaluate(None, news=False)

    def _evaluate(self, asking: NodeId | None, *, news: bool = True) -> dict[NodeId, Verdict]:
        self._news = news
        self._configured = self._configured_nodes()
        self._known_waits = {}
        for node in self.board.nodes.values():
            node.held_back = ""
        self.presence.probe_who_is_behind()
        if self._watches():
            self.presence.ask_again(WATCHED_EVERY_S)
        view = self._view()
        verdicts = self._judge.propose(view, asking if asking in view.members else None)
        self._tell_losers(verdicts)
        self._serve_winners(verdicts)
        self._look_at_holders()
        self._write()
        self._look_at_echoes()
        self._say(verdicts)
        self._deadline = self._next_deadline()
        return verdicts

    def _configured_nodes(self) -> frozenset[NodeId]:
        found = frozenset[NodeId]().union(*(node.member.config_list or () for node in self.board.nodes.values()))
        return found or self._configured

    def _view(self) -> ClusterView:
        members = {node_id: node.member for node_id, node in self.board.nodes.items() if not self.presence.is_absent(node)}
        return ClusterView(members, self.board.tie_breaker)

    def _tell_losers(self, verdicts: dict[NodeId, Verdict]) -> None:
        for node_id, verdict in verdicts.items():
            node = self.board.nodes[node_id]
            if verdict.vote is Vote.NACK and node.membership_list is not None:
                if not self._has(node, Vote.NACK):
                    self._tell(node, verdict)
                elif self._news:
                    node.told = verdict

    def _serve_winners(self, verdicts: dict[NodeId, Verdict]) -> None:
        self.waits = {}
        by_partition: dict[frozenset[NodeId], list[Wait]] = {}
        for node_id, verdict in verdicts.items():
            node = self.board.nodes[node_id]
            members = node.member.membership_list
            if verdict.vote is not Vote.ACK or members is None:
                continue
            if members not in by_partition:
                by_partition[members] = self._waits_for_others(members)
            waits = by_partition[members]
            if waits and not self._has(node, Vote.ACK):
                self.waits[node_id] = waits
            self._serve_winner(node, verdict, waits)

    def _serve_winner(self, node: Node, verdict: Verdict, waits: list[Wait]) -> None:
        if waits and not self._has(node, Vote.ACK):
            node.held_back = f"waiting {sentence(waits, self._say_time)}; then it gets the vote: {verdict.because}"
            others = [self.holders.by_node[wait.node_id] for wait in waits]
            if not self._has(node, Vote.NACK) and any(other.in_flight and not self.speaks(other) for other in others):
                self._tell(node, IN_FLIGHT_ELSEWHERE)
        elif self.holders.by_node.get(node.node_id, _NOBODY).durable:
            self._give(node, verdict)
        elif self._ledger_again is not None and self.board.now < self._ledger_again:
            node.held_back = f"it would get the vote, but the ledger can not be written: {self.ledger_problem}"
        else:
            node.held_back = "it gets the vote as soon as that is in the ledger"
            self._enrol(node)

    def _give(self, node: Node, verdict: Verdict) -> None:
        self.holders.partition = node.member.membership_list or frozenset()
        for node_id in self.holders.partition & self.holders.by_node.keys():
            self.holders.by_node[node_id].settled()
        self._judge.granted(node)
        if not self._has(node, Vote.ACK):
            node.quorate = None
            self._tell(node, verdict)
        elif self._news:
            node.told = verdict

    def _has(self, node: Node, vote: Vote) -> bool:
        return not node.needs_vote and node.told is not None and node.told.vote is vote

    def _tell(self, node: Node, verdict: Verdict) -> None:
        node.needs_vote, node.refused_at = False, None
        node.had_ack |= verdict.vote is Vote.ACK
        holder = self.holders.by_node.get(node.node_id)
        if holder is not None and verdict.vote is Vote.ACK:
            holder.acked_at, holder.said_no = self.board.now, False
        self.presence.asked(node)
        node.vote_number = self.board.tell(node, verdict)

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

    def _waits_for_others(self, members: frozenset[NodeId]) -> list[Wait]:
        """What keeps the vote from a partition; releases on the way whom nothing keeps any more."""
        waits = []
        for holder in self.holders.outside(members):
            if holder.node_id not in self._known_waits:
                self._press(holder)
                self._known_waits[holder.node_id] = self._wait_for(holder)
            wait = self._known_waits[holder.node_id]
            if wait is not None:
                waits.append(wait)
            elif self._speaker(holder) is None and not self.presence.is_heard_of(members):
                waits.append(Wait(holder.node_id, "who is to have the vote was not heard for a moment, and is asked if it is there", None))
            elif self._speaker(holder) is None and not self.presence.are_heard(self._possible_mates(members)):
                waits.append(Wait(holder.node_id, "another node, which may be together with it, is asked if it is there", None))
            else:
                self._drop(holder, self._why_released(holder))
        return waits

    def _possible_mates(self, members: frozenset[NodeId]) -> list[Node]:
        """Of a lost node, of those that are connected. As long as they answer, they would tell us."""
        nodes = self.board.nodes.items()
        return [node for node_id, node in nodes if node_id not in members and node_id not in self.holders.by_node]

    def _press(self, holder: Holder) -> None:
        """Does what brings its release nearer: a look at one that does not answer, a second NACK for a vote that was in flight.

        Such a vote came into force after the first poll in the new ring, and each NACK makes the daemon poll at once.
        """
        node = self.board.nodes.get(holder.node_id)
        if node is None or holder.absence is not None:
            return
        if self.presence.is_unresponsive(node):
            self.presence.look(node)
        elif self._has(node, Vote.NACK):
            self._press_speaker(holder, node)

    def _press_speaker(self, holder: Holder, node: Node) -> None:
        settled = settles_at(holder, self._timing(holder))
        if settled is None:
            return
        if holder.in_flight:
            if settled <= self.board.now or node.quorate is True:
                holder.in_flight, holder.refused_at, node.quorate, node.had_ack = False, None, None, True
                assert node.told is not None
                self._tell(node, node.told)
        elif settled <= self.board.now and node.quorate is not False and not is_final(holder, settled, node.session.last_heard):
            self.presence.ask(node)

    def _wait_for(self, holder: Holder) -> Wait | None:
        """None: it is released."""
        other = self._speaker(holder)
        if other is not None:
            return self._wait_for_answer(holder, other)
        absence = self._absence(holder)
        settled = settles_at(holder, self._timing(holder))
        if settled is not None and not is_final(holder, settled, absence.alive):
            settled = None
        if settled is not None and settled <= self.board.now:
            return None
        if self.policy.handover is Handover.FAST and holder.left_out:
            return None
        looked_at = holder.absence is not None or self.presence.is_seen(self.board.nodes[holder.node_id])
        until = released_at(absence, self._ring(holder), self._timing(holder))
        if settled is not None:
            until = settled if until is None else min(settled, until)
        if until is not None and until <= self.board.now and looked_at:
            return None
        return Wait(holder.node_id, self._how_lost(holder, absence), until)

    def _ring(self, holder: Holder) -> Ring:
        nodes = self.board.nodes
        away = frozenset(each for each in self._configured if each not in nodes or self.presence.is_unresponsive(nodes[each]))
        return self.holders.ring(holder, nodes, self._configured, away)

    def _look_at_holders(self) -> None:
        """Of one that does not answer it shall be known, before it is given up, if its kernel does."""
        for node_id, node in self.board.nodes.items():
            if self.presence.is_unresponsive(node):
                self.holders.unheard(node)
            if node_id in self.holders.by_node and self.presence.is_unresponsive(node) and not self.presence.was_looked_at(node):
                self.presence.look(node)

    def speaks(self, holder: Holder) -> bool:
        """It is connected, and answers."""
        return self._speaker(holder) is not None

    def _speaker(self, holder: Holder) -> Node | None:
        """The node, if it speaks for itself: it has reported a membership since it was lost, and answers."""
        node = self.board.nodes.get(holder.node_id)
        return None if node is None or holder.absence is not None or self.presence.is_unresponsive(node) else node

    def _absence(self, holder: Holder) -> Absence:
        """Of one that does not speak for itself."""
        return holder.absence or silence(self.board.nodes[holder.node_id])

    def _wait_for_answer(self, holder: Holder, node: Node) -> Wait | None:
        if holder.is_bystander:
            return None
        if not self._has(node, Vote.NACK):
            behind = "has not reported its new ring yet" if node.behind_since is not None else "has not been told yet that it has no vote"
            return Wait(holder.node_id, f"it is connected, and {behind}", None)
        until = settles_at(holder, self._timing(holder))
        if until is None:
            return Wait(holder.node_id, "it has not answered yet that it has no vote", None)
        if holder.in_flight:
            return Wait(holder.node_id, "its last vote came just before its ring changed, and is taken back twice", until)
        if node.quorate is False or (until <= self.board.now and is_final(holder, until, node.session.last_heard)):
            return None
        if until <= self.board.now:
            return Wait(holder.node_id, "it has taken back its vote, and is asked if its ring is still the same", None)
        return Wait(holder.node_id, "it has taken back its vote, and its Corosync has yet to say that it has no quorum", until)

    def _timing(self, holder: Holder) -> Timing:
        return timing(holder.heartbeat_ms, self.holders.algorithm, len(self._configured), holder.uses_heuristics, self.policy)

    def _notice(self, node: Node) -> float:
        """Its Corosync's, in seconds from the loss of the token to a new ring, at most."""
        nodes = len(self._configured_nodes())
        return timing(node.session.heartbeat_ms, self.holders.algorithm, nodes, False, self.policy).notice

    def _why_released(self, holder: Holder) -> str:
        if self._speaker(holder) is not None or holder.refused_at is not None:
            return "it has answered that it has no vote, and has no quorum"
        how = self._how_lost(holder, self._absence(holder))
        if self.policy.handover is Handover.FAST and holder.left_out:
            return f"{how}, its ring is gone, and hand-over is fast"
        return f"{how}, it can not report quorum any more"

    def _how_lost(self, holder: Holder, absence: Absence) -> str:
        return how_lost(absence, holder.presumed and not holder.is_bystander, self._say_time)

    def _drop(self, holder: Holder, because: str) -> None:
        """The node is no holder any more. A connected one that was released by time has given up its connection by then."""
        node = self.board.nodes.get(holder.node_id)
        if node is not None and holder.absence is None and self.presence.is_unresponsive(node):
            node.given_up = self.policy.handover is Handover.SAFE
        del self.holders.by_node[holder.node_id]
        self._actions.note_released(holder.node_id, because)

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
        if self.presence.is_unresponsive(node) and self._is_in_the_way(node):
            return None
        if node.behind_since is not None and not node.answered_probe:
            return None
        heartbeat = node.session.heartbeat_ms / 1000
        if not self.whole or not self.policy.late_answers or not can_be_answered_late(node):
            return 0.0
        return heartbeat - late_slack(heartbeat)

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
        now = self.board.now
        times = [max(wait.until, now + INSPECTED_S) for waits in self.waits.values() for wait in waits if wait.until is not None]
        if self._ledger_again is not None:
            times.append(self._ledger_again)
        if self.board.nodes and self._watches():
            times.append(now + WATCHED_EVERY_S)
        in_the_way = {wait.node_id for waits in self.waits.values() for wait in waits}
        for node_id, node in self.board.nodes.items():
            asked = node.asked_at is not None and (node_id in self.holders.by_node or len(self._configured) > 2)
            if asked or node.behind_since is not None or node_id in in_the_way:
                times += self.presence.next_look(node)
        return min((time for time in times if time > now), default=None)

    def _watches(self) -> bool:
        return any(self._is_watched(holder) for holder in self.holders.by_node.values())

    def _is_watched(self, holder: Holder) -> bool:
        """Nobody polls for its device, which Corosync counts as alive still: it matters when its ring changes, not when we read of it."""
        if holder.absence is None or holder.absence.manner not in (Manner.CLOSED, Manner.HANGS):
            return False
        rule = self._timing(holder)
        return self.board.now < holder.absence.at + rule.heartbeat + rule.timeout + rule.notice

    @property
    def waiting(self) -> tuple[str, float | None]:
        """What the vote waits for, in a sentence, and until when; empty when it waits for nothing."""
        if not self.waits:
            return "", None
        waits = max(self.waits.values(), key=end_of)
        end = end_of(waits)
        return sentence(waits, self._say_time), None if end == inf else end

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
        waiting = self.waiting[0]
        if waiting and waiting != self._said_waiting:
            self._actions.note_waiting(f"the vote waits {waiting}")
        self._said_waiting = waiting


_NOBODY = Holder(NodeId(0), 0)
