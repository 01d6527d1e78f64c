"""One SSH connection: who it is, by password or key, and what is done with its commands. asyncssh speaks the protocol.

There is no shell, no terminal, no forwarding and no account of this host. Every refusal is a sentence that OpenSSH shows: in
the disconnection before somebody is logged in, on standard error after that.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import asyncssh
from asyncssh.channel import SSHChannel

from thirdvote.enroll.answers import FAILED, Answer, carry_out, said
from thirdvote.enroll.desk import LoginDesk
from thirdvote.enroll.keys import TEXT_BYTES_MAX, fingerprint_of
from thirdvote.enroll.passwords import TYPED_BYTES_MAX
from thirdvote.enroll.sftp import TreeSftp
from thirdvote.enroll.shell import HINT, SCRIPT_BYTES_MAX, Command, ReadScript, SaveKeys, shown, understand
from thirdvote.enroll.windows import Access
from thirdvote.errors import UserError

USER = "root"
"""Whom `pvecm` and the others log in as."""

TRIES_MAX = 3
"""Wrong passwords on one connection; as many as ssh asks for."""

CONNECTION_S = 600.0
"""The life of a connection. A setup makes a new one for each step."""

UNWELCOME_S = 5.0
"""Of one too many: until it can be told so. A connection that is closed before it has said anything hears no reason."""

COMMAND_S = 60.0
"""For what a command reads on standard input, and its answer."""

CHANNELS_MAX = 8
RECEIVE_WINDOW_BYTES = 131_072
"""Of one session: as much may be on its way before it is looked at."""

SFTP_VERSION = 3
"""What OpenSSH speaks."""


class Gate(Protocol):
    """Decides who may come in; shared by all connections."""

    def admit(self, connection: SshConnection) -> str | None:
        """Why not, or None. May end it at once."""

    def closed(self) -> str | None:
        """A sentence, when nobody may log in."""

    async def enter(self, password: str, address: str) -> Access | str:
        """A sentence when the password is wrong, or none is looked at now."""

    def enter_by_key(self, fingerprint: str) -> Access: ...

    def entered(self, connection: SshConnection) -> LoginDesk: ...

    def gone(self, connection: SshConnection) -> None: ...

    def refused(self, what: str, address: str) -> None: ...


class SshConnection(asyncssh.SSHServer):
    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._connection: asyncssh.SSHServerConnection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tries = 0
        self._channels = 0
        self._unwelcome: str | None = None
        self.since = 0.0
        self.address = ""
        """host:port of the other end."""
        self.host = ""
        self.access: Access = frozenset()
        self.key = ""
        """The fingerprint of the key that was shown last; empty when it was a password."""
        self.desk: LoginDesk | None = None

    # ---- its life

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        host, port = (conn.get_extra_info("peername") or ("unknown", 0))[:2]
        self.host, self.address = str(host), f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
        self._unwelcome = self._gate.admit(self)
        loop = asyncio.get_running_loop()
        self.since = loop.time()
        if self._unwelcome is None:
            self._timer = loop.call_later(CONNECTION_S, self.send_away, f"a connection lasts {CONNECTION_S:.0f} s at most")
        else:
            self._timer = loop.call_later(UNWELCOME_S, self.send_away, self._unwelcome)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._gate.gone(self)

    def send_away(self, why: str, code: int = asyncssh.DISC_BY_APPLICATION) -> None:
        """The connection ends; `why` is shown by ssh."""
        if self._connection is not None:
            self._connection.disconnect(code, why)

    def abort(self) -> None:
        """Without a word."""
        if self._connection is not None:
            self._connection.abort()

    def _refuse(self, why: str, code: int) -> None:
        self._gate.refused(why, self.address)
        self.send_away(why, code)

    # ---- who it is

    def begin_auth(self, username: str) -> bool:
        closed = self._gate.closed()
        if self._unwelcome is not None:
            self.send_away(self._unwelcome, asyncssh.DISC_TOO_MANY_CONNECTIONS)
        elif closed is not None:
            self._refuse(closed, asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE)
        elif username != USER:
            self._refuse(f"log in as {USER}, not as {shown(username)}", asyncssh.DISC_ILLEGAL_USER_NAME)
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self.key = fingerprint_of(key.public_data)
        self.access = self._gate.enter_by_key(self.key)
        return bool(self.access)

    def password_auth_supported(self) -> bool:
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        if len(password) > TYPED_BYTES_MAX:
            self._refuse("a password is not that long", asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE)
            return False
        found = await self._gate.enter(password, self.host)
        if isinstance(found, str):
            self._wrong(found)
            return False
        self.access, self.key = found, ""
        return True

    def _wrong(self, why: str) -> None:
        self._tries += 1
        if self._tries >= TRIES_MAX:
            self._refuse(why, asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE)
            return
        self._gate.refused(why, self.address)
        if self._connection is not None:
            self._connection.send_auth_banner(f"{why}\r\n")

    def auth_completed(self) -> None:
        self.desk = self._gate.entered(self)

    # ---- what it wants

    def session_requested(self) -> bool | tuple[asyncssh.SSHServerChannel[bytes], asyncssh.SSHServerSession[bytes]]:
        if self._channels >= CHANNELS_MAX or self._connection is None:
            self._gate.refused(f"more than {CHANNELS_MAX} sessions on one connection", self.address)
            return False
        self._channels += 1
        channel = self._connection.create_server_channel(encoding=None, window=RECEIVE_WINDOW_BYTES)
        session: asyncssh.SSHServerProcess[bytes] = asyncssh.SSHServerProcess(self._run, self._sftp, SFTP_VERSION, True)
        return channel, session

    def _sftp(self, channel: SSHChannel[bytes]) -> TreeSftp:
        assert self.desk is not None
        return TreeSftp(channel, self.desk)

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        try:
            answer = await asyncio.wait_for(self._answer(process), COMMAND_S)
        except TimeoutError:
            answer = Answer(FAILED, b"", f"nothing came for {COMMAND_S:.0f} s\n")
        except UserError as error:
            answer = Answer(FAILED, b"", said(error))
        except (asyncssh.BreakReceived, asyncssh.SignalReceived, asyncssh.TerminalSizeChanged):
            answer = Answer(FAILED, b"", "interrupted\n")
        if answer.status and answer.error and not answer.is_told:
            self._gate.refused(f"{shown(process.command or 'a shell')}: {answer.error.splitlines()[0]}", self.address)
        process.stdout.write(answer.out)
        process.stderr.write(answer.error.encode("utf-8", "backslashreplace"))
        process.exit(answer.status)
        self._channels -= 1

    async def _answer(self, process: asyncssh.SSHServerProcess[bytes]) -> Answer:
        if process.subsystem is not None:
            raise UserError(f"the subsystem {shown(process.subsystem)} is not known here", HINT)
        if process.command is None:
            raise UserError("a shell is not to be had", HINT)
        command = understand(process.command)
        if isinstance(command, ReadScript):
            script = await _input(process, SCRIPT_BYTES_MAX, "a script")
            command = understand(script.decode("utf-8", "surrogateescape"))
        return await self._carry_out(command, process)

    async def _carry_out(self, command: Command, process: asyncssh.SSHServerProcess[bytes]) -> Answer:
        assert self.desk is not None
        match command:
            case ReadScript():
                raise UserError("a script that starts a shell is not known here", HINT)
            case SaveKeys(text):
                if text is None:
                    text = (await _input(process, TEXT_BYTES_MAX, "a file with keys")).decode("utf-8", "replace")
                self.desk.add_keys(text)
                return Answer()
            case _:
                return await carry_out(self.desk, command)


async def _input(process: asyncssh.SSHServerProcess[bytes], most: int, what: str) -> bytes:
    """All of it. UserError when it is too much."""
    found = b""
    while piece := await process.stdin.read(4_096):
        found += piece
        if len(found) > most:
            raise UserError(f"{what} of more than {most} bytes is not taken", HINT)
    return found
