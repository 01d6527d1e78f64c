from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.net.test_control import join
from tests.voter_here import VoterHere, voter_here
from thirdvote.config import Limits
from thirdvote.domain import TlsSupport
from thirdvote.net.local_socket import open_local_socket
from thirdvote.net.qnetd_socket import QnetdSocket
from thirdvote.qnetd_text import ServerStatus

PATIENCE_S = 20.0
STATUS = ServerStatus(None, 5403, TlsSupport.UNSUPPORTED, True, 3, 1, 0, 32_768, 32_768)


@dataclass
class Here:
    voter: VoterHere
    path: Path
    shutdowns: list[int]

    async def ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        writer.write(request)
        try:
            return await asyncio.wait_for(reader.read(-1), PATIENCE_S)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


@asynccontextmanager
async def qnetd_socket(folder: Path, limits: Limits | None = None) -> AsyncIterator[Here]:
    async with voter_here() as here:
        here.voter.limits = limits or here.voter.limits
        shutdowns: list[int] = []
        served = QnetdSocket(here.voter, lambda: STATUS, lambda: shutdowns.append(1))
        path = folder / "s"
        await served.start(open_local_socket(path, 0o600, 10))
        try:
            yield Here(here, path, shutdowns)
        finally:
            await served.stop()


def test_commands(tmp_path: Path) -> None:
    async def run() -> None:
        async with qnetd_socket(tmp_path) as here:
            join(here.voter, b"one", b"two")
            assert (await here.ask(b"status verbose\n")).startswith(b"OK\nQNetd address:\t\t\t*:5403\n")
            whole = await here.ask(b"list\n")
            assert [line for line in whole.splitlines() if line.startswith(b"Cluster")] == [b'Cluster "one":', b'Cluster "two":']
            assert (await here.ask(b"list cluster two\n")).startswith(b'OK\nCluster "two":')
            assert await here.ask(b"list cluster nobody\n") == b"OK\n"
            assert await here.ask(b"\n") == b"Error\nNo command specified\n"
            assert await here.ask(b"nonsense\n") == b"Error\nUnknown command 'nonsense'\n"
            assert here.shutdowns == []
            assert await here.ask(b"Shutdown\r") == b"OK\n"
            assert here.shutdowns == [1]

    asyncio.run(run())


@pytest.mark.parametrize("size", [1_025, 5_000])
def test_a_long_line_is_closed_without_an_answer(tmp_path: Path, size: int) -> None:
    async def run() -> None:
        async with qnetd_socket(tmp_path, Limits(ipc_receive_size=1_024)) as here:
            assert await here.ask(b"x" * size) == b""

    asyncio.run(run())


def test_a_list_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    async def run() -> None:
        async with qnetd_socket(tmp_path, Limits(ipc_send_size=1_024)) as here:
            join(here.voter, *(f"c{number}".encode() for number in range(100)))
            assert await here.ask(b"list\n") == b"Error\nInternal IPC buffer too small\n"
            assert (await here.ask(b"list cluster c7\n")).startswith(b"OK\n")

    asyncio.run(run())


def test_clients_and_their_time_are_bounded(tmp_path: Path) -> None:
    async def run() -> None:
        async with qnetd_socket(tmp_path, Limits(ipc_clients=1, ipc_idle_s=0.2)) as here:
            silent, writer = await asyncio.open_unix_connection(str(here.path))
            assert await here.ask(b"") == b""
            assert await asyncio.wait_for(silent.read(), PATIENCE_S) == b""
            writer.close()
            assert (await here.ask(b"status\n")).startswith(b"OK\n")

    asyncio.run(run())


def test_no_bound_when_it_is_zero(tmp_path: Path) -> None:
    async def run() -> None:
        async with qnetd_socket(tmp_path, Limits(ipc_clients=0)) as here:
            assert (await here.ask(b"status\n")).startswith(b"OK\n")

    asyncio.run(run())
