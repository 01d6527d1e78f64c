"""Against asyncssh's own client; OpenSSH's are in tests/e2e/test_enroll_openssh.py."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncssh
import pytest

from tests.ssh_here import in_loop, ssh_here
from thirdvote.enroll import ssh_connection
from thirdvote.enroll.ssh_connection import CHANNELS_MAX, TRIES_MAX


@in_loop
async def test_closed_is_said_and_how_to_open_it(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        with pytest.raises(asyncssh.DisconnectError, match="enrolment is closed: on the arbitrator, open it with `thirdvote enroll open`"):
            async with here.connect("any"):
                pass


@in_loop
async def test_only_root_logs_in(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        password = await here.open()
        with pytest.raises(asyncssh.DisconnectError, match="log in as root, not as 'admin'"):
            async with here.connect(password, user="admin"):
                pass


@in_loop
async def test_a_wrong_password(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        password = await here.open()
        with pytest.raises(asyncssh.PermissionDenied):
            async with here.connect("wrong"):
                pass
        with pytest.raises(asyncssh.DisconnectError, match="not that long"):
            async with here.connect("x" * 5_000):
                pass
        async with here.connect(password.upper().replace("-", " ")) as connection:  # as somebody may have typed it
            assert (await connection.run("true")).exit_status == 0
    assert "wrong password: it is the one that `thirdvote enroll open` has shown; 4 more tries before a pause" in here.texts()


@in_loop
async def test_one_connection_has_few_tries(tmp_path: Path) -> None:
    class Guesser(asyncssh.SSHClient):
        tries = 0

        def password_auth_requested(self) -> str:
            self.tries += 1
            return "wrong"

    async with ssh_here(tmp_path) as here:
        await here.open()
        with pytest.raises(asyncssh.DisconnectError, match="wrong password"):
            await asyncssh.create_connection(
                Guesser, "127.0.0.1", here.port, username="root", known_hosts=None, config=None, client_keys=[], agent_path=None
            )
    assert here.texts().count("wrong password") == TRIES_MAX


@in_loop
async def test_neither_terminal_nor_shell_nor_subsystem(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        password = await here.open()
        async with here.connect(password) as connection:
            ended = await connection.run(None, input="")
            assert ended.exit_status == 1
            assert "a shell is not to be had" in str(ended.stderr)
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.create_process("true", term_type="xterm")
            ended = await connection.run(subsystem="netconf", input="")
            assert "the subsystem 'netconf' is not known here" in str(ended.stderr)


@in_loop
async def test_nothing_is_forwarded(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        password = await here.open()
        async with here.connect(password) as connection:
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_connection("127.0.0.1", here.port)
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_unix_connection(str(here.data / "control.sock"))
            with pytest.raises(asyncssh.ChannelListenError):
                await connection.forward_remote_port("", 0, "127.0.0.1", here.port)
            if hasattr(connection, "create_tun"):  # not in asyncssh 2.10
                with pytest.raises(asyncssh.ChannelOpenError):
                    await connection.create_tun(*[None] * 2)


@in_loop
async def test_commands_and_scripts(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        password = await here.open()
        async with here.connect(password) as connection:
            assert (await connection.run("ls /tmp")).exit_status == 0
            script = await connection.run("/bin/bash", input="test -f /etc/corosync/qnetd/nssdb/qnetd-cacert.crt && ls /etc\n")
            assert (script.exit_status, script.stdout) == (0, "corosync\n")
            for command, text in (("reboot", "not known here"), ("echo $HOME", "not known here"), ("a 'b", "has no end")):
                ended = await connection.run(command)
                assert ended.exit_status != 0
                assert text in str(ended.stderr)
            nested = await connection.run("/bin/sh", input="/bin/sh\n")
            assert "a script that starts a shell" in str(nested.stderr)


@in_loop
async def test_what_comes_on_standard_input_is_bounded(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        password = await here.open()
        async with here.connect(password) as connection:
            for command in ("/bin/sh", "cat >> .ssh/authorized_keys"):
                ended = await connection.run(command, input="x" * 200_000)
                assert "bytes is not taken" in str(ended.stderr)


@in_loop
async def test_sessions_are_not_too_many(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        password = await here.open()
        async with here.connect(password) as connection:
            for _ in range(CHANNELS_MAX):
                await connection.create_process("/bin/sh")
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.create_process("/bin/sh")


def test_a_client_that_stalls_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_connection, "COMMAND_S", 0.2)

    async def stalled() -> None:
        async with ssh_here(tmp_path) as here:
            password = await here.open()
            async with here.connect(password) as connection:
                process = await connection.create_process("cat >> .ssh/authorized_keys")
                ended = await process.wait()
                assert ended.exit_status == 1
                assert "nothing came for" in str(ended.stderr)

    asyncio.run(stalled())


def test_a_connection_does_not_last_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_connection, "CONNECTION_S", 3.0)

    async def lasting() -> None:
        async with ssh_here(tmp_path) as here:
            password = await here.open()
            async with here.connect(password) as connection:
                await connection.wait_closed()

    asyncio.run(asyncio.wait_for(lasting(), 20))
