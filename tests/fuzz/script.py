"""Stories of several connections as bytes, so that damage to bytes is damage to stories.

    script := settings:u8 record*
    record := action:u8 slot:u8 length:u16 payload[length]

Every run of bytes is a script: the action and the slot are taken modulo their number, and the last payload may be short.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from random import Random

from tests.fuzz.mutate import mutate
from tests.vectors.reader import exchanges
from thirdvote.domain import (
    Algorithm,
    ClusterName,
    Heuristics,
    NodeId,
    NodeInfo,
    NodeListType,
    NodeState,
    RingId,
    TieBreaker,
    TieBreakerMode,
)
from thirdvote.wire.codec import encode
from thirdvote.wire.messages import (
    AskForVote,
    EchoReply,
    EchoRequest,
    HeuristicsChange,
    Init,
    Message,
    NodeList,
    Preinit,
    SetOption,
    StartTls,
    VoteInfoReply,
)

RECORD = struct.Struct(">BBH")
SLOTS = 6
"""Connections at a time: the first half says it is of one cluster, the second half of another."""
CLUSTERS = (ClusterName(b"left"), ClusterName(b"right"))


class Action(IntEnum):
    RECEIVE = 0
    """The payload comes from the node; a slot that is not connected is connected first."""
    DISCONNECT = 1
    SECURE = 2
    """A TLS handshake that the server asked for succeeds, with the payload as the certificate's name."""
    WAIT = 3
    """Eighths of a second pass, as many as the payload's first byte says."""
    RECEIVE_IN_PIECES = 4


@dataclass(frozen=True, slots=True)
class Record:
    action: Action
    slot: int
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Script:
    settings: int
    records: tuple[Record, ...]


def parse(data: bytes) -> Script:
    return Script(data[0] if data else 0, tuple(_records(data, 1)))


def _records(data: bytes, offset: int) -> Iterator[Record]:
    while offset + RECORD.size <= len(data):
        action, slot, length = RECORD.unpack_from(data, offset)
        offset += RECORD.size
        yield Record(Action(action % len(Action)), slot % SLOTS, data[offset : offset + length])
        offset += length


def write(script: Script) -> bytes:
    return bytes((script.settings,)) + b"".join(
        RECORD.pack(record.action, record.slot, len(record.payload)) + record.payload for record in script.records
    )


