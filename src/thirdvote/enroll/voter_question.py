"""Asks the voter what `corosync-qnetd-tool` would, over the same socket."""

from __future__ import annotations

import asyncio

from thirdvote.errors import UserError

ANSWER_BYTES_MAX = 1 << 20
"""Of one cluster; the largest has a few kilobytes."""

TIMEOUT_S = 10.0


async def ask(path: str, request: str) -> str:
    """The text for a person, without the first line. UserError when the voter does not answer, or says no."""
    try:
        answer = await asyncio.wait_for(_exchange(path, f"{request} \n".encode("utf-8", "surrogateescape")), TIMEOUT_S)
    except (OSError, TimeoutError):
        raise UserError("the arbitrator does not answer", "see its log, on its own host") from None
    status, _, text = answer.decode("utf-8", "surrogateescape").partition("\n")
    if status.strip().lower() != "ok":
        raise UserError(f"the arbitrator refuses: {text.strip()}")
    return text


async def _exchange(path: str, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(request)
        await writer.drain()
        pieces, length = [], 0
        while length < ANSWER_BYTES_MAX and (piece := await reader.read(65_536)):
            pieces.append(piece)
            length += len(piece)
        return b"".join(pieces)
    finally:
        writer.close()
