"""Tells a story to a server, action by action, and keeps what each node hears at each.

VOTE_INFOs are answered before the next action, one at a time and in the order of the slots, so that two servers that
say the same are told the same.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import replace

from tests.lockstep.servers import Server
from tests.lockstep.story import Action, Answer, Connect, Disconnect, Say, Story, Withhold
from thirdvote.domain import ClusterName, Vote
from thirdvote.wire.codec import decode, encode
from thirdvote.wire.messages import Message, MessageType, Preinit, VoteInfo, VoteInfoReply

Heard = dict[int, list[bytes]]
"""What each slot heard at one action."""


class Teller:
    def __init__(self, server: Server, name: bytes, wait_s: float = 0.0) -> None:
        self._server = server
        self._name = ClusterName(name)
        self._wait_s = wait_s
        self._connected: set[int] = set()
        self._withheld: set[int] = set()
        self._unanswered: dict[int, deque[int]] = defaultdict(deque)
        self.votes: dict[int, Vote] = {}
        """What each connected node was told last, but for NO_CHANGE."""

    def tell(self, action: Action) -> Heard:
        heard: Heard = defaultdict(list)
        if self._do(action):
            self._hear(heard)
            while self._answer_next():
                self._hear(heard)
        return dict(heard)

    def hear_more(self, heard: Heard) -> None:
        """Some more time for a server that is late."""
        self._server.settle(self._wait_s)
        self._take(heard)

    def _do(self, action: Action) -> bool:
        """False when there was nothing to do."""
        slot = action.slot
        match action:
            case Connect() if slot not in self._connected:
                self._connected.add(slot)
                self._server.connect(slot)
            case Disconnect() if slot in self._connected:
                self._forget(slot)
                self._server.close(slot)
            case Say(_, message) if slot in self._connected:
                if isinstance(message, Preinit):
                    message = replace(message, cluster_name=self._name)
                self._server.say(slot, encode(message))
            case Withhold(_, on):
                (self._withheld.add if on else self._withheld.discard)(slot)
            case Answer() if self._unanswered[slot]:
                self._server.say(slot, encode(VoteInfoReply(self._unanswered[slot].popleft())))
            case _:
                return False
        return True

    def _forget(self, slot: int) -> None:
        self._connected.discard(slot)
        self._withheld.discard(slot)
        self._unanswered[slot].clear()
        self.votes.pop(slot, None)

    def _hear(self, heard: Heard) -> None:
        """Waits for the server's timers only if somebody was told to wait."""
        self._server.settle()
        self._take(heard)
        if self._wait_s and Vote.WAIT_FOR_REPLY in self.votes.values():
            self._server.settle(self._wait_s)
            self._take(heard)

    def _take(self, heard: Heard) -> None:
        for slot, messages in self._server.take().items():
            heard[slot] += messages
            for message in map(read, messages):
                vote = getattr(message, "vote", None)
                if vote is not None and vote is not Vote.NO_CHANGE:
                    self.votes[slot] = vote
                if isinstance(message, VoteInfo):
                    assert message.sequence_number is not None
                    self._unanswered[slot].append(message.sequence_number)

    def _answer_next(self) -> bool:
        for slot in sorted(self._connected - self._withheld):
            if self._unanswered[slot]:
                self._server.say(slot, encode(VoteInfoReply(self._unanswered[slot].popleft())))
                return True
        return False


def tell_all(story: Story, server: Server, name: bytes, wait_s: float = 0.0) -> list[Heard]:
    teller = Teller(server, name, wait_s)
    return [teller.tell(action) for action in story.actions]


def read(data: bytes) -> Message:
    return decode(MessageType(int.from_bytes(data[:2], "big")), data[6:])
