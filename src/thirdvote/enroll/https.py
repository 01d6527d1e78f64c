"""Where `thirdvote join` gets its certificate: the authority for everybody, a signature for who has a token.

    GET /ca         the authority's certificates, PEM
    POST /check     {"token", "cluster"} gives {"port": the vote's}, or why the token does not count; it is not spent
    POST /enroll    {"token", "cluster", "request": base64 of the request, DER, "receipt": SHA-256 of a secret, hexadecimal} gives
                    {"certificate": base64 of DER, "authority": PEM}
    POST /keep      {"token", "cluster", "receipt": the secret}: the node has what it needs, and its older certificates are
                    revoked now, if the token says so
    POST /give-back {"token", "cluster", "receipt": the secret}: the certificate is revoked, and the token counts again; gives
                    {"usable": whether it is not over}

TLS with the arbitrator's own server certificate, which a node knows by the authority whose fingerprint is in its token.
"""

from __future__ import annotations

import asyncio
import binascii
import hashlib
import json
import re
import secrets
import socket
import ssl
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from thirdvote.enroll import http, tokens
from thirdvote.enroll.control import Command
from thirdvote.enroll.control import Request as ControlRequest
from thirdvote.enroll.http import BadRequest
from thirdvote.enroll.process import Context
from thirdvote.enroll.settings import listen_of
from thirdvote.enroll.tokens import LIFE_S, TEXT_LENGTH_MAX, Tokens
from thirdvote.errors import UserError
from thirdvote.join_url import NUMBER_BYTES, SECRET_BYTES, JoinUrl, Token, parse_token
from thirdvote.pki import files, material, paths, policy

CONNECTIONS_MAX = 32
CONNECTIONS_PER_ADDRESS_MAX = 8
"""A join has one at a time; several clusters may be behind one address."""

CONNECTION_S = 20.0
"""From its first byte to its last, TLS handshake included."""

BACKLOG = 64

TOKENS_FILE = "enroll-tokens.json"
"""In the data directory."""

WAY = "https"

_WHAT = "list of tokens"
_CHECK_KEYS = frozenset({"token", "cluster"})
_ENROL_KEYS = frozenset({"token", "cluster", "request", "receipt"})
_RECEIPT_KEYS = frozenset({"token", "cluster", "receipt"})
_SHA256 = re.compile("[0-9a-f]{64}")

Work = Callable[[Mapping[str, str], str], Awaitable[dict[str, Any]]]


