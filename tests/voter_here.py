"""A voter on a free loopback port, in the event loop of the test."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from thirdvote.arbiter.arbiter import Arbiter
from thirdvote.arbiter.interface import Level
from thirdvote.config import Settings
from thirdvote.domain import TlsSupport
from thirdvote.net.listener import Listener, open_port
from thirdvote.net.log import FORMATS, Log
from thirdvote.net.voter import Voter


@dataclass(frozen=True, slots=True)
class VoterHere:
    voter: Voter
    port: int
    log: list[str] = field(default_factory=list)

    def reasons(self) -> dict[int, str]:
        """Of all nodes, whatever their cluster: why each has the vote or not."""
        clusters = self.voter.arbiter.snapshot(self.voter.now()).clusters
        return {node.node_id: node.because for cluster in clusters for node in cluster.nodes}


@asynccontextmanager
async def voter_here(context: ssl.SSLContext | None = None) -> AsyncIterator[VoterHere]:
    """With `context` TLS is required, and a client certificate with it."""
    settings = Settings(tls=TlsSupport.UNSUPPORTED if context is None else TlsSupport.REQUIRED)
    loop = asyncio.get_running_loop()
    lines: list[str] = []
    log = Log(lines.append, FORMATS["text"], Level.DEBUG, settings.limits)
    voter = Voter(loop, Arbiter(settings), settings, context, log, 100)
    listening = open_port("127.0.0.1", 0, 4, 100)
    listener = Listener(loop, listening, voter.accepted, voter.exhausted)
    try:
        yield VoterHere(voter, listening.getsockname()[1], lines)
    finally:
        listener.close()
        await voter.stop()
