from __future__ import annotations

import json
import socket
import ssl
import stat
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import request
from tests.https_here import HttpsHere, https_here
from thirdvote.enroll import https, tokens
from thirdvote.errors import UserError
from thirdvote.join_url import Token
from thirdvote.pki import inventory, paths, store

RECEIPT = "a secret of the node"
HASHED = tokens.hash_of_receipt(RECEIPT)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[HttpsHere]:
    with https_here(tmp_path) as running:
        yield running


def connected(here: HttpsHere) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=paths.data_directory(here.data).ca_certificate)
    context.check_hostname = False
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context.wrap_socket(socket.create_connection(("127.0.0.1", here.port), timeout=20))


def sent(here: HttpsHere, data: bytes) -> tuple[int, bytes]:
    with connected(here) as connection:
        connection.sendall(data)
        response = HTTPResponse(connection)
        response.begin()
        return response.status, response.read()


def posted(here: HttpsHere, fields: Any, path: str = "/enroll") -> tuple[int, dict[str, Any]]:
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    status, answer = sent(here, b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (path.encode(), len(body), body))
    return status, json.loads(answer)


def asked(here: HttpsHere, token: Token, cluster: str = "office", csr: bytes | None = None) -> tuple[int, dict[str, Any]]:
    der = csr if csr is not None else request(cluster)
    return posted(here, {"token": token.text, "cluster": cluster, "request": b64encode(der).decode(), "receipt": HASHED})


def shown(here: HttpsHere, token: Token, path: str, receipt: str = RECEIPT, cluster: str = "office") -> tuple[int, dict[str, Any]]:
    return posted(here, {"token": token.text, "cluster": cluster, "receipt": receipt}, path)


