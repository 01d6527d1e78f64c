from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.voter_here import VoterHere, voter_here
from thirdvote.arbiter.interface import Connected, Input, Level, Received, Release
from thirdvote.arbiter.snapshot import HolderSnapshot
from thirdvote.config import Limits
from thirdvote.domain import Algorithm, ClusterName, NodeId, RingId, TieBreaker, TieBreakerMode
from thirdvote.errors import UserError
from thirdvote.net.certificates import Certificates, Load, Loaded
from thirdvote.net.control import Control
from thirdvote.net.history import History
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
async def control(
    folder: Path,
    limits: Limits | None = None,
    history: History | None = None,
    context: ssl.SSLContext | None = None,
    load: Load | None = None,
) -> AsyncIterator[Here]:
    async with voter_here(context) as here:
        here.voter.limits = limits or here.voter.limits
        shutdowns: list[int] = []
        certificates = Certificates(here.voter, Loaded(here.voter.context), load or (lambda: Loaded(here.voter.context)))
        served = Control(here.voter, lambda: {"pid": 1}, lambda: shutdowns.append(1), certificates, history)
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
                assert (
                    answer["hint"] == "known are certificates, history, release, reload-certificates, shutdown, snapshot, status, subscribe"
                )
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


LOST = HolderSnapshot(NodeId(2), connected=False, because="silent since 12:02:51", until=None)
HERE = HolderSnapshot(NodeId(1), connected=True, because="it has the vote", until=None)


def hold(here: Here, *holders: HolderSnapshot) -> list[Input]:
    """The cluster "c" with node 1 and these holders; gives what is fed from now on."""
    join(here.voter, b"c")
    voter, arbiter = here.voter.voter, here.voter.voter.arbiter
    snapshot = arbiter.cluster_snapshot(ClusterName(b"c"), voter.now())
    assert snapshot is not None
    held = replace(snapshot, holders=holders)
    arbiter.cluster_snapshot = lambda name, now: held if name == b"c" else None  # type: ignore[method-assign]
    fed: list[Input] = []

    def feed(event: Input) -> None:
        fed.append(event)

    voter.feed = feed  # type: ignore[method-assign]
    return fed


def test_what_would_be_released(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path) as here:
            fed = hold(here, HERE, replace(LOST, until=here.voter.voter.now() + 30.0), replace(LOST, node_id=NodeId(3)))
            client = await here.client()
            first, second = (await client.ask(command="release", cluster="c", check=True))["lost"]
            assert (first["node"], first["because"], 25 < first["until_s"] < 31) == (2, "silent since 12:02:51", True)
            assert first["until"].endswith("+00:00")
            assert second == {"node": 3, "connected": False, "because": "silent since 12:02:51", "until": None, "until_s": None}
            answer = await client.ask(command="release", cluster="c", node=1, check=True)
            assert answer["error"] == "node 1 of c is connected: it is not lost"
            assert fed == []

    asyncio.run(run())


def test_a_lost_node_is_released_on_the_word_of_whom_the_log_names(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path) as here:
            fed = hold(here, HERE, LOST)
            client = await here.client()
            assert await client.ask(command="release", cluster="c") == {"ok": True, "released": [2]}
            assert await client.ask(command="release", cluster="c", node=2) == {"ok": True, "released": [2]}
            assert await client.ask(command="release", cluster="c", node=[2, 3]) == {"ok": True, "released": [2]}
            assert fed == [Release(ClusterName(b"c"), frozenset({NodeId(2)}))] * 3
            (line, *_) = [line for line in here.voter.log if "operator" in line]
            assert f'warning operator: cluster "c" node 2: counts as off on the word of user {os.geteuid()}' in line
            assert f"process {os.getpid()}, who says that it can not report quorum any more; known of it: silent since 12:02:51" in line

    asyncio.run(run())


def test_what_can_not_be_released(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path) as here:
            fed = hold(here, HERE, LOST)
            client = await here.client()

            async def refusal(**request: object) -> tuple[str, str]:
                answer = await client.ask(command="release", **request)
                assert not answer["ok"]
                return answer["error"], answer["hint"]

            assert await refusal(cluster="c", node=1) == (
                "node 1 of c is connected: it is not lost",
                "switch it off or take it off the network; it is let go at once when it ends in order",
            )
            assert (await refusal(cluster="c", node=[1, 2]))[0] == "node 1 of c is connected: it is not lost"
            assert (await refusal(cluster="c", node=3))[
                0
            ] == "no node 3 of c may still report quorum by a vote: there is nothing to release"
            assert (await refusal(cluster="d"))[0] == "no cluster d is known"
            assert (await refusal())[0] == "the cluster's name is not a string"
            for wrong in ("2", 2.0, True, [], ["2"]):
                assert (await refusal(cluster="c", node=wrong))[0] == "the node is not a number, nor a list of numbers"
            assert fed == []

    asyncio.run(run())


