"""The stock server as its protocol reference tells it, for one cluster, with each of its defects on or off.

It is dumb on purpose: it follows the reference's steps in their order, over plain loops. With all defects on it must
say what the stock server says, to the byte. That it does shows that the differences between the stock server and ours
are those of the defects by which two models differ, and no others.

    S5   a second INIT is refused, but its ring id is kept, and keep-active-partition goes back to its default
    S21  ids that a list repeats are counted as often (ffsplit, 2nodelms)

The algorithms, with the defects that are their own, are in `model_ffsplit` and `model_standing`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from tests.lockstep.servers import messages_of
from thirdvote.domain import Algorithm, Heuristics, NodeListType, RingId, TieBreaker, TieBreakerMode, TlsSupport, Vote
from thirdvote.errors import ReplyCode
from thirdvote.wire.codec import decode, encode
from thirdvote.wire.messages import (
    AskForVote,
    AskForVoteReply,
    HeuristicsChange,
    HeuristicsChangeReply,
    Init,
    InitReply,
    Message,
    MessageType,
    NodeList,
    NodeListReply,
    Preinit,
    PreinitReply,
    ServerError,
    ServerMessage,
    SetOption,
    SetOptionReply,
    VoteInfo,
    VoteInfoReply,
)

HEARTBEAT_MS_RANGE = range(4, 120_001)


class Crash(Exception):
    """The stock server would die here."""


class Refused(Exception):
    """A list that the algorithm does not take."""

    def __init__(self, code: ReplyCode) -> None:
        super().__init__(code.name)
        self.code = code


@dataclass(eq=False)
class Client:
    slot: int
    joined: bool = False
    node_id: int = 0
    ring: RingId | None = None
    config: list[int] | None = None
    membership: list[int] | None = None
    heuristics: Heuristics = Heuristics.UNDEFINED
    heuristics_before: Heuristics = Heuristics.UNDEFINED
    """Before the message at hand."""
    kap: bool = False
    number: int = 0
    """That of the last VOTE_INFO."""
    pending: Vote | None = None
    pending_is_sent: bool = False
    result: Vote | None = None
    """What lms and 2nodelms decided last; None is a newcomer."""


class Model(ABC):
    algorithm: ClassVar[Algorithm]

    def __init__(self, tie_breaker: TieBreaker, defects: Collection[str]) -> None:
        self.tie_breaker = tie_breaker
        self.defects = frozenset(defects)
        self.clients: dict[int, Client] = {}
        self._heard: dict[int, list[bytes]] = defaultdict(list)

    # ---- a server's face

    def connect(self, slot: int) -> None:
        self.clients[slot] = Client(slot)

    def say(self, slot: int, data: bytes) -> None:
        (message,) = messages_of(bytearray(data))
        self._receive(self.clients[slot], decode(MessageType(int.from_bytes(message[:2], "big")), message[6:]))

    def close(self, slot: int) -> None:
        client = self.clients[slot]
        if client.joined:
            self.leave(client)
        del self.clients[slot]

    def settle(self, wait_s: float = 0.0) -> None:
        """Nothing is under way between two calls, and no timer runs."""
        assert wait_s >= 0

    def take(self) -> dict[int, list[bytes]]:
        heard, self._heard = self._heard, defaultdict(list)
        return dict(heard)

    # ---- for the algorithms

    @property
    def nodes(self) -> list[Client]:
        return sorted((client for client in self.clients.values() if client.joined), key=lambda client: client.node_id)

    def ids(self, message: NodeList) -> list[int]:
        ids = [int(entry.node_id) for entry in message.nodes]
        return ids if "S21" in self.defects else list(dict.fromkeys(ids))

    def send(self, client: Client, message: ServerMessage) -> None:
        self._heard[client.slot].append(encode(message))

    def tell(self, client: Client, vote: Vote) -> None:
        client.number += 1
        self.send(client, VoteInfo(client.number, vote, client.ring))

    @abstractmethod
    def leave(self, client: Client) -> None:
        """The client is still among the nodes."""

    @abstractmethod
    def config(self, client: Client, ids: list[int], *, initial: bool) -> Vote:
        """Stores the list and answers it, or raises Refused before; `membership` likewise."""

    @abstractmethod
    def membership(self, client: Client, ids: list[int], ring: RingId, heuristics: Heuristics) -> Vote: ...

    @abstractmethod
    def quorum(self, client: Client) -> Vote: ...

    @abstractmethod
    def heuristics(self, client: Client, heuristics: Heuristics) -> Vote: ...

    @abstractmethod
    def ask(self, client: Client) -> Vote: ...

    @abstractmethod
    def answered(self, client: Client, number: int) -> None: ...

    # ---- messages

    def _receive(self, client: Client, message: Message) -> None:
        match message:
            case Preinit():
                self.send(client, PreinitReply(message.sequence_number, TlsSupport.UNSUPPORTED, True))
            case Init():
                self._init(client, message)
            case _ if not client.joined:
                self.send(client, ServerError(message.sequence_number, ReplyCode.INIT_REQUIRED))
            case SetOption(number, heartbeat_ms, kap):
                if heartbeat_ms is not None and heartbeat_ms not in HEARTBEAT_MS_RANGE:
                    self.send(client, ServerError(number, ReplyCode.INVALID_HEARTBEAT))
                    return
                client.kap = client.kap if kap is None else kap
                self.send(client, SetOptionReply(number, heartbeat_ms, kap))
            case VoteInfoReply(int(number)):
                self.answered(client, number)
            case NodeList() | HeuristicsChange() | AskForVote():
                try:
                    self._serve(client, message)
                except Refused as refused:
                    self.send(client, ServerError(message.sequence_number, refused.code))
            case _:
                raise AssertionError(f"no story has {message}")

    def _init(self, client: Client, init: Init) -> None:
        assert init.node_id is not None
        code = self._admission(init)
        if code is ReplyCode.NO_ERROR:
            client.joined, client.node_id, client.ring = True, int(init.node_id), init.ring_id
        elif client.joined and "S5" in self.defects:
            client.ring, client.kap = init.ring_id, False
        everything = tuple(range(18)), tuple(range(24))
        self.send(client, InitReply(int(code), *everything, init.sequence_number, 32_768, 32_768, (0, 1, 2, 3)))

    def _admission(self, init: Init) -> ReplyCode:
        for node in self.nodes:
            if init.tie_breaker != self.tie_breaker:
                return ReplyCode.TIE_BREAKER_DIFFERS
            if init.algorithm != self.algorithm:
                return ReplyCode.ALGORITHM_DIFFERS
            if init.node_id == node.node_id:
                return ReplyCode.DUPLICATE_NODE_ID
        return ReplyCode.NO_ERROR

    def _serve(self, client: Client, message: NodeList | HeuristicsChange | AskForVote) -> None:
        number = message.sequence_number
        match message:
            case NodeList():
                vote = self._node_list(client, message)
                self.send(client, NodeListReply(number, message.list_type, client.ring, vote))
            case HeuristicsChange():
                assert message.heuristics is not None
                vote = self.heuristics(client, message.heuristics)
                self.send(client, HeuristicsChangeReply(number, vote, client.ring, message.heuristics))
            case AskForVote():
                vote = self.ask(client)
                self.send(client, AskForVoteReply(number, vote, client.ring))

    def _node_list(self, client: Client, message: NodeList) -> Vote:
        ids = self.ids(message)
        match message.list_type:
            case NodeListType.MEMBERSHIP:
                assert message.ring_id is not None
                return self.membership(client, ids, message.ring_id, message.heuristics or Heuristics.UNDEFINED)
            case NodeListType.QUORUM:
                return self.quorum(client)
            case _:
                return self.config(client, ids, initial=message.list_type is NodeListType.INITIAL_CONFIG)

    def preferred(self, ids: Collection[int]) -> int:
        match self.tie_breaker.mode:
            case TieBreakerMode.LOWEST:
                return min(ids)
            case TieBreakerMode.HIGHEST:
                return max(ids)
            case TieBreakerMode.NODE_ID:
                return int(self.tie_breaker.node_id)
