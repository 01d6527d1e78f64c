from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.voter_here import VoterHere, voter_here
from thirdvote.arbiter.interface import Connected, Level, Received
from thirdvote.config import Limits
from thirdvote.domain import Algorithm, ClusterName, NodeId, RingId, TieBreaker, TieBreakerMode
from thirdvote.net.control import Control
from thirdvote.net.local_socket import open_local_socket
from thirdvote.net.log import Event
from thirdvote.wire.codec import encode
from thirdvote.wire.messages import Init, Preinit

PATIENCE_S = 20.0


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def hear(self) -> dict[str, Any]:
        line = await asyncio.wait_for(self.reader.readline(), PATIENCE_S)
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def ask(self, **request: object) -> dict[str, Any]:
        await self.say(json.dumps(request).encode() + b"\n")
        return await self.hear()

    async def ended(self) -> bool:
        return await asyncio.wait_for(self.reader.read(1), PATIENCE_S) == b""


@dataclass
class Here:
    voter: VoterHere
    path: Path
    shutdowns: list[int]

    async def client(self) -> Client:
        return Client(*await asyncio.open_unix_connection(str(self.path), limit=1 << 24))


@asynccontextmanager
async def control(folder: Path, limits: Limits | None = None) -> AsyncIterator[Here]:
    async with voter_here() as here:
        here.voter.limits = limits or here.voter.limits
        shutdowns: list[int] = []
        served = Control(here.voter, lambda: {"pid": 1}, lambda: shutdowns.append(1))
        path = folder / "s"
        await served.start(open_local_socket(path, 0o600, 10))
        try:
            yield Here(here, path, shutdowns)
        finally:
            await served.stop()


def join(here: VoterHere, *clusters: bytes) -> None:
    for number, name in enumerate(clusters, start=1_000):
        here.voter.feed(Connected(number, "192.0.2.1:1"))
        init = Init(2, (), (), NodeId(1), Algorithm.FFSPLIT, 8_000, TieBreaker(TieBreakerMode.LOWEST), RingId(NodeId(1), 1))
        here.voter.feed(Received(number, encode(Preinit(1, ClusterName(name))) + encode(init)))


def test_status_shutdown_and_several_requests_on_one_connection(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path) as here:
            client = await here.client()
            assert await client.ask(command="status") == {"ok": True, "status": {"pid": 1}}
            assert await client.ask(command="shutdown") == {"ok": True}
            assert here.shutdowns == [1]

    asyncio.run(run())


def test_a_whole_snapshot_and_one_cluster(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path) as here:
            join(here.voter, *(f"c{number}".encode() for number in range(100)), "é\n".encode())
            client = await here.client()
            snapshot = (await client.ask(command="snapshot"))["snapshot"]
            assert snapshot["connections"] == 101
            assert [cluster["name"] for cluster in snapshot["clusters"]] == [*(f"c{number}" for number in range(100)), "é\\n"]
            for wanted in ("é\n", "é\\n"):
                found = (await client.ask(command="snapshot", cluster=wanted))["snapshot"]["clusters"]
                assert [cluster["name"] for cluster in found] == ["é\\n"]
            for unknown in ("nobody", "\ud800"):
                assert (await client.ask(command="snapshot", cluster=unknown))["snapshot"]["clusters"] == []

    asyncio.run(run())


def test_a_name_that_is_no_text_is_found_as_a_command_line_hands_it_over(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path) as here:
            join(here.voter, b"\xff\xfe")
            client = await here.client()
            for wanted in (os.fsdecode(b"\xff\xfe"), "\\xff\\xfe"):
                found = (await client.ask(command="snapshot", cluster=wanted))["snapshot"]["clusters"]
                assert [cluster["name"] for cluster in found] == ["\\xff\\xfe"]

    asyncio.run(run())


