"""Asks the arbitrator for the cluster's certificate over HTTPS. Whom it talks to is certain before the token leaves this host."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import http.client
import json
import re
import socket
import ssl
import threading
from base64 import b64decode, b64encode
from contextlib import suppress
from typing import Any

from thirdvote.errors import UserError
from thirdvote.join_url import JoinUrl, in_url

TIMEOUT_S = 20.0
"""For each piece of an answer."""

EXCHANGE_S = 60.0
"""For all of it, however many pieces it comes in."""

ANSWER_BYTES_MAX = 262_144
"""A certificate, and an authority's with its predecessor's: some 5 KB."""

SERVER_NAME = "Qnetd Server"
"""The common name by which nodes know an arbitrator."""

TEXT_LENGTH_MAX = 500
"""Of what the other side has to say to a person."""

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


class Refused(UserError):
    """In the arbitrator's own words."""


def fetch_authority(url: JoinUrl) -> str:
    """The authority whose fingerprint is in the token, PEM. Nothing is said to who can not show it. UserError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # what is fetched is compared with the token's fingerprint
    status, body = _exchange(url, context, "GET", "/ca", None)
    if status != http.HTTPStatus.OK:
        raise UserError(
            f"{_place(url)} answers, and is no arbitrator's enrolment (status {status})", "check the address and port of the URL"
        )
    for certificate in _certificates(body.decode("ascii", "replace")):
        if hmac.compare_digest(hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).digest(), url.token.fingerprint):
            return certificate
    raise UserError(
        f"the fingerprint of what answers at {_place(url)} is not that of the token: it is another arbitrator, or somebody in between",
        f"nothing was sent to it; compare with `thirdvote ca show` on the arbitrator: the token has {shown(url.token.fingerprint)}",
    )


def check(url: JoinUrl, authority: str, cluster: str) -> int:
    """The port on which nodes vote. UserError, in the arbitrator's words where the token does not count; it is not spent."""
    port = _asked(url, authority, "/check", {"cluster": cluster}).get("port")
    if not isinstance(port, int) or not 0 < port < 65_536:
        raise _damaged(url)
    return port


def enrol(url: JoinUrl, authority: str, cluster: str, request: bytes, receipt: str) -> tuple[str, str]:
    """The cluster's certificate and the authority (while it changes, the old one and the new one), PEM. `request` is DER; `receipt` is a
    secret of this node, by which it can give back what it got. UserError.
    """
    hashed = hashlib.sha256(receipt.encode()).hexdigest()
    answer = _asked(url, authority, "/enroll", {"cluster": cluster, "request": b64encode(request).decode(), "receipt": hashed})
    try:
        certificate = ssl.DER_cert_to_PEM_cert(b64decode(answer["certificate"], validate=True))
        authorities = "".join(f"{each}\n" for each in _certificates(answer["authority"]))
    except (KeyError, TypeError, ValueError):
        raise _damaged(url) from None
    if not authorities:
        raise _damaged(url)
    return certificate, authorities


def keep(url: JoinUrl, authority: str, cluster: str, receipt: str) -> None:
    """Whatever the arbitrator was to do when the node has joined. UserError."""
    _asked(url, authority, "/keep", {"cluster": cluster, "receipt": receipt})


def give_back(url: JoinUrl, authority: str, cluster: str, receipt: str) -> bool:
    """The certificate is revoked; whether the token can be used again. UserError."""
    return _asked(url, authority, "/give-back", {"cluster": cluster, "receipt": receipt}).get("usable") is True


def shown(fingerprint: bytes) -> str:
    return fingerprint.hex(":").upper()


def _asked(url: JoinUrl, authority: str, path: str, fields: dict[str, str]) -> dict[str, Any]:
    """`authority` is of `fetch_authority`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the name is no host's; `_exchange` compares it
    context.load_verify_locations(cadata=authority)
    status, body = _exchange(url, context, "POST", path, json.dumps({"token": url.token.text, **fields}).encode())
    answer = _parsed(url, body)
    if status != http.HTTPStatus.OK:
        said, remedy = _words(answer.get("error")), _words(answer.get("remedy"))
        raise Refused(f"the arbitrator refuses: {said or f'status {status}'}", remedy or "its log says why")
    return answer


def _damaged(url: JoinUrl) -> UserError:
    return UserError(f"the answer of {_place(url)} is damaged", "the arbitrator's thirdvote may be of another version")


def _exchange(url: JoinUrl, context: ssl.SSLContext, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
    """Status and body. UserError."""
    connection = http.client.HTTPSConnection(url.host, url.port, timeout=TIMEOUT_S, context=context)
    deadline = threading.Timer(EXCHANGE_S, _cut, [connection])
    deadline.start()
    try:
        connection.connect()
        if context.verify_mode is ssl.CERT_REQUIRED:
            _check_name(url, connection)
        connection.request(method, path, body, {"Content-Type": "application/json"} if body is not None else {})
        response = connection.getresponse()
        content = response.read(ANSWER_BYTES_MAX + 1)
        if len(content) > ANSWER_BYTES_MAX:
            raise UserError(f"{_place(url)} sends without an end", "check the address and port of the URL")
        return response.status, content
    except ssl.SSLCertVerificationError as error:
        raise UserError(
            f"{_place(url)} shows a certificate that the token's authority has not signed for a server ({error.verify_message})",
            "nothing was sent to it; is it the arbitrator? and is the clock of this host right?",
        ) from None
    except OSError as error:
        reason = str(error) if isinstance(error, ssl.SSLError) else (error.strerror or str(error)).lower()
        hint = f"is the arbitrator running, and is port {url.port} open from here? `thirdvote status` there says where it listens"
        raise UserError(f"{_place(url)} can not be reached ({reason or 'no answer'})", hint) from None
    except (http.client.HTTPException, ValueError):
        raise UserError(f"{_place(url)} answers, and not as an arbitrator's enrolment", "check the address and port of the URL") from None
    finally:
        deadline.cancel()
        connection.close()


def _cut(connection: http.client.HTTPSConnection) -> None:
    """Whoever reads from it sees its end."""
    with suppress(OSError, AttributeError):  # it is not there yet, or not any more
        connection.sock.shutdown(socket.SHUT_RDWR)


def _check_name(url: JoinUrl, connection: http.client.HTTPSConnection) -> None:
    certificate = connection.sock.getpeercert() if isinstance(connection.sock, ssl.SSLSocket) else None
    subject: Any = (certificate or {}).get("subject", ())
    names = [value for pairs in subject for key, value in pairs if key == "commonName"]
    if names != [SERVER_NAME]:
        raise UserError(f"{_place(url)} shows a certificate for {names!a}, not for an arbitrator", "nothing was sent to it; check the URL")


def _parsed(url: JoinUrl, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise UserError(f"{_place(url)} answers, and not as an arbitrator's enrolment", "check the address and port of the URL")
    return answer


def _words(value: object) -> str:
    """Of the other side, for a terminal."""
    text = value if isinstance(value, str) else ""
    return "".join(character if character.isprintable() else "?" for character in text)[:TEXT_LENGTH_MAX]


def _certificates(text: str) -> list[str]:
    """Each whole, or none of those that can not be decoded."""
    found = []
    for match in _PEM.findall(text):
        try:
            found.append(ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(match)).strip())
        except (ValueError, binascii.Error):
            continue
    return found


def _place(url: JoinUrl) -> str:
    return f"{in_url(url.host)}:{url.port}"
