from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.ssh_here import in_loop
from thirdvote.enroll import voter_question
from thirdvote.enroll.voter_question import ask
from thirdvote.errors import UserError


async def answering(path: Path, answer: bytes | None) -> tuple[asyncio.Server, list[bytes]]:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        if answer is not None:
            writer.write(answer)
            writer.close()

    return await asyncio.start_unix_server(serve, str(path)), asked


@in_loop
async def test_the_answer_without_its_first_line(tmp_path: Path) -> None:
    server, asked = await answering(tmp_path / "q", b'OK\nCluster "web":\n    Algorithm:\t\tLMS\n')
    async with server:
        assert await ask(str(tmp_path / "q"), 'list cluster "web"') == 'Cluster "web":\n    Algorithm:\t\tLMS\n'
    assert asked == [b'list cluster "web" \n']


@in_loop
async def test_a_refusal(tmp_path: Path) -> None:
    server, _ = await answering(tmp_path / "q", b"Error\nNo\n")
    async with server:
        with pytest.raises(UserError, match="the arbitrator refuses: No"):
            await ask(str(tmp_path / "q"), "status")


@in_loop
async def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not answer"):
        await ask(str(tmp_path / "q"), "status")


def test_no_answer_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voter_question, "TIMEOUT_S", 0.05)

    async def slow() -> None:
        server, _ = await answering(tmp_path / "q", None)
        async with server:
            with pytest.raises(UserError, match="does not answer"):
                await ask(str(tmp_path / "q"), "status")

    asyncio.run(slow())
