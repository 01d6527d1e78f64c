from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.ssh_here import in_loop
from thirdvote.enroll import control
from thirdvote.enroll.control import CLIENTS_MAX, LINE_BYTES_MAX, Control, Request
from thirdvote.errors import UserError


async def _twice(request: Request) -> dict[str, Any]:
    if not isinstance(request.get("number"), int):
        raise UserError("the number is missing", "for example 1")
    return {"number": 2 * request["number"]}


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Path]:
    path = folder / "e.sock"
    here = Control(path)
    here.add({"twice": _twice})
    await here.start()
    try:
        yield path
    finally:
        await here.stop()
    assert not path.exists()


async def asked(path: Path, *lines: bytes) -> list[dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"".join(line + b"\n" for line in lines))
    answers = [json.loads(await reader.readline()) for _ in lines]
    writer.close()
    return answers


@in_loop
async def test_commands_are_answered_in_their_order(tmp_path: Path) -> None:
    async with served(tmp_path) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        answers = await asked(path, b'{"command": "twice", "number": 4}', b'{"command": "twice"}', b'{"command": "twice", "number": 1}')
        assert answers == [
            {"ok": True, "number": 8},
            {"ok": False, "error": "the number is missing", "hint": "for example 1"},
            {"ok": True, "number": 2},
        ]


@in_loop
async def test_what_is_no_request(tmp_path: Path) -> None:
    async with served(tmp_path) as path:
        answers = await asked(path, b"x", b"[]", b'{"command": "other"}', b'{"command": 1}', b"[" * 10_000)
        assert [answer["ok"] for answer in answers] == [False] * 5
        assert answers[2]["hint"] == "known are twice"


@in_loop
async def test_a_line_is_not_endless(tmp_path: Path) -> None:
    async with served(tmp_path) as path:
        (answer,) = await asked(path, b"x" * (LINE_BYTES_MAX + 100))
        assert answer["error"] == "the request is too long"


@in_loop
async def test_clients_are_not_too_many(tmp_path: Path) -> None:
    async with served(tmp_path) as path:
        others = [await asyncio.open_unix_connection(str(path)) for _ in range(CLIENTS_MAX)]
        for reader, writer in others:
            writer.write(b'{"command": "twice", "number": 1}\n')
            await reader.readline()
        (answer,) = await asked(path, b"{}")
        assert answer["error"].startswith("too many clients")
        for _, writer in others:
            writer.close()


def test_a_silent_client_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "IDLE_S", 0.05)

    async def silent() -> bytes:
        async with served(tmp_path) as path:
            reader, writer = await asyncio.open_unix_connection(str(path))
            found = await reader.read()
            writer.close()
            return found

    assert asyncio.run(silent()) == b""


def test_two_services_have_no_command_in_common(tmp_path: Path) -> None:
    here = Control(tmp_path / "e.sock")
    here.add({"twice": _twice})
    with pytest.raises(AssertionError):
        here.add({"twice": _twice})
