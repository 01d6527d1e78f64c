"""Our voter as a process of its own, on loopback and in a folder of the test, and a node that a test speaks for byte by byte."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.tls_material import Authority
from thirdvote.control_client import ControlClient
from thirdvote.domain import Algorithm, ClusterName, NodeId, NodeInfo, NodeListType, RingId, TieBreaker, TieBreakerMode
from thirdvote.wire.codec import decode, encode
from thirdvote.wire.framing import Frame, FrameReader
from thirdvote.wire.messages import Init, Message, NodeList, Preinit, StartTls

PATIENCE_S = 20.0
"""For whatever a test waits for: long enough for a busy machine, and only ever used up by a failure."""


class VoterProcess:
    """Runs from `start` to `stop`. Options are those of `thirdvote serve`, limits the names in Limits."""

    def __init__(self, folder: Path, *options: str, limits: Mapping[str, object] | None = None, prefix: tuple[str, ...] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "data"
        self.control_path = folder / "c.sock"
        self.qnetd_path = folder / "q.sock"
        self.port = free_port()
        self._ready_path = folder / "n.sock"
        place = ["--data", str(self.data), "--control", str(self.control_path), "--qnetd-socket", str(self.qnetd_path)]
        listen = [] if "--listen" in options else ["--listen", str(self.port)]
        self.command = [*prefix, sys.executable, "-m", "thirdvote", "serve", *place, *listen, *options]
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("THIRDVOTE_")}
        self.environment |= {f"THIRDVOTE_LIMITS_{name.upper()}": str(value) for name, value in (limits or {}).items()}
        self.environment |= {"THIRDVOTE_ENROLL_SSH": "off", "THIRDVOTE_ENROLL_HTTPS": "off"}  # where a test does not say otherwise
        self.environment["NOTIFY_SOCKET"] = str(self._ready_path)
        self.notified: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Returns when it says that it is ready; a start that fails is an error here."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(self._ready_path))
            manager.settimeout(0.1)
            self._process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True, env=self.environment)
            self._reader = threading.Thread(target=self._read, args=(self._process,))
            self._reader.start()
            while "READY=1" not in self.notified:
                assert self._process.poll() is None, f"it ended: {self.log()}"
                try:
                    self.notified += manager.recv(4_096).decode().splitlines()
                except TimeoutError:
                    continue

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            with self._news:
                self._lines.append(line.rstrip("\n"))
                self._news.notify_all()

    def log(self) -> str:
        with self._news:
            return "\n".join(self._lines)

    def wait_for_log(self, *texts: str) -> str:
        """The first line with all of `texts`, when it has come."""

        def found() -> str | None:
            return next((line for line in self._lines if all(text in line for text in texts)), None)

        with self._news:
            assert self._news.wait_for(lambda: found() is not None, PATIENCE_S), f"no line with {texts} in:\n" + "\n".join(self._lines)
            return found() or ""

    def kill(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self.kill(number)
        return self.wait()

    def wait(self) -> int:
        assert self._process is not None
        assert self._reader is not None
        try:
            status = self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join(PATIENCE_S)
            self._ready_path.unlink(missing_ok=True)
            if self._process.stderr is not None:
                self._process.stderr.close()
        return status

    # ---- what it says of itself

    def status(self) -> dict[str, Any]:
        with ControlClient(self.control_path) as client:
            found: dict[str, Any] = client.request({"command": "status"})["status"]
            return found

    def clusters(self) -> dict[str, Any]:
        with ControlClient(self.control_path) as client:
            found = client.request({"command": "snapshot"})["snapshot"]["clusters"]
            return {cluster["name"]: cluster for cluster in found}

    # ---- nodes

    def authority(self) -> Authority:
        """The one that it made itself, to sign with in a test."""
        certificate = x509.load_pem_x509_certificate((self.data / "pki" / "ca.crt").read_bytes())
        key = serialization.load_pem_private_key((self.data / "pki" / "ca.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        folder = self.data.parent / "nodes"
        folder.mkdir(exist_ok=True)
        return Authority(folder, key, certificate)

    def client_context(self, common_name: str | None) -> ssl.SSLContext:
        """Of a node that has a certificate for that name, or none; it trusts our server and looks at its name as a stock node does."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.data / "pki" / "ca.crt")
        if common_name is not None:
            context.load_cert_chain(self.authority().issue(common_name))
        return context

    @contextmanager
    def node(self, host: str = "127.0.0.1") -> Iterator[RawNode]:
        with RawNode(host, self.port) as node:
            yield node