def test_a_cluster_that_goes_while_a_snapshot_is_made_is_left_out(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path) as here:
            join(here.voter, b"a")
            names = here.voter.voter.arbiter.cluster_names()
            here.voter.voter.arbiter.cluster_names = lambda: (*names, ClusterName(b"gone"))  # type: ignore[method-assign]
            client = await here.client()
            assert len((await client.ask(command="snapshot"))["snapshot"]["clusters"]) == 1

    asyncio.run(run())


def test_what_is_not_a_request(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path) as here:
            client = await here.client()
            for line in (b"rubbish\n", b"[1]\n", b"\xff\xfe\n", b"[" * 30_000 + b"\n"):
                await client.say(line)
                assert (await client.hear())["error"] == "the request is not a JSON object"
            for request in ({"command": "x"}, {"command": 7}, {}):
                answer = await client.ask(**request)
                assert not answer["ok"]
                assert answer["hint"] == "known are shutdown, snapshot, status, subscribe"
            assert "level" in (await client.ask(command="subscribe", level="loud"))["error"]

    asyncio.run(run())


def test_a_line_that_is_too_long_ends_the_connection(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path, Limits(control_line=1_000)) as here:
            client = await here.client()
            await client.say(b"x" * 5_000)
            assert (await client.hear())["error"] == "the request is too long"
            assert await client.ended()

    asyncio.run(run())


def test_clients_and_their_idle_time_are_bounded(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path, Limits(control_clients=1, control_idle_s=0.2)) as here:
            silent = await here.client()
            crowded = await here.client()
            assert (await crowded.hear())["error"] == "too many clients of the control socket"
            assert await crowded.ended()
            assert await silent.ended()
            assert (await (await here.client()).ask(command="status"))["ok"]

    asyncio.run(run())


def event(text: str, cluster: bytes | None = None, level: Level = Level.INFO) -> Event:
    return Event(level, "changed", text, None if cluster is None else ClusterName(cluster))


def test_subscribers_hear_their_level_and_their_cluster(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path) as here:
            every, one = await here.client(), await here.client()
            assert await every.ask(command="subscribe", level="debug") == {"ok": True}
            assert await one.ask(command="subscribe", cluster="a") == {"ok": True}
            for told in (event("1", b"a", Level.DEBUG), event("2", b"b"), event("3", b"a"), event("4")):
                here.voter.voter._tell(told)
            assert [(await every.hear())["event"]["text"] for _ in range(4)] == ["1", "2", "3", "4"]
            assert await one.hear() == {"event": {"level": "info", "event": "changed", "cluster": "a", "text": "3"}}
            every.writer.close()

    asyncio.run(run())


def test_a_subscriber_that_is_too_slow_is_given_up_and_delays_nobody(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path, Limits(control_queue=10, log_burst=1_000)) as here:
            client = await here.client()
            assert await client.ask(command="subscribe") == {"ok": True}
            for number in range(30):
                here.voter.voter._tell(event(str(number)))
            heard = [await client.hear() for _ in range(11)]
            assert [answer["event"]["text"] for answer in heard[:10]] == [str(number) for number in range(10)]
            assert heard[10]["error"] == "more than 10 events waited to be read"
            assert await client.ended()

    asyncio.run(run())


def test_a_subscriber_that_goes_is_forgotten(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path) as here:
            client = await here.client()
            await client.ask(command="subscribe")
            assert len(here.voter.voter._listeners) == 1
            client.writer.close()
            async with asyncio.timeout(PATIENCE_S):
                while here.voter.voter._listeners:  # noqa: ASYNC110  # nothing tells when it is
                    await asyncio.sleep(0.001)

    asyncio.run(run())


def test_subscribers_hear_the_end_of_the_voter(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path) as here:
            client = await here.client()
            await client.ask(command="subscribe")
        assert await client.ended()

    asyncio.run(run())


def test_limits_that_change_are_in_force_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path) as here:
            here.voter.voter.limits = replace(here.voter.voter.limits, control_clients=1)
            first = await here.client()
            assert (await first.ask(command="status"))["ok"]
            second = await here.client()
            assert not (await second.hear())["ok"]

    asyncio.run(run())
