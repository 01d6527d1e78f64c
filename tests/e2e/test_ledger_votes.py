"""Votes and the ledger together: no ACK leaves the process before its record is on the disk, and none is forgotten."""

from __future__ import annotations

import random
import re
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from tests.ledger_here import WEB, record_with
from tests.voter_process import PATIENCE_S, RawNode, VoterProcess, ring, voter_process
from thirdvote.arbiter.record import ClusterRecord
from thirdvote.domain import ClusterName, Vote
from thirdvote.ledger.rows import record_of
from thirdvote.wire.codec import encode
from thirdvote.wire.messages import EchoReply, EchoRequest, InitReply, Message, NodeListReply, StartTls, VoteInfo, VoteInfoReply

ECHO = EchoRequest(encode(StartTls(7))[6:])
KILLS = 12
CLUSTERS = 6
BOTH = (1, 2)


def records_in(path: Path) -> dict[ClusterName, ClusterRecord]:
    with closing(sqlite3.connect(path)) as database:
        return dict(record_of(row) for row in database.execute("SELECT * FROM cluster"))


def holders_in(path: Path, cluster: bytes) -> set[int]:
    record = records_in(path).get(ClusterName(cluster))
    return set() if record is None else {holder.node_id for holder in record.holders}


def wait_for_record(path: Path, record: ClusterRecord) -> None:
    """What is not needed before an ACK leaves is written soon after."""
    end = time.monotonic() + PATIENCE_S
    while records_in(path).get(WEB) != record:
        assert time.monotonic() < end, records_in(path)
        time.sleep(0.01)


def version_of(database: sqlite3.Connection) -> int:
    """Changes when somebody else has written."""
    version: int = database.execute("PRAGMA data_version").fetchone()[0]
    return version


def vote_in(message: Message) -> Vote | None:
    return message.vote if isinstance(message, NodeListReply | VoteInfo) else None


@contextmanager
def joined(voter: VoterProcess, cluster: bytes, *node_ids: int) -> Iterator[list[RawNode]]:
    with ExitStack() as stack:
        nodes = [stack.enter_context(voter.node()) for _ in node_ids]
        for node, node_id in zip(nodes, node_ids, strict=True):
            assert isinstance(node.join(cluster, node_id), InitReply)
        yield nodes


def wait_until(node: RawNode, is_it: Callable[[Message], bool]) -> None:
    """Answers what it is told, as a node does."""
    while True:
        message = node.receive()
        assert message is not None, "the voter ended"
        if isinstance(message, VoteInfo):
            node.send(VoteInfoReply(message.sequence_number))
        if is_it(message):
            return


def wait_for(node: RawNode, wanted: Vote) -> None:
    wait_until(node, lambda message: vote_in(message) is wanted)


def test_a_vote_is_in_the_ledger_when_it_arrives_and_steady_state_writes_nothing(tmp_path: Path) -> None:
    with ExitStack() as stack:
        voter = stack.enter_context(voter_process(tmp_path, "--tls", "off", "--late-answers", "off"))
        nodes = stack.enter_context(joined(voter, b"web", *BOTH))
        for node in nodes:
            node.lists(ring(1, 5), BOTH, BOTH)
        for node, node_id in zip(nodes, BOTH, strict=True):
            wait_for(node, Vote.ACK)
            assert node_id in holders_in(voter.data / "ledger.db", b"web")
        wait_for_record(voter.data / "ledger.db", record_with(*BOTH))
        found = voter.status()["ledger"]
        assert found["records"] == 1
        assert found["last_commit_ms"] > 0
        seen = stack.enter_context(closing(sqlite3.connect(voter.data / "ledger.db", isolation_level=None)))
        before = version_of(seen)
        for node in nodes:
            node.lists(ring(1, 9), BOTH, BOTH)
        for node in nodes:
            wait_for(node, Vote.ACK)
        for node in [*nodes, *nodes]:
            node.send(ECHO)
            wait_until(node, lambda message: isinstance(message, EchoReply))
        assert version_of(seen) == before


