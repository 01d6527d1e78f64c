"""Against asyncssh's own client; OpenSSH's are in tests/e2e/test_enroll_openssh.py."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import suppress
from pathlib import Path

import asyncssh
import pytest

from tests.ssh_here import in_loop, ssh_here
from thirdvote.enroll.sftp import HANDLES_MAX, TreeSftp
from thirdvote.enroll.tree import AUTHORITY, FILE_BYTES_MAX, NSSDB

OF_THE_CHANNEL = {"__init__", "channel", "connection", "env", "logger", "convert_attrs", "format_longname", "_to_sftpname"}
"""What touches no file, and stays as it is."""


def test_nothing_of_the_library_reaches_a_file_of_this_host() -> None:
    theirs = {name for name, member in vars(asyncssh.SFTPServer).items() if inspect.isfunction(member) or isinstance(member, property)}
    left = theirs - vars(TreeSftp).keys() - OF_THE_CHANNEL
    assert sorted(left) == []


@in_loop
async def test_files_come_and_go(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        password = await here.open()
        async with here.connect(password) as connection, connection.start_sftp_client() as sftp:
            async with sftp.open("/tmp/a", "wb") as file:
                await file.write(b"request")
            async with sftp.open("/tmp/a", "ab") as file:
                await file.write(b" and more")
            async with sftp.open("/tmp/a", "rb") as file:
                assert await file.read() == b"request and more"
            assert await sftp.getsize("/tmp/a") == 16
            await sftp.rename("/tmp/a", "/tmp/b")
            assert sorted(await sftp.listdir("/tmp")) == ["b"]
            await sftp.posix_rename("/tmp/b", "/tmp/c")
            await sftp.chmod("/tmp/c", 0o600)
            await sftp.truncate("/tmp/c", 3)
            await sftp.remove("/tmp/c")
            await sftp.mkdir("/run/lock")
            await sftp.rmdir("/run/lock")
            assert await sftp.realpath("../tmp/./x") == "/tmp/x"
            async with sftp.open(AUTHORITY, "rb") as file:
                assert await file.read() == (here.data / "pki" / "ca.crt").read_bytes()


@in_loop
async def test_what_is_refused(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        password = await here.open()
        async with here.connect(password) as connection, connection.start_sftp_client() as sftp:
            for path in ("/etc/shadow", f"{NSSDB}/../../../shadow", "/proc/self/environ", str(here.data / "pki" / "ca.key"), "nowhere"):
                with pytest.raises(asyncssh.SFTPNoSuchFile):
                    await sftp.open(path, "rb")
            for path in ("/etc/passwd", "/a", AUTHORITY):
                with pytest.raises(asyncssh.SFTPPermissionDenied):
                    await sftp.open(path, "wb")
            for path in ("/tmp/a\0b", "/tmp/" + "a" * 300, "/" + "a/" * 2_000):
                with pytest.raises(asyncssh.SFTPFailure):
                    await sftp.open(path, "wb")
            for action in (sftp.symlink("/etc/shadow", "/tmp/link"), sftp.link(AUTHORITY, "/tmp/link"), sftp.readlink("/tmp")):
                with pytest.raises(asyncssh.SFTPOpUnsupported):
                    await action
            with pytest.raises(asyncssh.SFTPNoSuchFile):
                await sftp.listdir("/nowhere")
            with pytest.raises(asyncssh.SFTPPermissionDenied):
                await sftp.remove(AUTHORITY)
    assert "refused: there is no /etc/shadow here" in here.texts()


@in_loop
async def test_a_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        password = await here.open()
        async with here.connect(password) as connection, connection.start_sftp_client() as sftp:
            file = await sftp.open("/tmp/a", "wb")
            await file.write(b"x" * FILE_BYTES_MAX, 0)
            with pytest.raises(asyncssh.SFTPFailure, match="would have more than"):
                await file.write(b"x", FILE_BYTES_MAX)
            with pytest.raises(asyncssh.SFTPFailure):
                await file.write(b"x", 1 << 40)
            for number in range(100):
                with suppress(asyncssh.SFTPError, asyncssh.DisconnectError, ConnectionError):
                    await file.write(b"x" * 16_384, FILE_BYTES_MAX + number)
            await asyncio.wait_for(connection.wait_closed(), 10)
    assert "far too much was sent to /tmp/a" in here.texts()


@in_loop
async def test_files_are_not_left_open_without_number(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        password = await here.open()
        async with here.connect(password) as connection, connection.start_sftp_client() as sftp:
            files = [await sftp.open(AUTHORITY, "rb") for _ in range(HANDLES_MAX)]
            with pytest.raises(asyncssh.SFTPFailure, match="files are open at once"):
                await sftp.open(AUTHORITY, "rb")
            await files[0].close()
            await sftp.open(AUTHORITY, "rb")


@in_loop
async def test_keys_that_are_put_there_let_in(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with ssh_here(tmp_path) as here:
        password = await here.open()
        async with here.connect(password) as connection, connection.start_sftp_client() as sftp:
            with pytest.raises(asyncssh.SFTPFailure, match="this is no public key"):
                async with sftp.open(".ssh/authorized_keys", "wb") as file:
                    await file.write(b"hello")
            async with sftp.open(".ssh/authorized_keys", "wb") as file:
                await file.write(key.export_public_key())
        async with here.connect(None, key) as connection:
            assert (await connection.run("true")).exit_status == 0
