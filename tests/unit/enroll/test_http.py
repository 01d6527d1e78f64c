from __future__ import annotations

import asyncio
import json
from http import HTTPStatus

import pytest

from thirdvote.enroll import http
from thirdvote.enroll.http import BadRequest, Request
from thirdvote.errors import UserError


def read(data: bytes) -> Request | None:
    async def run() -> Request | None:
        reader = asyncio.StreamReader(limit=http.HEAD_BYTES_MAX)
        reader.feed_data(data)
        reader.feed_eof()
        return await http.read_request(reader)

    return asyncio.run(run())


def test_a_request() -> None:
    data = b"POST /enroll HTTP/1.1\r\nHost: a:1\r\nCONTENT-LENGTH:  3 \r\n\r\nabcd"
    assert read(data) == Request("POST", "/enroll", b"abc")
    assert read(b"GET /ca HTTP/1.0\r\n\r\n") == Request("GET", "/ca", b"")


def test_a_client_that_says_nothing() -> None:
    assert read(b"") is None


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET", 400),
        (b"GET /ca HTTP/1.1\r\nHost: x\r\n", 400),
        (b"get /ca HTTP/1.1\r\n\r\n", 400),
        (b"GET ca HTTP/1.1\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 300 + b" HTTP/1.1\r\n\r\n", 400),
        (b"GET /ca HTTP/2.0\r\n\r\n", 400),
        (b"GET /ca HTTP/1.1\r\nno field\r\n\r\n", 400),
        (b"GET /ca HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"GET /ca HTTP/1.1\r\nx: a\0b\r\n\r\n", 400),
        (b"POST /enroll HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST /enroll HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /enroll HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 400),
        (b"POST /enroll HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc", 400),
        (b"POST /enroll HTTP/1.1\r\nContent-Length: 65537\r\n\r\n", 413),
        (b"POST /enroll HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"GET /ca HTTP/1.1\r\nx: " + b"a" * http.HEAD_BYTES_MAX, 431),
    ],
)
def test_what_is_not_understood(data: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as refused:
        read(data)
    assert refused.value.status == status


def test_an_answer_says_its_length_and_ends_the_connection() -> None:
    head, _, body = http.json_answer(HTTPStatus.OK, {"a": "ä"}).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: %d" % len(body) in head
    assert b"Connection: close" in head
    assert json.loads(body) == {"a": "ä"}


def test_a_refusal_is_for_a_person() -> None:
    head, _, body = http.refusal(UserError("no", "yes")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 ")
    assert json.loads(body) == {"error": "no", "remedy": "yes"}
    assert http.refusal(BadRequest(HTTPStatus.NOT_FOUND, "x")).startswith(b"HTTP/1.1 404 ")
