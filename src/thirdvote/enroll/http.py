"""Just enough HTTP/1.1 for two requests of our own client: one request a connection, with a length, bounded. RFC 9112.

By hand, because a web framework would cost the enrolment ten times the memory of everything else in it, for two routes without
keep-alive, chunks, queries or forms; what is not written here can not be attacked.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from thirdvote.errors import UserError

HEAD_BYTES_MAX = 8_192
BODY_BYTES_MAX = 65_536
"""A request of 16 KiB in base64, a name and a token."""

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[\x21-\x7e]{0,256}) HTTP/1\.[01]")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}):[ \t]*([\x20-\x7e\x80-\xff\t]{0,4096}?)[ \t]*")


class BadRequest(UserError):
    """`status` is what it is answered with."""

    def __init__(self, status: HTTPStatus, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: bytes


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """None when the client went away before it said anything. BadRequest. The reader's limit is HEAD_BYTES_MAX."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the request ends in its head") from None
    except asyncio.LimitOverrunError:
        raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the request's head has more than {HEAD_BYTES_MAX} bytes") from None
    method, path, fields = _parse_head(head[:-4])
    length = _length(fields)
    try:
        body = await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the request ends in its body") from None
    return Request(method, path, body)


def _parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(first)
    if match is None:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "this is no request of HTTP/1.1")
    fields: dict[str, str] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise BadRequest(HTTPStatus.BAD_REQUEST, "the request's head is damaged")
        name = field[1].decode("ascii").lower()
        if name in fields and name in ("content-length", "transfer-encoding"):
            raise BadRequest(HTTPStatus.BAD_REQUEST, f"the request has two fields {name}")
        fields[name] = field[2].decode("latin-1")
    return match[1].decode("ascii"), match[2].decode("ascii"), fields


def _length(fields: Mapping[str, str]) -> int:
    if "transfer-encoding" in fields:
        raise BadRequest(HTTPStatus.LENGTH_REQUIRED, "the request has to say its length")
    text = fields.get("content-length", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the request's length is no number")
    if int(text) > BODY_BYTES_MAX:
        raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the request has more than {BODY_BYTES_MAX} bytes")
    return int(text)


def answer(status: HTTPStatus, content: bytes, kind: str) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(content)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in head).encode("ascii") + b"\r\n" + content


def json_answer(status: HTTPStatus, value: Mapping[str, Any]) -> bytes:
    return answer(status, json.dumps(value).encode() + b"\n", "application/json")


def refusal(error: UserError, status: HTTPStatus = HTTPStatus.FORBIDDEN) -> bytes:
    status = error.status if isinstance(error, BadRequest) else status
    return json_answer(status, {"error": str(error), "remedy": error.hint or ""})
