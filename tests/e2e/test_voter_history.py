"""What a person asks of a voter that is a process of its own: what has happened, across its ends, and the release of a lost node."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.voter_process import RawNode, VoterProcess, infos, ring, voter_process
from thirdvote.control_client import ControlClient
from thirdvote.domain import NodeListType, Vote
from thirdvote.wire.messages import NodeList, NodeListReply, VoteInfo, VoteInfoReply


def kept(voter: VoterProcess, cluster: str | None = None) -> list[dict[str, Any]]:
    with ControlClient(voter.control_path) as client:
        events: list[dict[str, Any]] = client.request({"command": "history"} | ({} if cluster is None else {"cluster": cluster}))["events"]
        return events


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """Without what the ledger has to say at a start."""
    return [event["event"] for event in events if event["event"] != "ledger"]


def thirdvote(voter: VoterProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "thirdvote", *arguments, "--control", str(voter.control_path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=voter.environment)


def start_again(voter: VoterProcess) -> None:
    voter.notified.clear()
    voter.start()


def wait_for_ack(node: RawNode) -> None:
    """Answers whatever it is asked meanwhile, as a stock node does."""
    while True:
        message = node.receive()
        assert message is not None, "the voter closed the connection"
        if isinstance(message, VoteInfo):
            node.send(VoteInfoReply(message.sequence_number))
        if isinstance(message, VoteInfo | NodeListReply) and message.vote is Vote.ACK:
            return


def test_the_history_outlives_a_stop_and_a_kill(tmp_path: Path) -> None:
    voter = VoterProcess(tmp_path, "--tls", "off")
    try:
        voter.start()
        with voter.node() as node:
            node.join(b"web", 1)
            voter.wait_for_log("joined", "web")
        voter.wait_for_log("left", "web")
        assert kinds(kept(voter, "web"))[:2] == ["started", "joined"]
        assert voter.stop() == 0
        start_again(voter)
        before = kinds(kept(voter))
        assert before[-3:] == ["left", "stopped", "started"]
        voter.stop(signal.SIGKILL)
        start_again(voter)
        events = kept(voter, "web")
        assert kinds(events)[-3:] == ["started", "history", "started"]
        (unfinished,) = [event["text"] for event in events if event["event"] == "history"]
        assert unfinished.startswith("the arbitrator did not end in order")
        assert unfinished in thirdvote(voter, "history", "web").stdout
    finally:
        voter.stop()


def test_no_history_where_none_is_wanted(tmp_path: Path) -> None:
    with voter_process(tmp_path, "--tls", "off", "--history", "off") as voter:
        assert voter.status()["history"] == {"kept": False, "problem": None}
        asked = thirdvote(voter, "history")
        assert (asked.returncode, asked.stderr.splitlines()[0]) == (1, "thirdvote: error: no history is kept")
    assert not (voter.data / "history.db").exists()


def test_the_vote_moves_at_once_when_a_lost_node_is_released(tmp_path: Path) -> None:
    """Node 2 was killed: it may still report quorum, for a time that is longer than this test's patience when its heartbeat is."""
    with voter_process(tmp_path, "--tls", "off") as voter, voter.node() as one:
        with voter.node() as two:
            for node, node_id in ((one, 1), (two, 2)):
                node.preinit(b"web")
                node.init(node_id, heartbeat_ms=120_000)
                node.lists(ring(1, 4), (1, 2), (1, 2))
            for node in (one, two):
                wait_for_ack(node)
        voter.wait_for_log("left", "node 2")
        membership = NodeList(one.next_number(), NodeListType.MEMBERSHIP, nodes=infos((1,)), ring_id=ring(1, 8))
        one.send(membership)
        voter.wait_for_log("held-back")
        (cluster,) = voter.clusters().values()
        assert (cluster["waiting_s"] > 25, cluster["bounds"]["overlap_s"]) == (True, 0.0)
        assert [holder["node"] for holder in cluster["holders"] if not holder["connected"]] == [2]
        assert "node 2: " in thirdvote(voter, "clusters", "web").stdout

        connected = thirdvote(voter, "release", "web", "1", "--yes")
        assert connected.stderr.startswith("thirdvote: error: node 1 of web is connected: it is not lost\n")
        unsure = thirdvote(voter, "release", "web")
        assert (unsure.returncode, "there is no terminal to ask at" in unsure.stderr) == (2, True)
        released = thirdvote(voter, "release", "web", "--yes")
        assert (released.returncode, released.stderr) == (0, "")
        assert released.stdout.endswith("node 2 counts as off; `thirdvote clusters web` shows who has the vote now\n")
        wait_for_ack(one)
        voter.wait_for_log("warning operator:", 'cluster "web" node 2', "counts as off on the word of user")
        assert {"held-back", "operator", "released"} <= set(kinds(kept(voter, "web")))
        again = thirdvote(voter, "release", "web", "--yes")
        assert "there is nothing to release" in again.stderr
