"""The voter's certificates while it runs: looked at once a day, read again when somebody asks, and what of them needs a person.

Everything that takes time is done beside the loop, by `load`. A connection that is there keeps the certificate that it began with;
only what is revoked ends it.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from thirdvote.arbiter.interface import Level
from thirdvote.domain import ClusterName, printable
from thirdvote.errors import UserError
from thirdvote.net.log import Event
from thirdvote.net.tls import PeerCertificate
from thirdvote.net.voter import Voter
from thirdvote.revocations import Revocations

CHECK_EVERY_S = 86_400.0

EXPIRES_SOON_S = 60 * 86_400.0
"""Before a node's certificate ends, somebody should know: two maintenance windows."""

CLUSTERS_PER_SLICE = 8

NAMED_MAX = 20
"""Clusters that are named in the log and in the status; the others are counted."""

EVENT = "certificate"


@dataclass(frozen=True, slots=True)
class Warned:
    """Something about a certificate that a person should know. `cluster` is None for the arbitrator's own."""

    text: str
    cluster: str | None = None

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Warned:
        return cls(said["text"], said.get("cluster"))


@dataclass(frozen=True, slots=True)
class Loaded:
    """`context` is None where TLS is off; `renewed`: the server's certificate just was. `facts` are those of our own certificates."""

    context: ssl.SSLContext | None = None
    revocations: Revocations = field(default_factory=Revocations)
    warnings: tuple[Warned, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    renewed: bool = False


Load = Callable[[], Loaded]


def _nothing() -> None:
    """Where there is no inventory."""


class Certificates:
    """`load` and `record`, which keeps which certificates are in use, may wait and fail; they are called in a thread."""

    def __init__(self, voter: Voter, loaded: Loaded, load: Load, record: Callable[[], None] = _nothing) -> None:
        self._voter = voter
        self._load = load
        self._record = record
        self._loaded = loaded
        self._shown: tuple[Warned, ...] = ()
        self._reading = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        voter.revocations = loaded.revocations

    def start(self) -> None:
        self._tell()
        self._task = asyncio.get_running_loop().create_task(self._watch())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def status(self) -> dict[str, Any]:
        warnings = [{"text": warned.text, "cluster": warned.cluster} for warned in (*self._loaded.warnings, *self._shown)]
        return {**self._loaded.facts, "revoked": len(self._loaded.revocations.certificates), "warnings": warnings}

    async def read_again(self) -> int:
        """How many connections ended, because their certificate is revoked. UserError: everything is as it was.

        One at a time, so that what was read first is never taken over last.
        """
        async with self._reading:
            return await self._take_over(await asyncio.to_thread(self._load))

    async def _take_over(self, loaded: Loaded) -> int:
        self._loaded = loaded
        self._voter.context = loaded.context
        self._voter.revocations = loaded.revocations
        ended = await self._voter.end_refused()
        self._shown = await self._expiring()
        self._tell()
        return ended

    async def shown(self, names: Iterable[ClusterName] | None = None) -> AsyncIterator[dict[str, Any]]:
        """What connected nodes have shown, of these clusters or of all; made when it is asked for."""
        arbiter = self._voter.arbiter
        for index, name in enumerate(arbiter.cluster_names() if names is None else names):
            if index % CLUSTERS_PER_SLICE == 0:
                await asyncio.sleep(0)
            snapshot = arbiter.cluster_snapshot(name, self._voter.now())
            for node in () if snapshot is None else snapshot.nodes:
                found = self._voter.certificate_of(node.connection)
                if found is not None:
                    yield {"cluster": printable(name), "node": node.node_id, "address": node.address, **_view(*found)}

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            try:
                await self.read_again()
            except UserError as error:
                self._say(Level.ERROR, f"the certificates could not be checked, those of before are used: {error.with_hint}")
            try:
                await asyncio.to_thread(self._record)
            except UserError as error:
                self._say(Level.WARNING, f"it could not be kept which certificates are in use: {error.with_hint}")

    async def _expiring(self) -> tuple[Warned, ...]:
        """Clusters of which the inventory says nothing, and whose nodes show what ends soon."""
        known = {warned.cluster for warned in self._loaded.warnings}
        until: dict[str, str] = {}
        async for shown in self.shown():
            if shown["seconds_left"] < EXPIRES_SOON_S and shown["cluster"] not in known:
                until[shown["cluster"]] = shown["valid_until"]
        warned = [
            Warned(f"{name}: the certificate that its nodes show ends on {end[:10]}: {ENROL_ANEW}", name) for name, end in until.items()
        ]
        more = len(warned) - NAMED_MAX
        rest = [Warned(f"and {more} more clusters: `thirdvote ca list` has them all")] if more > 0 else []
        return (*warned[:NAMED_MAX], *rest)

    def _tell(self) -> None:
        if self._loaded.renewed:
            self._say(Level.INFO, "the server certificate was renewed; nodes that are connected stay so, and trust it as the one before")
        for warned in (*self._loaded.warnings, *self._shown):
            cluster = None if warned.cluster is None else ClusterName(warned.cluster.encode())
            self._say(Level.WARNING, warned.text, cluster)

    def _say(self, level: Level, text: str, cluster: ClusterName | None = None) -> None:
        self._voter.tell(Event(level, EVENT, text, cluster))


ENROL_ANEW = "enrol it anew, docs/certificates.md says how"


def _view(certificate: PeerCertificate, fingerprint: str) -> dict[str, Any]:
    return {
        "serial_number": f"{certificate.serial_number:x}",
        "subject": certificate.subject,
        "authority": certificate.authority,
        "fingerprint_sha256": fingerprint,
        "valid_from": _iso(certificate.valid_from),
        "valid_until": _iso(certificate.valid_until),
        "seconds_left": round(certificate.valid_until - time.time()),
    }


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
