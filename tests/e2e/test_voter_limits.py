"""The voter as a real process at its limits: what happens is defined, and nodes that have joined keep their votes."""

from __future__ import annotations

import contextlib
import resource
import socket
from pathlib import Path

from tests.voter_process import PATIENCE_S, RawNode, VoterProcess, infos, ring, voter_process
from thirdvote.domain import NodeListType
from thirdvote.wire.codec import encode
from thirdvote.wire.messages import EchoReply, EchoRequest, InitReply, NodeList, StartTls

ECHO = EchoRequest(encode(StartTls(7))[6:])


def test_a_connection_that_does_not_introduce_itself_is_closed(tmp_path: Path) -> None:
    with (
        voter_process(tmp_path, limits={"before_init_s": 0.3}) as voter,
        voter.node() as silent,
        voter.node() as half,
        voter.node() as named,
    ):
        named.preinit(b"c")
        half.preinit(b"c")
        half.send(StartTls(2))
        half.socket.sendall(b"\x16\x03\x01")
        for node in (silent, half, named):
            node.wait_until_closed()
        voter.wait_for_log("warning", "refused", "not done with its introduction after 0.3 s")
        voter.wait_for_log("warning", "refused", "not done with the TLS handshake after 0.3 s")


def test_more_connections_than_allowed_are_closed_and_the_others_go_on(tmp_path: Path) -> None:
    with voter_process(tmp_path, "--tls", "off", "--max-clients", "3") as voter, contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(voter.node()) for _ in range(3)]
        for number, node in enumerate(nodes, start=1):
            node.join(b"c", number)
        with voter.node() as fourth:
            fourth.wait_until_closed()
        voter.wait_for_log("refused", "there are 3 connections, and no more are allowed")
        assert nodes[0].ask(ECHO) == EchoReply(ECHO.body, 7)
        assert voter.status()["connections_max"] == 3


def test_nodes_that_have_joined_leave_room_for_those_that_have_not(tmp_path: Path) -> None:
    limits = {"before_init_per_address": 2}
    with voter_process(tmp_path, "--tls", "off", limits=limits) as voter, contextlib.ExitStack() as stack:
        for number in range(1, 5):
            joined = stack.enter_context(voter.node())
            assert isinstance(joined.join(b"c", number), InitReply)
        waiting = [stack.enter_context(voter.node()) for _ in range(2)]
        for node in waiting:
            node.preinit(b"c")
        with voter.node() as one_more:
            one_more.wait_until_closed()
        assert voter.status()["connections_before_init"] == 2
        voter.wait_for_log("refused", "its address has 2 connections that have not joined a cluster yet")


def test_few_file_descriptors_bound_the_connections_at_the_start(tmp_path: Path) -> None:
    with voter_process(tmp_path, "--tls", "off", prefix=("prlimit", "--nofile=90:90")) as voter, contextlib.ExitStack() as stack:
        voter.wait_for_log("limit", "at most 45 nodes can be connected: this process may open only 90 files")
        first = stack.enter_context(voter.node())
        first.join(b"c", 1)
        for number in range(2, 60):
            node = stack.enter_context(voter.node())
            node.join(b"c", number) if number <= 45 else node.wait_until_closed()
        assert first.ask(ECHO) is not None
        assert voter.status()["connections"] == 45


def test_no_file_descriptor_left(tmp_path: Path) -> None:
    """Nothing is accepted for a while; whoever waits is served later; the log has a line, not a flood."""
    with voter_process(tmp_path, "--tls", "off", "--history", "off") as voter, voter.node() as node, contextlib.ExitStack() as stack:
        node.join(b"c", 1)
        open_now = len(list(Path(f"/proc/{voter.pid}/fd").iterdir()))
        before = resource.prlimit(voter.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(voter.pid, resource.RLIMIT_NOFILE, (open_now, before[1]))
        late = stack.enter_context(voter.node())
        voter.wait_for_log("warning", "exhausted", "no new connections for a moment (too many open files)")
        assert node.ask(ECHO) == EchoReply(ECHO.body, 7)
        resource.prlimit(voter.pid, resource.RLIMIT_NOFILE, before)
        assert isinstance(late.join(b"c", 2), InitReply)
        assert node.ask(ECHO) is not None
        assert voter.log().count("exhausted") < 20


def test_a_node_that_does_not_read_is_dropped_and_the_sender_stays(tmp_path: Path) -> None:
    """Votes pile up for a node whose buffers are full; it is the one that goes."""
    options = ("--tls", "off", "--handover", "stock")  # which answers each list with votes
    with voter_process(tmp_path, *options, limits={"dead_peer_enabled": "off"}) as voter, voter.node() as node:
        node.join(b"c", 1)
        with RawNode("127.0.0.1", voter.port, receive_buffer=4_096) as deaf:
            deaf.join(b"c", 2)
            deaf.lists(ring(1, 5), (1, 2), (1, 2))
            node.lists(ring(1, 5), (1, 2), (1, 2))
            fill(deaf)
            rounds = 0
            while "does not read" not in voter.log():
                node.send(NodeList(9, NodeListType.MEMBERSHIP, ring_id=ring(1, 5), nodes=infos((1, 2))))
                assert node_is_served(node)
                rounds += 1
                assert rounds < 1_000
            assert voter.clusters()["c"]["missing"] == [2]
            assert node_is_served(node)


def fill(deaf: RawNode) -> None:
    """Echoes that it never reads the answers of, until the voter takes no more from it."""
    deaf.socket.settimeout(1.0)
    with contextlib.suppress(TimeoutError):
        while True:
            deaf.socket.sendall(encode(ECHO) * 1_000)


def node_is_served(node: RawNode) -> bool:
    node.send(ECHO)
    while (message := node.receive()) is not None:
        if isinstance(message, EchoReply):
            return True
    return False


def test_a_flood_from_one_node_leaves_the_others_their_turns(tmp_path: Path) -> None:
    with voter_process(tmp_path, "--tls", "off") as voter, voter.node() as loud, voter.node() as quiet:
        loud.join(b"loud", 1)
        quiet.join(b"quiet", 1)
        loud.socket.sendall(encode(ECHO) * 20_000)
        assert quiet.ask(ECHO) == EchoReply(ECHO.body, 7)
        assert all(loud.receive() == EchoReply(ECHO.body, 7) for _ in range(20_000))


def test_a_flood_of_connections_does_not_flood_the_log(tmp_path: Path) -> None:
    with voter_process(tmp_path, "--tls", "off", "--max-clients", "1") as voter, voter.node() as node:
        node.join(b"c", 1)
        for _ in range(200):
            with socket.create_connection(("127.0.0.1", voter.port), PATIENCE_S) as stranger, contextlib.suppress(ConnectionResetError):
                stranger.recv(1)
        assert node.ask(ECHO) is not None
        assert voter.stop() == 0
        lines = [line for line in voter.log().splitlines() if "connection refused" in line]
        assert 20 <= len(lines) <= 60
        assert "more like this were not written" in voter.log()


def test_memory_stays_small(tmp_path: Path) -> None:
    """The bound of an idle voter: 32 MiB."""
    with voter_process(tmp_path) as voter:
        assert resident_kib(voter) <= 32 * 1_024


def resident_kib(voter: VoterProcess) -> int:
    text = Path(f"/proc/{voter.pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS:"))
