"""Debian's corosync-qnetd-tool against our voter, side by side with the stock server: what it prints is the same."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lockstep.servers import start_stock
from tests.voter_process import PATIENCE_S, RawNode, VoterProcess, free_port, infos, ring, voter_process
from thirdvote.domain import Algorithm, ClusterName, Heuristics, NodeId, NodeInfo, NodeListType, TieBreaker, TieBreakerMode
from thirdvote.wire.messages import Init, NodeList, NodeListReply, Preinit, SetOption

TOOL = "corosync-qnetd-tool"

pytestmark = [
    pytest.mark.stock,
    pytest.mark.skipif(shutil.which(TOOL) is None or shutil.which("corosync-qnetd") is None, reason="needs Debian's corosync-qnetd"),
]


class Pair:
    """Our voter and the stock server, and the same nodes connected to both."""

    def __init__(self, voter: VoterProcess, stock_port: int, stock_socket: Path) -> None:
        self.voter = voter
        self.ports = (voter.port, stock_port)
        self.sockets = (voter.qnetd_path, stock_socket)

    def tool(self, *arguments: str) -> tuple[str, str]:
        """Output, errors and status for both, with what differs by nature taken out: ports."""
        ours, theirs = (self._tool(path, port, arguments) for path, port in zip(self.sockets, self.ports, strict=True))
        return ours, theirs

    def _tool(self, path: Path, port: int, arguments: tuple[str, ...]) -> str:
        done = subprocess.run([TOOL, "-p", str(path), *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        text = f"{done.stdout}--- {done.stderr}--- {done.returncode}"
        return re.sub(r"(127\.0\.0\.1):\d+", r"\1:PORT", text)

    def raw(self, request: bytes) -> tuple[bytes, bytes]:
        """What the sockets answer to `request`, up to the end of the stream."""
        ours, theirs = (ask(path, request) for path in self.sockets)
        return ours, theirs


def ask(path: Path, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE_S)
        client.connect(str(path))
        client.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := client.recv(65_536):
                answer += piece
        return answer


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    port = free_port()
    options = ("--tls", "off", "--handover", "stock", "--test-algorithm", "on", "--listen", f"127.0.0.1:{port}")
    with voter_process(folder / "ours", *options) as voter, contextlib.ExitStack() as stack:
        voter.port = port
        stock = start_stock(folder)
        stack.callback(stock.stop)
        for server_port in (voter.port, stock.port):
            connect_nodes(stack, server_port)
        yield Pair(voter, stock.port, folder / "qnetd.sock")


def connect_nodes(stack: contextlib.ExitStack, port: int) -> None:
    """Three clusters with something to show in each line, and a connection before INIT."""
    first = join(stack, port, b"pair", 1)
    first.ask(SetOption(8, None, True))
    first.ask(NodeList(9, NodeListType.INITIAL_CONFIG, config_version=7, nodes=(NodeInfo(NodeId(1), 4), NodeInfo(NodeId(2)))))
    membership = NodeList(10, NodeListType.MEMBERSHIP, ring_id=ring(1, 26), nodes=infos((1,)), heuristics=Heuristics.PASS)
    answer_of(first, membership)
    second = join(stack, port, b"pair", 2)
    second.ask(SetOption(8, None, True))
    lonely = join(stack, port, b"a name", 12, Algorithm.LMS, TieBreaker(TieBreakerMode.NODE_ID, NodeId(12)))
    answer_of(lonely, NodeList(10, NodeListType.MEMBERSHIP, ring_id=ring(12, 3), nodes=infos((12, 13))))
    join(stack, port, b"tested", 3, Algorithm.TEST, TieBreaker(TieBreakerMode.HIGHEST))
    stack.enter_context(RawNode("127.0.0.1", port)).ask(Preinit(1, ClusterName(b"not yet")))


def join(
    stack: contextlib.ExitStack,
    port: int,
    cluster: bytes,
    node_id: int,
    algorithm: Algorithm = Algorithm.FFSPLIT,
    tie_breaker: TieBreaker | None = None,
) -> RawNode:
    node = stack.enter_context(RawNode("127.0.0.1", port))
    node.preinit(cluster)
    breaker = tie_breaker or TieBreaker(TieBreakerMode.LOWEST)
    node.ask(Init(2, (), (), NodeId(node_id), algorithm, 8_000, breaker, ring(node_id, 1)))
    return node


def answer_of(node: RawNode, message: NodeList) -> None:
    node.send(message)
    while not isinstance(node.receive(), NodeListReply):
        pass


@pytest.mark.parametrize("arguments", ["-s", "-s -v", "-l", "-l -v", "-l -v -c pair", "-l -c nobody", "-s -c pair", "-l -v -s", "-l -c"])
def test_the_tool_prints_the_same(pair: Pair, arguments: str) -> None:
    ours, theirs = pair.tool(*arguments.split())
    assert ours == theirs


def test_a_name_with_a_blank_can_be_asked_for(pair: Pair) -> None:
    ours, theirs = pair.tool("-l", "-v", "-c", "a name")
    assert ours == theirs
    assert "Node ID 12:" in ours


@pytest.mark.parametrize(
    "request_line",
    [
        b"\n",
        b"   \n",
        b"nonsense\n",
        b"STATUS\n",
        b'st"at"us verbose\n',
        b"status\\ \n",
        b"status other words verbose\n",
        b"status cluster pair verbose\n",
        b"status verbose verbose\n",
        b"status verbose\rlist\n",
        b"list unknown verbose\n",
        b"list verbose unknown\n",
        b'list cluster "a name" verbose\n',
        b"list cluster a\\ name\n",
        b'list cluster "pair\n',
        b"list cluster\n",
        b'list cluster ""\n',
        b"list Verbose CLUSTER pair\n",
        b'"nonsense \\x \\" \\\\"\n',
        b"status" + b" " * 4_200 + b"\n",
    ],
)
def test_requests_are_read_the_same(pair: Pair, request_line: bytes) -> None:
    ours, theirs = (re.sub(rb"(127\.0\.0\.1):\d+", rb"\1:PORT", answer) for answer in pair.raw(request_line))
    assert ours == theirs


def test_shutdown_by_the_tool(tmp_path: Path) -> None:
    with voter_process(tmp_path, "--tls", "off") as voter:
        done = subprocess.run([TOOL, "-p", str(voter.qnetd_path), "-H"], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert voter.wait() == 0


def test_an_escaped_name_stays_on_its_line(tmp_path: Path) -> None:
    """The stock server prints the name as it is, whatever a terminal makes of it, and cuts it at a NUL."""
    with voter_process(tmp_path, "--tls", "off") as voter, voter.node() as node:
        node.join(b'x"\n\x1b[31m\0y', 1)
        done = subprocess.run([TOOL, "-p", str(voter.qnetd_path), "-l"], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
        assert done.stdout.splitlines()[0] == 'Cluster "x\\"\\n\\x1b[31m\\x00y":'


def test_silent_local_connections_do_not_block_the_tool_for_long(tmp_path: Path) -> None:
    """The stock server keeps ten of them for ever, and then nobody gets an answer."""
    with voter_process(tmp_path, "--tls", "off", limits={"ipc_idle_s": 0.3}) as voter, contextlib.ExitStack() as stack:
        silent = []
        for _ in range(10):
            client = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            client.settimeout(PATIENCE_S)
            client.connect(str(voter.qnetd_path))
            silent.append(client)
        for client in silent:
            assert client.recv(1) == b""
        assert ask(voter.qnetd_path, b"status\n").startswith(b"OK\nQNetd address:")