def acknowledged(node: RawNode) -> bool:
    """Of what still arrives from a voter that was killed."""
    found = False
    while (message := node.receive()) is not None:
        found |= vote_in(message) is Vote.ACK
    return found


def test_a_kill_at_any_instant_forgets_no_vote_that_left(tmp_path: Path) -> None:
    """Every other one comes while votes are leaving, however slow the machine is."""
    chance = random.Random(4)
    told = 0
    for number in range(KILLS):
        names = [b"%d-%d" % (number, cluster) for cluster in range(CLUSTERS)]
        voter = VoterProcess(tmp_path, "--tls", "off")
        voter.start()
        with ExitStack() as stack:
            nodes = {(name, node_id): stack.enter_context(voter.node()) for name in names for node_id in BOTH}
            for (name, node_id), node in nodes.items():
                node.join(name, node_id)
            for node in nodes.values():
                node.lists(ring(1, 5), BOTH, BOTH)
            left = []
            if number % 2:
                left = [first := (names[0], BOTH[0])]
                wait_for(nodes[first], Vote.ACK)
            time.sleep(chance.uniform(0, 0.02))  # the instant of the kill is what is tried
            voter.stop(signal.SIGKILL)
            left += [place for place, node in nodes.items() if acknowledged(node)]
        kept = {name: holders_in(voter.data / "ledger.db", name) for name in names}
        assert [place for place in left if place[1] not in kept[place[0]]] == []
        told += len(left)
    assert told > KILLS, "no kill came while votes were leaving"


def test_after_a_kill_the_other_side_waits_for_who_had_the_vote(tmp_path: Path) -> None:
    voter = VoterProcess(tmp_path, "--tls", "off")
    voter.start()
    with joined(voter, b"web", *BOTH) as nodes:
        for node in nodes:
            node.lists(ring(1, 5), BOTH, BOTH)
        for node in nodes:
            wait_for(node, Vote.ACK)
        nodes[0].lists(ring(1, 9), BOTH, (1,))
        nodes[1].lists(ring(2, 9), BOTH, (2,))
        wait_for(nodes[1], Vote.NACK)
        wait_for(nodes[0], Vote.ACK)
        wait_for_record(voter.data / "ledger.db", record_with(1))
        voter.stop(signal.SIGKILL)
    with voter_process(tmp_path, "--tls", "off") as voter, joined(voter, b"web", 2) as (other,):
        other.lists(ring(2, 9), BOTH, (2,))
        reply = other.receive()
        assert isinstance(reply, NodeListReply)
        while reply is not None and vote_in(reply) is None:
            reply = other.receive()
        assert reply is not None
        assert vote_in(reply) is not Vote.ACK
        waiting = voter.clusters()["web"]["waiting"]
        assert re.match(r"until \d\d:\d\d:\d\d for node 1, which may still report quorum", waiting), waiting
        with joined(voter, b"web", 1) as (holder,):
            holder.lists(ring(1, 9), BOTH, (1,))
            wait_for(holder, Vote.ACK)


def test_a_damaged_one_holds_votes_back_until_it_is_moved_away(tmp_path: Path) -> None:
    voter = VoterProcess(tmp_path, "--tls", "off")
    voter.data.mkdir()
    path = voter.data / "ledger.db"
    path.write_bytes(b"nothing that could be read" * 400)
    with voter_process(tmp_path, "--tls", "off") as voter, joined(voter, b"web", *BOTH) as nodes:
        for node in nodes:
            node.lists(ring(1, 5), BOTH, BOTH)
        voter.wait_for_log('cluster "web"', "is damaged (file is not a database)")
        assert voter.clusters()["web"]["nodes"][0]["has_vote"] is False
        path.rename(path.with_suffix(".db.broken"))
        for node in nodes:
            wait_for(node, Vote.ACK)
        voter.wait_for_log(" info    ledger: the ledger is written again")
        assert holders_in(path, b"web") == {1, 2}
        assert voter.status()["ledger"]["state"] == "ok"