@contextmanager
def voter_process(
    folder: Path, *options: str, limits: Mapping[str, object] | None = None, prefix: tuple[str, ...] = ()
) -> Iterator[VoterProcess]:
    process = VoterProcess(folder, *options, limits=limits, prefix=prefix)
    try:
        process.start()
        yield process
    finally:
        process.stop()


def free_port() -> int:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        probe.bind(("::", 0))
        port: int = probe.getsockname()[1]
        return port


class RawNode:
    """A connection to the voter; blocking, every wait bounded by PATIENCE_S."""

    def __init__(self, host: str, port: int, receive_buffer: int | None = None) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket: socket.socket | ssl.SSLSocket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect((host, port))
        self._reader = FrameReader(1 << 20)
        self.number = 0

    def __enter__(self) -> RawNode:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *messages: Message) -> None:
        self.socket.sendall(b"".join(encode(message) for message in messages))

    def next_number(self) -> int:
        self.number += 1
        return self.number

    def receive(self) -> Message | None:
        """The next message; None at the end of the stream, however it came."""
        while True:
            frame = self._reader.next()
            if frame is not None:
                assert isinstance(frame, Frame)
                return decode(frame.type, frame.body)
            try:
                data = self.socket.recv(65_536)
            except (ConnectionResetError, ssl.SSLError):
                return None
            if not data:
                return None
            self._reader.feed(data)

    def ask(self, message: Message) -> Message | None:
        self.send(message)
        return self.receive()

    def wait_until_closed(self) -> None:
        while self.receive() is not None:
            pass

    def preinit(self, cluster: bytes) -> Message | None:
        return self.ask(Preinit(self.next_number(), ClusterName(cluster)))

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.send(StartTls(self.next_number()))
        self.secure(context)

    def secure(self, context: ssl.SSLContext) -> None:
        assert not isinstance(self.socket, ssl.SSLSocket)
        self.socket = context.wrap_socket(self.socket, server_hostname="Qnetd Server")

    def init(self, node_id: int, algorithm: Algorithm = Algorithm.FFSPLIT, heartbeat_ms: int = 8_000) -> Message | None:
        message = Init(
            self.next_number(), (), (), NodeId(node_id), algorithm, heartbeat_ms, TieBreaker(TieBreakerMode.LOWEST), ring(node_id, 1)
        )
        return self.ask(message)

    def join(self, cluster: bytes, node_id: int, context: ssl.SSLContext | None = None) -> Message | None:
        self.preinit(cluster)
        if context is not None:
            self.start_tls(context)
        return self.init(node_id)

    def lists(self, ring_id: RingId, configured: tuple[int, ...], members: tuple[int, ...]) -> None:
        """The burst of a stock node, without waiting for answers."""
        config = NodeList(self.next_number(), NodeListType.INITIAL_CONFIG, nodes=infos(configured))
        membership = replace(
            config, sequence_number=self.next_number(), list_type=NodeListType.MEMBERSHIP, ring_id=ring_id, nodes=infos(members)
        )
        self.send(config, membership)


def ring(node_id: int, sequence: int) -> RingId:
    return RingId(NodeId(node_id), sequence)


def infos(node_ids: tuple[int, ...]) -> tuple[NodeInfo, ...]:
    return tuple(NodeInfo(NodeId(node_id)) for node_id in node_ids)
