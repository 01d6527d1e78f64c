"""The stock programs' bytes, as the vector files hold them, read without the codec under test."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

Options = list[tuple[str, Any]]
"""Option names and values in wire order, as the vector's maker decoded them."""


@dataclass(frozen=True)
class MessageVector:
    name: str
    data: bytes
    message: str
    options: Options


@dataclass(frozen=True)
class Step:
    """What the client sends, and every message that the server answered before it fell silent."""

    client: bytes
    server: tuple[bytes, ...]


@dataclass(frozen=True)
class Exchange:
    name: str
    steps: tuple[Step, ...]
    server_closed: bool


def message_vectors() -> list[MessageVector]:
    content = _load("messages.json")
    captured = [(f"{index}-{entry['capture']}-{entry['msg']}", entry) for index, entry in enumerate(content["captured"])]
    encoded = [(entry["name"], entry) for entry in content["encoded"]]
    return [
        MessageVector(name, bytes.fromhex(entry["hex"]), entry["msg"], [(option, value) for option, value in entry["options"]])
        for name, entry in captured + encoded
    ]


def exchanges() -> list[Exchange]:
    return [
        Exchange(
            entry["name"],
            tuple(Step(_sent(step["client"]), tuple(bytes.fromhex(answer["hex"]) for answer in step["server"])) for step in entry["steps"]),
            entry["server_closed"],
        )
        for entry in _load("exchanges.json")["exchanges"]
    ]


def _sent(client: dict[str, Any]) -> bytes:
    """Long messages are given as their beginning and their size; the rest is zero bytes."""
    if "hex" in client:
        return bytes.fromhex(client["hex"])
    total: int = client["total_bytes"]
    return bytes.fromhex(client["hex_prefix"]).ljust(total, b"\0")


def _load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))