def test_a_cluster_in_which_nothing_is_lost(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path) as here:
            hold(here, HERE)
            answer = await (await here.client()).ask(command="release", cluster="c")
            assert answer["error"] == "no lost node of c may still report quorum by a vote: there is nothing to release"

    asyncio.run(run())


def test_a_cluster_of_which_no_node_is_connected(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path) as here:
            fed = hold(here)
            here.voter.voter.arbiter.remembered = lambda name: (NodeId(1), NodeId(2)) if name == b"gone" else ()  # type: ignore[method-assign]
            client = await here.client()
            assert await client.ask(command="release", cluster="gone", node=2) == {"ok": True, "released": [2]}
            assert fed == [Release(ClusterName(b"gone"), frozenset({NodeId(2)}))]
            lost = (await client.ask(command="release", cluster="gone", check=True))["lost"]
            assert [(holder["node"], holder["because"]) for holder in lost] == [
                (1, "no node of its cluster is connected"),
                (2, "no node of its cluster is connected"),
            ]

    asyncio.run(run())


@contextmanager
def history(folder: Path) -> Iterator[History]:
    kept = History(folder / "h", Limits(), lambda level, text: None)
    try:
        yield kept
    finally:
        kept.stop()


def test_the_history_in_slices(tmp_path: Path) -> None:
    async def run(kept: History) -> None:
        async with control(tmp_path, history=kept) as here:
            client = await here.client()
            assert await client.ask(command="history") == {"ok": True, "events": []}
            for number in range(250):
                kept.take(event(str(number), b"a" if number % 2 else b"\xff"))
            found = (await client.ask(command="history"))["events"]
            assert [item["text"] for item in found] == [str(number) for number in range(250)]
            assert [item["text"] for item in (await client.ask(command="history", cluster="a", limit=3))["events"]] == ["245", "247", "249"]
            for name in ("\\xff", os.fsdecode(b"\xff")):
                assert (await client.ask(command="history", cluster=name, limit=1))["events"][0]["cluster"] == "\\xff"
            assert (await client.ask(command="history", since=found[-1]["time"], cluster="b"))["events"] == []
            assert found[-1] in (await client.ask(command="history", since=found[-1]["time"]))["events"]
            assert (await client.ask(command="history", cluster="\ud800"))["events"] == []

    with history(tmp_path) as kept:
        asyncio.run(run(kept))


def test_a_history_that_can_not_be_asked(tmp_path: Path) -> None:
    async def run(kept: History) -> None:
        async with control(tmp_path, history=kept) as here:
            client = await here.client()
            for request, error in (
                ({"limit": 0}, "the limit is not a number above 0"),
                ({"limit": True}, "the limit is not a number above 0"),
                ({"since": 5}, "since is not a time"),
                ({"since": "yesterday"}, "since is not a time"),
                ({"since": "2026-01-01T00:00:00"}, "since has no offset from UTC"),
                ({"cluster": 5}, "the cluster's name is not a string"),
            ):
                assert (await client.ask(command="history", **request))["error"] == error
            kept.stop()
            assert (await client.ask(command="history"))["error"] == "the history can not be read: the arbitrator is stopping"

    with history(tmp_path) as kept:
        asyncio.run(run(kept))


def test_no_history_is_kept(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path) as here:
            answer = await (await here.client()).ask(command="history")
            assert (answer["error"], "--history off" in answer["hint"]) == ("no history is kept", True)

    asyncio.run(run())


def test_certificates_are_read_again_on_somebodys_word(tmp_path: Path) -> None:
    problems: list[UserError] = []

    def load() -> Loaded:
        for problem in problems:
            raise problem
        return Loaded()

    async def run() -> None:
        async with control(tmp_path, load=load) as here:
            client = await here.client()
            assert await client.ask(command="reload-certificates") == {"ok": True, "ended": 0}
            assert any("operator: certificates were read again on the word of user" in line for line in here.voter.log)
            problems.append(UserError("ca.crt is damaged", "restore it"))
            answer = await client.ask(command="reload-certificates")
            assert (answer["ok"], "ca.crt is damaged" in answer["error"], answer["hint"]) == (False, True, "restore it")

    asyncio.run(run())


def test_nodes_without_tls_show_no_certificate(tmp_path: Path) -> None:
    async def run() -> None:
        async with control(tmp_path) as here:
            join(here.voter, b"a", b"b")
            client = await here.client()
            for request in ({"command": "certificates"}, {"command": "certificates", "cluster": "a"}):
                assert await client.ask(**request) == {"ok": True, "certificates": []}

    asyncio.run(run())