def name_of(slot: int) -> ClusterName:
    return CLUSTERS[slot // (SLOTS // 2)]


# ---- seeds


def seeds() -> list[bytes]:
    random = Random(5403)
    return [write(script) for script in (*_conversations(), *(_story(random) for _ in range(40)))]


def _conversations() -> Iterator[Script]:
    """The captured exchanges, each on two connections of one cluster."""
    for settings, exchange in enumerate(exchanges()):
        steps = [step.client for step in exchange.steps]
        if sum(map(len, steps)) < 10_000:
            records = [Record(Action.RECEIVE, slot, _with_name_of(slot, data)) for data in steps for slot in (0, 1)]
            yield Script(settings % 256, tuple(records))


def _with_name_of(slot: int, data: bytes) -> bytes:
    return encode(Preinit(1, name_of(slot))) if data[:2] == b"\0\0" and len(data) > 14 else data


def _story(random: Random) -> Script:
    """Nodes that join and talk sense."""
    algorithm = random.choice(tuple(Algorithm))
    tls = random.randrange(3)
    records: list[Record] = []
    for slot in range(random.randrange(1, SLOTS + 1)):
        records += _introduction(random, slot, algorithm, secure=tls > 0)
    records += [Record(Action.RECEIVE, random.randrange(SLOTS), encode(sensible(random))) for _ in range(random.randrange(5, 40))]
    return Script(tls + 3 * random.randrange(4), tuple(records))


def _introduction(random: Random, slot: int, algorithm: Algorithm, *, secure: bool) -> list[Record]:
    tls = [Record(Action.RECEIVE, slot, encode(StartTls(2))), Record(Action.SECURE, slot, name_of(slot))] if secure else []
    init = replace(_init(random), node_id=NodeId(slot % 3 + 1), algorithm=algorithm, tie_breaker=TieBreaker(TieBreakerMode.LOWEST))
    return [Record(Action.RECEIVE, slot, encode(Preinit(1, name_of(slot)))), *tls, Record(Action.RECEIVE, slot, encode(init))]


def _ring(random: Random) -> RingId:
    return RingId(NodeId(random.randrange(1, 4)), random.randrange(3))


def _nodes(random: Random) -> tuple[NodeInfo, ...]:
    states = (None, *NodeState)
    return tuple(NodeInfo(NodeId(random.randrange(1, 5)), state=random.choice(states)) for _ in range(random.randrange(4)))


def _init(random: Random) -> Init:
    tie_breaker = TieBreaker(random.choice(tuple(TieBreakerMode)))
    heartbeat_ms = random.choice((1_000, 8_000, 120_000))
    return Init(3, (0,), (0,), NodeId(random.randrange(4)), random.randrange(4), heartbeat_ms, tie_breaker, _ring(random))


def _node_list(random: Random) -> NodeList:
    kind = random.choice(tuple(NodeListType))
    heuristics = random.choice((None, *Heuristics))
    return NodeList(random.randrange(9), kind, random.choice((None, 1)), _ring(random), random.random() < 0.5, _nodes(random), heuristics)


_SENSIBLE: Sequence[Callable[[Random], Message]] = (
    _node_list,
    _node_list,
    _node_list,
    lambda random: HeuristicsChange(8, random.choice((Heuristics.PASS, Heuristics.FAIL))),
    lambda random: VoteInfoReply(random.randrange(1, 6)),
    lambda random: SetOption(9, random.choice((None, 1_000, 5_000)), random.choice((None, True, False))),
    lambda random: AskForVote(10),
    lambda random: EchoRequest(encode(VoteInfoReply(random.randrange(9)))[6:]),
    lambda random: EchoReply(bytes(8)),
    _init,
    lambda random: Preinit(1, random.choice(CLUSTERS)),
)


def sensible(random: Random) -> Message:
    """A well-formed message about few nodes and rings, so that messages have to do with each other."""
    return random.choice(_SENSIBLE)(random)


# ---- mutants


def mutant(random: Random, corpus: Sequence[bytes]) -> bytes:
    """Mostly a story with damage inside its records, sometimes bytes that are hardly a story."""
    data = random.choice(corpus)
    if random.random() < 0.1:
        return mutate(random, data, corpus)
    script = parse(data)
    records = list(script.records)
    for _ in range(random.choice((1, 2, 4, 8))):
        _damage(random, records, parse(random.choice(corpus)).records)
    settings = script.settings if random.random() < 0.9 else random.randrange(256)
    return write(Script(settings, tuple(records)))


def _damage(random: Random, records: list[Record], others: Sequence[Record]) -> None:
    at = random.randrange(len(records) + 1)
    choice = random.randrange(8)
    if choice == 0:
        records.insert(at, Record(random.choice(tuple(Action)), random.randrange(SLOTS), random.randbytes(1)))
    elif choice == 1 and others:
        records[at:at] = others[random.randrange(len(others)) :]
    elif choice == 2:
        records.insert(at, Record(Action.RECEIVE_IN_PIECES, random.randrange(SLOTS), encode(sensible(random))))
    elif choice == 3:
        del records[at : at + random.randrange(1, 4)]
    elif at < len(records):
        record = records[at]
        if choice == 4:
            records[at] = replace(record, slot=random.randrange(SLOTS))
        elif choice == 5:
            records.insert(at, record)
        else:
            payload = mutate(random, record.payload, [record.payload, *(other.payload for other in others[:4])])
            records[at] = replace(record, payload=payload[:0xFFFF])