def ended(connection: ssl.SSLSocket) -> bool:
    """By the other side, in whatever way."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_a_token_gives_one_certificate(here: HttpsHere) -> None:
    token = here.token().token
    status, answer = asked(here, token)
    assert status == 200
    assert answer["authority"].count("BEGIN CERTIFICATE") == 1
    status, answer = asked(here, token)
    assert status == 403
    assert "was used at" in answer["error"]
    assert "thirdvote enroll token" in answer["remedy"]
    assert [(line["level"], line.get("cluster")) for line in here.said] == [("info", "office"), ("info", "office"), ("warning", "office")]


def test_a_token_can_be_looked_at_without_being_spent(here: HttpsHere) -> None:
    token = here.token().token
    for _ in range(2):
        assert posted(here, {"token": token.text, "cluster": "office"}, "/check") == (200, {"port": 5403})
    status, answer = posted(here, {"token": token.text, "cluster": "other"}, "/check")
    assert status == 403
    assert "is for the cluster 'office'" in answer["error"]
    assert asked(here, token)[0] == 200


def test_it_is_in_the_inventory_with_its_way_and_address(here: HttpsHere) -> None:
    asked(here, here.token().token)
    (entry,) = inventory.every(here.data / paths.FOLDER)
    assert (entry.cluster, entry.way) == ("office", "https")
    assert entry.asked_by.startswith("127.0.0.1:")


def test_a_foreign_an_expired_and_an_unknown_token(here: HttpsHere) -> None:
    token = here.token().token
    assert "is for the cluster" in asked(here, token, "other")[1]["error"]
    assert "does not know" in asked(here, Token(bytes(8), bytes(16), token.fingerprint))[1]["error"]
    here.clock.now += tokens.LIFE_S
    status, answer = asked(here, token)
    assert status == 403
    assert "has expired" in answer["error"]


def test_a_request_that_is_refused_leaves_the_token(here: HttpsHere) -> None:
    token = here.token().token
    assert "is for 'other'" in asked(here, token, csr=request("other"))[1]["error"]
    assert "no certificate request" in asked(here, token, csr=b"x")[1]["error"]
    assert asked(here, token)[0] == 200


def test_what_came_of_a_token_can_be_given_back_by_who_got_it(here: HttpsHere) -> None:
    token = here.token().token
    assert shown(here, token, "/give-back")[0] == 403
    assert asked(here, token)[0] == 200
    (signed,) = inventory.every(paths.folder_in(here.data).path)
    for receipt, cluster in (("another", "office"), ("", "office"), (HASHED, "office"), (RECEIPT, "other")):
        status, answer = shown(here, token, "/give-back", receipt, cluster)
        assert (status, answer["error"]) == (403, "nothing came of this token that could be given back")
    assert shown(here, Token(token.number, bytes(16), token.fingerprint), "/give-back")[0] == 403
    assert shown(here, token, "/give-back") == (200, {"usable": True})
    (revoked,) = inventory.every(paths.folder_in(here.data).path)
    assert (revoked.serial_number, revoked.revoked_because) == (signed.serial_number, "given back: joining failed")
    assert shown(here, token, "/give-back")[0] == 403
    assert asked(here, token)[0] == 200
    here.clock.now += tokens.LIFE_S
    assert shown(here, token, "/give-back") == (200, {"usable": False})


def test_older_certificates_end_when_the_node_says_that_it_has_joined(here: HttpsHere) -> None:
    asked(here, here.token().token)
    token = here.token(replace=True).token
    asked(here, token)
    folder = paths.folder_in(here.data).path
    assert [each.revoked_at for each in inventory.every(folder)] == [None, None]
    assert shown(here, token, "/keep", "another")[0] == 403
    assert shown(here, token, "/keep") == (200, {})
    assert sorted(each.revoked_because for each in inventory.every(folder)) == ["", "replaced by a new one"]
    assert shown(here, token, "/give-back")[0] == 403


def test_a_receipt_that_is_none_leaves_the_token(here: HttpsHere) -> None:
    token = here.token().token
    fields = {"token": token.text, "cluster": "office", "request": b64encode(request("office")).decode(), "receipt": RECEIPT}
    assert posted(here, fields)[0] == 400
    assert asked(here, token)[0] == 200


def test_the_state_outlives_a_restart_and_is_private(tmp_path: Path) -> None:
    with https_here(tmp_path) as here:
        used, unused = here.token().token, here.token().token
        asked(here, used)
    assert stat.S_IMODE((tmp_path / https.TOKENS_FILE).stat().st_mode) == 0o600
    assert used.secret.hex() not in (tmp_path / https.TOKENS_FILE).read_text()
    with https_here(tmp_path) as here:
        assert here.service.status()["open_tokens"] == 1
        assert "was used" in asked(here, used)[1]["error"]
        assert asked(here, unused)[0] == 200


def test_a_damaged_state_keeps_it_from_starting(tmp_path: Path) -> None:
    (tmp_path / https.TOKENS_FILE).write_text("{")
    with pytest.raises(UserError, match="damaged"), https_here(tmp_path):
        pass


def test_the_authority_is_for_everybody(here: HttpsHere) -> None:
    status, body = sent(here, b"GET /ca HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (status, body) == (200, paths.data_directory(here.data).ca_certificate.read_bytes())


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"GET /../etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"GET /enroll HTTP/1.1\r\n\r\n", 405),
        (b"POST /ca HTTP/1.1\r\n\r\n", 405),
        (b"nonsense\r\n\r\n", 400),
        (b"GET /ca HTTP/1.1\r\nx: " + b"y" * 20_000 + b"\r\n\r\n", 431),
        (b"POST /enroll HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST /enroll HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
    ],
)
def test_other_requests(here: HttpsHere, data: bytes, status: int) -> None:
    assert sent(here, data)[0] == status


@pytest.mark.parametrize(
    "fields",
    [
        b"{",
        b"[" * 50_000,
        [],
        {},
        {"token": 1, "cluster": "office", "request": "", "receipt": HASHED},
        {"token": "x", "cluster": "o" * 300, "request": "", "receipt": HASHED},
        {"token": "x", "cluster": "office", "request": "", "receipt": HASHED, "more": ""},
    ],
)
def test_bodies_that_are_no_request(here: HttpsHere, fields: Any) -> None:
    status, answer = posted(here, fields)
    assert (status, answer["error"]) == (400, "this is no request to join")


def test_a_request_that_is_no_base64_leaves_the_token(here: HttpsHere) -> None:
    token = here.token().token
    assert posted(here, {"token": token.text, "cluster": "office", "request": "%%", "receipt": HASHED})[0] == 400
    assert asked(here, token)[0] == 200


def test_tokens_are_asked_for_with_a_name_and_a_time(here: HttpsHere) -> None:
    wrong: list[dict[str, Any]] = [{"cluster": None}, {"cluster": 1}, {"cluster": ""}, {"cluster": "x" * 65}, {"cluster": "a*"}]
    for request_of in [*wrong, {"for_s": "1h"}, {"for_s": True}]:
        with pytest.raises(UserError):
            here.token(**request_of)
    with pytest.raises(UserError, match="can not be good for"):
        here.token(for_s=1)


def test_only_so_many_connections_at_once_from_one_address(here: HttpsHere) -> None:
    silent = [socket.create_connection(("127.0.0.1", here.port)) for _ in range(https.CONNECTIONS_PER_ADDRESS_MAX)]
    try:
        refused = socket.create_connection(("127.0.0.1", here.port), timeout=10)
        assert refused.recv(1) == b""
        refused.close()
        assert here.said[-1]["text"] == "sent away: too many connections to the enrolment over HTTPS"
    finally:
        for connection in silent:
            connection.close()
    deadline = time.monotonic() + 10
    while True:
        try:
            assert sent(here, b"GET /ca HTTP/1.1\r\n\r\n")[0] == 200
            break
        except OSError:  # it has not yet seen that they are closed
            assert time.monotonic() < deadline


def test_a_client_that_stalls_is_closed(here: HttpsHere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "CONNECTION_S", 0.3)
    with socket.create_connection(("127.0.0.1", here.port), timeout=10) as before_tls:
        assert before_tls.recv(1) == b""
    with connected(here) as after_tls:
        after_tls.sendall(b"POST /enroll HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
        assert ended(after_tls)


def test_a_fault_of_the_program_is_said_and_spends_the_token(here: HttpsHere, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows how far it came."""
    token = here.token().token
    monkeypatch.setattr(store, "sign", lambda *arguments, **more: 1 // 0)
    status, answer = asked(here, token)
    assert (status, answer["error"]) == (500, "a fault of the arbitrator's program")
    assert "ZeroDivisionError" in here.said[-1]["text"]
    monkeypatch.undo()
    assert "was used" in asked(here, token)[1]["error"]


def test_one_token_used_by_many_at_once_gives_one_certificate(here: HttpsHere) -> None:
    token, found = here.token().token, []
    threads = [threading.Thread(target=lambda: found.append(asked(here, token)[0])) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(found) == [200, 403, 403, 403, 403, 403]


def test_a_new_server_certificate_is_shown_at_once(here: HttpsHere) -> None:
    with connected(here) as connection:
        before = connection.getpeercert(binary_form=True)
    where = paths.data_directory(here.data)
    where.server_certificate.unlink()
    where.server_key.unlink()
    store.ensure(here.data)
    with connected(here) as connection:
        assert connection.getpeercert(binary_form=True) != before


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(UserError, match="can not listen"), https_here(tmp_path, place):
            pass