class HttpsService:
    """A service of the enrolment. `wall` is seconds since the epoch."""

    name = "https"

    def __init__(self, context: Context, wall: Callable[[], float] = time.time) -> None:
        self._context = context
        self._wall = wall
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._tls_made_of: tuple[int, ...] = ()
        self._tokens: Tokens | None = None
        self._signing = asyncio.Lock()
        self._listening: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._open: Counter[str] = Counter()
        self._clients: set[asyncio.Task[None]] = set()
        self._telling: set[asyncio.Task[None]] = set()

    # --- as a service

    def commands(self) -> Mapping[str, Command]:
        return {"token": self._make_token}

    def status(self) -> dict[str, Any]:
        listens = self._context.settings.https if self._listening else None
        known = self._tokens or Tokens()
        return {"listen": listens, "open_tokens": len(known.open(self._wall()))}

    async def start(self) -> str:
        place = listen_of(self._context.settings.https)
        assert place is not None
        self._read_tokens()
        self._use_certificate()
        self._listening = await _listen(*place)
        loop = asyncio.get_running_loop()
        self._accepting = [loop.create_task(self._accept(listening)) for listening in self._listening]
        return ", ".join(sorted(f"{listening.getsockname()[0]} port {listening.getsockname()[1]}" for listening in self._listening))

    async def stop(self) -> None:
        for task in (*self._accepting, *self._clients):
            task.cancel()
        await asyncio.gather(*self._accepting, *self._clients, return_exceptions=True)
        for listening in self._listening:
            listening.close()
        self._listening = []

    # --- tokens

    async def _make_token(self, request: ControlRequest) -> dict[str, Any]:
        cluster, life_s = request.get("cluster"), request.get("for_s", LIFE_S)
        if not isinstance(cluster, str) or isinstance(life_s, bool) or not isinstance(life_s, int | float):
            raise UserError("a token needs the cluster's name", "thirdvote enroll token CLUSTER")
        policy.check_name(cluster)
        if not self._listening:
            raise UserError("the enrolment does not listen for joining nodes now", "`thirdvote status` says why")
        token = Token(secrets.token_bytes(NUMBER_BYTES), secrets.token_bytes(SECRET_BYTES), self._fingerprint())
        replaces, now = request.get("replace") is True, self._wall()
        self._keep(self._known().with_new(token, cluster, now, life_s, replaces))
        since, until = (datetime.fromtimestamp(moment, UTC) for moment in (now, now + life_s))
        self._context.report.info(f"a token lets the cluster {cluster!a} in until {until:%Y-%m-%d %H:%M:%S} UTC", cluster)
        place = listen_of(self._context.settings.https)
        host = self._context.address(self._context.settings.https)
        guessed = not self._context.settings.address and (place is None or place[0] is None)
        url = JoinUrl(host, self._listening[0].getsockname()[1], token).text
        times = {"from": since.isoformat(timespec="seconds"), "until": until.isoformat(timespec="seconds")}
        return {"url": url, "cluster": cluster, **times, "replace": replaces, "address_guessed": guessed}

    def _fingerprint(self) -> bytes:
        certificate = material.read_certificate(self._folder.authority, "certificate of the authority")
        return hashlib.sha256(material.certificate_der(certificate)).digest()

    def _known(self) -> Tokens:
        assert self._tokens is not None
        return self._tokens

    def _read_tokens(self) -> None:
        path = self._context.data / TOKENS_FILE
        self._tokens = tokens.from_text(files.read(path, _WHAT).decode("utf-8", "replace")) if files.is_there(path) else Tokens()

    def _keep(self, changed: Tokens) -> None:
        """On the disk first: a token that was used is used, whatever happens next."""
        files.write(self._context.data / TOKENS_FILE, changed.to_text().encode(), files.KEY_MODE, _WHAT)
        self._tokens = changed

    # --- connections

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(listening)
            except OSError as error:  # too many open files, or the client went away
                self._context.report.warning(f"a connection was not accepted: {(error.strerror or str(error)).lower()}")
                await asyncio.sleep(1.0)
                continue
            address = str(peer[0])
            if self._open.total() >= CONNECTIONS_MAX or self._open[address] >= CONNECTIONS_PER_ADDRESS_MAX:
                self._context.report.info("sent away: too many connections to the enrolment over HTTPS", None, f"{address}:{peer[1]}")
                connection.close()
                continue
            self._open[address] += 1
            task = loop.create_task(self._serve(connection, peer))
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)

    async def _serve(self, connection: socket.socket, peer: tuple[Any, ...]) -> None:
        try:
            async with asyncio.timeout(CONNECTION_S):
                await self._converse(connection, f"{peer[0]}:{peer[1]}")
        except (OSError, TimeoutError):  # a TLS fault is an OSError; the client hears of it by TLS itself
            pass
        finally:
            connection.close()
            self._open -= Counter([str(peer[0])])

    async def _converse(self, connection: socket.socket, address: str) -> None:
        self._use_certificate()
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=http.HEAD_BYTES_MAX)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol, connection, ssl=self._tls, ssl_handshake_timeout=CONNECTION_S / 2, ssl_shutdown_timeout=2.0
        )
        try:
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            reply = await self._reply(reader, address)
            if reply:
                writer.write(reply)
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        finally:
            transport.abort()

    async def _reply(self, reader: asyncio.StreamReader, address: str) -> bytes:
        try:
            request = await http.read_request(reader)
            return b"" if request is None else await self._answer(request, address)
        except BadRequest as error:
            self._context.report.info(f"a request was not understood: {error}", None, address)
            return http.refusal(error)
        except UserError as error:
            return http.refusal(error)
        except Exception as error:
            self._context.report.warning(f"a fault of the program: {type(error).__name__}: {error}; please report it", None, address)
            return http.refusal(UserError("a fault of the arbitrator's program", "its log says more"), HTTPStatus.INTERNAL_SERVER_ERROR)

    async def _answer(self, request: http.Request, address: str) -> bytes:
        match request.method, request.path:
            case "GET", "/ca":
                return http.answer(HTTPStatus.OK, self._context.authority(), "application/x-pem-file")
            case "POST", "/check":
                return http.json_answer(HTTPStatus.OK, await self._told(self._check, _fields(request.body, _CHECK_KEYS), address))
            case "POST", "/enroll":
                return http.json_answer(HTTPStatus.OK, await self._told(self._enrol, _fields(request.body, _ENROL_KEYS), address))
            case "POST", "/keep":
                return http.json_answer(HTTPStatus.OK, await self._told(self._finish, _fields(request.body, _RECEIPT_KEYS), address))
            case "POST", "/give-back":
                return http.json_answer(HTTPStatus.OK, await self._told(self._take_back, _fields(request.body, _RECEIPT_KEYS), address))
            case _, "/ca" | "/check" | "/enroll" | "/keep" | "/give-back":
                raise BadRequest(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not what {request.path} takes")
            case _:
                raise BadRequest(HTTPStatus.NOT_FOUND, "there is nothing to see here", "on a node: thirdvote join URL")

    async def _told(self, work: Work, asked: Mapping[str, str], address: str) -> dict[str, Any]:
        """What was refused is in the log."""
        try:
            return await work(asked, address)
        except UserError as error:
            cluster = asked["cluster"]
            shown = cluster if cluster.isprintable() else None
            self._context.report.warning(f"not let into {cluster!a} over HTTPS: {error}", shown, address)
            raise

    async def _check(self, asked: Mapping[str, str], address: str) -> dict[str, Any]:
        self._known().check(parse_token(asked["token"]), asked["cluster"], self._wall())
        return {"port": self._context.settings.vote_port}

    async def _enrol(self, asked: Mapping[str, str], address: str) -> dict[str, Any]:
        cluster = asked["cluster"]
        async with self._signing:
            certificate = await self._sign(asked, cluster, address)
        self._context.report.info(f"a certificate for the cluster {cluster!a} was signed, by a token", cluster, address)
        return {"certificate": b64encode(certificate).decode(), "authority": self._context.authority().decode()}

    async def _sign(self, asked: Mapping[str, str], cluster: str, address: str) -> bytes:
        """A token that was taken for a request which is then refused, is given back."""
        issued = self._known().check(parse_token(asked["token"]), cluster, self._wall())
        request, receipt = _request(asked["request"]), asked["receipt"]
        if not _SHA256.fullmatch(receipt):
            raise BadRequest(HTTPStatus.BAD_REQUEST, "the receipt is no SHA-256", "the node's thirdvote may be of another version")
        self._keep(self._known().with_use(issued, self._wall(), address))
        try:
            signing = asyncio.to_thread(self._context.sign, request, issued.cluster, way=WAY, asked_by=address, replace=False)
            certificate = await asyncio.shield(signing)
        except UserError:
            self._keep(self._known().with_use_undone(issued))
            raise
        self._keep(self._known().with_certificate(issued, material.serial_number_of(certificate), receipt))
        return certificate

    async def _finish(self, asked: Mapping[str, str], address: str) -> dict[str, Any]:
        """Only now, as a node that fails on its way goes back to what it had."""
        async with self._signing:
            issued, number = self._known().by_receipt(parse_token(asked["token"]), asked["cluster"], asked["receipt"])
            if issued.replace:
                if await asyncio.shield(asyncio.to_thread(self._context.revoke_others, issued.cluster, number)):
                    self._tell_voter()
                self._context.report.info(f"the older certificates of the cluster {issued.cluster!a} are revoked", issued.cluster, address)
            self._keep(self._known().with_use_final(issued))
        return {}

    async def _take_back(self, asked: Mapping[str, str], address: str) -> dict[str, Any]:
        async with self._signing:
            issued, number = self._known().by_receipt(parse_token(asked["token"]), asked["cluster"], asked["receipt"])
            await asyncio.shield(asyncio.to_thread(self._context.revoke, number, "given back: joining failed"))
            self._tell_voter()
            self._keep(self._known().with_use_undone(issued))
        cluster = issued.cluster
        self._context.report.info(f"the certificate for the cluster {cluster!a} was given back, and is revoked", cluster, address)
        return {"usable": self._wall() < issued.until}

    def _tell_voter(self) -> None:
        """The node needs not wait for that."""

        async def tell() -> None:
            try:
                await asyncio.to_thread(self._context.tell_voter)
            except UserError as error:
                self._context.report.warning(f"the voter could not be told which certificates are revoked: {error}")

        task = asyncio.get_running_loop().create_task(tell())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    # --- certificates

    @property
    def _folder(self) -> paths.Folder:
        return paths.folder_in(self._context.data)

    def _use_certificate(self) -> None:
        """The newest one; looked at for each connection, which costs two calls of the system."""
        where = self._folder
        try:
            made_of = tuple(path.stat().st_mtime_ns for path in (where.server, where.server_key))
            if made_of != self._tls_made_of:
                self._tls.load_cert_chain(where.server, where.server_key)
                self._tls_made_of = made_of
        except (OSError, ssl.SSLError) as error:
            if not self._tls_made_of:
                reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
                raise UserError(f"the server certificate can not be used: {reason}", "`thirdvote ca show` says more") from None


async def _listen(host: str | None, port: int) -> list[socket.socket]:
    """UserError."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise UserError(f"{host} is no address of this host ({error.strerror or error})", "change it with --enroll-https") from None
    listening: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            if listening and port == 0:  # the system chooses one port for all
                address = (address[0], listening[0].getsockname()[1], *address[2:])
            listening.append(_bound(family, kind, protocol, address))
    except OSError as error:
        for each in listening:
            each.close()
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"can not listen on port {port} for joining nodes ({reason})", "choose another one with --enroll-https") from None
    return listening


def _bound(family: int, kind: int, protocol: int, address: Any) -> socket.socket:
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _fields(body: bytes, keys: frozenset[str]) -> dict[str, str]:
    """BadRequest."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    texts = isinstance(fields, dict) and fields.keys() == keys and all(isinstance(value, str) for value in fields.values())
    if not texts or len(fields["cluster"]) > TEXT_LENGTH_MAX or len(fields["token"]) > TEXT_LENGTH_MAX:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "this is no request to join", "the node's thirdvote may be of another version")
    return dict(fields)


def _request(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the request for a certificate is damaged", "try again") from None
