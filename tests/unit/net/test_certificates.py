"""A voter with two nodes of two clusters over TLS, and what becomes of them when certificates change."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests.tls_material import Authority, make_authority
from tests.voter_here import VoterHere, voter_here
from thirdvote.arbiter.interface import Level
from thirdvote.domain import Algorithm, ClusterName, NodeId, NodeInfo, RingId, TieBreaker, TieBreakerMode
from thirdvote.errors import UserError
from thirdvote.net import certificates
from thirdvote.net.certificates import Certificates, Loaded, Warned
from thirdvote.net.log import Event
from thirdvote.net.tls import CertificatePaths, server_context
from thirdvote.node.connection import Event as NodeEvent
from thirdvote.node.connection import NodeConnection, client_context, dial
from thirdvote.revocations import Revocations, Revoked
from thirdvote.session.node import Close, Connected, Identity, NodeSession, Standing
from thirdvote.session.node_rules import TlsWish

PATIENCE_S = 20.0
REVOKED = Revoked("2099-01-01", "stolen")


class Node:
    """One that introduces itself, and says when it is closed."""

    def __init__(self, name: str, authority: Authority) -> None:
        self.name = name
        self.path = authority.issue(name)
        self.number = x509.load_pem_x509_certificate(self.path.read_bytes()).serial_number
        self.fingerprint = x509.load_pem_x509_certificate(self.path.read_bytes()).fingerprint(hashes.SHA256()).hex(":").upper()
        self._context = client_context(authority.path, self.path)
        self._closed = asyncio.Event()

    async def connect(self, port: int) -> None:
        alone = (NodeInfo(NodeId(1)),)
        identity = Identity(
            ClusterName(self.name.encode()), NodeId(1), Algorithm.FFSPLIT, TieBreaker(TieBreakerMode.LOWEST), 8_000, tls=TlsWish.ON
        )
        standing = Standing(RingId(NodeId(1), 1), alone, alone, alone, quorate=True)
        session = NodeSession(identity, standing, asyncio.get_running_loop().time())
        await dial("127.0.0.1", port, session, self._hear, self._context)

    async def closed(self) -> None:
        await asyncio.wait_for(self._closed.wait(), PATIENCE_S)

    def _hear(self, connection: NodeConnection, event: NodeEvent) -> None:
        if isinstance(event, Connected):
            connection.act(connection.session.introduce())
        if isinstance(event, Close):
            self._closed.set()


@dataclass
class Here:
    voter: VoterHere
    web: Node
    db: Node
    loaded: Loaded
    """What the next look at the files finds."""
    problem: UserError | None = None
    recorded: list[int] = field(default_factory=list)
    certificates: Certificates = field(init=False)

    def connected(self) -> set[str]:
        return {name.decode() for name in self.voter.voter.arbiter.cluster_names()}

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not done():  # noqa: ASYNC110  # what is waited for is the voter's own state
                await asyncio.sleep(0.001)

    async def shown(self) -> list[dict[str, Any]]:
        return [each async for each in self.certificates.shown()]

    def context_of(self, authority: Authority) -> ssl.SSLContext:
        own = authority.issue("Qnetd Server")
        return server_context(CertificatePaths(own, own, authority.path), client_certificate=True)


@asynccontextmanager
async def here(folder: Path) -> AsyncIterator[Here]:
    authority = make_authority(folder)
    own = authority.issue("Qnetd Server")
    context = server_context(CertificatePaths(own, own, authority.path), client_certificate=True)
    async with voter_here(context) as voter:
        place = Here(voter, Node("web", authority), Node("db", authority), Loaded(context))

        def load() -> Loaded:
            if place.problem is not None:
                raise place.problem
            return place.loaded

        place.certificates = Certificates(voter.voter, place.loaded, load, lambda: place.recorded.append(1))
        for node in (place.web, place.db):
            await node.connect(voter.port)
        await place.until(lambda: place.connected() == {"web", "db"})
        yield place


def run(folder: Path, story: Callable[[Here], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with here(folder) as place:
            await story(place)

    asyncio.run(whole())


def test_what_nodes_have_shown_is_said_when_it_is_asked_for(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        web, db = sorted(await here.shown(), key=lambda each: str(each["cluster"]), reverse=True)
        assert (web["cluster"], web["node"], web["subject"], web["authority"]) == ("web", 1, "web", "Test CA")
        assert (web["serial_number"], web["fingerprint_sha256"]) == (f"{here.web.number:x}", here.web.fingerprint)
        assert db["serial_number"] == f"{here.db.number:x}"
        assert 0 < web["seconds_left"] <= 86_400
        assert [each["cluster"] async for each in here.certificates.shown([ClusterName(b"db")])] == ["db"]

    run(tmp_path, story)


@pytest.mark.parametrize("way", ["serial", "cluster"])
def test_a_revoked_certificate_ends_its_session_at_once_and_no_other(tmp_path: Path, way: str) -> None:
    async def story(here: Here) -> None:
        revocations = Revocations()
        revoked = revocations.with_certificates({here.web.number: REVOKED}) if way == "serial" else revocations.with_cluster("web")
        here.loaded = Loaded(here.loaded.context, revoked)
        assert await here.certificates.read_again() == 1
        await here.web.closed()
        await here.until(lambda: here.connected() == {"db"})
        said = f"its certificate {here.web.number:x} for 'web' is revoked"
        assert any("left: " in line and said in line for line in here.voter.log)
        await here.web.connect(here.voter.port)
        await here.until(lambda: any("refused: " in line and said in line for line in here.voter.log))
        assert here.connected() == {"db"}

    run(tmp_path, story)


def test_of_a_revoked_cluster_a_certificate_that_was_signed_afterwards_gets_in(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        here.loaded = Loaded(here.loaded.context, Revocations().with_cluster("web", [here.web.number]))
        assert await here.certificates.read_again() == 0
        assert here.connected() == {"web", "db"}

    run(tmp_path, story)


def test_new_connections_get_the_new_certificate_and_the_others_go_on(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        other = make_authority(tmp_path / "other", "Other CA")
        here.loaded = Loaded(here.context_of(other), facts={"authority": {"valid_until": "2036"}})
        assert await here.certificates.read_again() == 0
        assert here.voter.voter.context is here.loaded.context
        assert here.connected() == {"web", "db"}
        assert here.certificates.status()["authority"] == {"valid_until": "2036"}

    run(tmp_path, story)


def test_what_can_not_be_read_changes_nothing(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        before = here.voter.voter.context
        here.problem = UserError("ca.crt is damaged", "restore it")
        with pytest.raises(UserError):
            await here.certificates.read_again()
        assert here.voter.voter.context is before
        assert here.connected() == {"web", "db"}

    run(tmp_path, story)


def test_what_was_read_first_is_never_taken_over_last(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        go_on, begun = threading.Event(), list[int]()
        found = [Loaded(here.loaded.context), Loaded(here.loaded.context, Revocations().with_cluster("web"))]

        def slow() -> Loaded:
            begun.append(1)
            go_on.wait(PATIENCE_S)
            return found.pop(0)

        certificates = Certificates(here.voter.voter, here.loaded, slow)
        both = [asyncio.create_task(certificates.read_again()) for _ in range(2)]
        await here.until(lambda: bool(begun))
        await asyncio.sleep(0.02)
        assert begun == [1]
        go_on.set()
        assert await asyncio.gather(*both) == [0, 1]
        assert here.voter.voter.revocations.refuse(1, [b"web"])

    run(tmp_path, story)


def test_warnings_are_in_the_log_and_the_status_with_what_nodes_show(tmp_path: Path) -> None:
    """The test's certificates are valid for a day: of web the inventory has said so already."""

    async def story(here: Here) -> None:
        here.loaded = Loaded(here.loaded.context, warnings=(Warned("ca.crt expires"), Warned("the certificate of 'web' expires", "web")))
        await here.certificates.read_again()
        own, web, db = here.certificates.status()["warnings"]
        assert own == {"text": "ca.crt expires", "cluster": None}
        assert web == {"text": "the certificate of 'web' expires", "cluster": "web"}
        assert (db["cluster"], "enrol it anew" in db["text"]) == ("db", True)
        told = [line for line in here.voter.log if "certificate: " in line]
        assert [each["text"] in line for each, line in zip((own, web, db), told, strict=True)] == [True] * 3

    run(tmp_path, story)


def test_it_is_looked_at_by_itself_and_a_failure_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "CHECK_EVERY_S", 0.01)

    async def story(here: Here) -> None:
        heard: list[Event] = []
        here.voter.voter.subscribe(heard.append, Level.INFO)
        here.loaded = Loaded(here.loaded.context, Revocations().with_cluster("web"), renewed=True)
        here.certificates.start()
        await here.web.closed()
        await here.until(lambda: bool(here.recorded))
        assert any("was renewed" in event.text for event in heard)
        here.problem = UserError("ca.crt is damaged", "restore it")
        await here.until(lambda: any("could not be checked" in event.text and "restore it" in event.text for event in heard))
        here.certificates.stop()
        assert here.connected() == {"db"}

    run(tmp_path, story)
