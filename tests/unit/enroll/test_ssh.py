"""The windows as they are opened, used and closed; a password of the settings; what the log says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests.certificates import request
from tests.ssh_here import FIXED, SshHere, in_loop, ssh_here
from thirdvote.enroll import ssh
from thirdvote.enroll.process import Context
from thirdvote.enroll.report import Reporter
from thirdvote.enroll.settings import EnrollSettings
from thirdvote.enroll.ssh import CONNECTIONS_PER_ADDRESS_MAX, SshService
from thirdvote.enroll.windows import LINGER_S
from thirdvote.errors import UserError
from thirdvote.pki import inventory, store

CRQ = "/tmp/qdevice-net-node.crq"


async def enrolled(connection: asyncssh.SSHClientConnection, cluster: str, csr: bytes | None = None) -> asyncssh.SSHCompletedProcess:
    async with connection.start_sftp_client() as sftp, sftp.open(CRQ, "wb") as file:
        await file.write(csr if csr is not None else request(cluster))
    return await connection.run(f"corosync-qnetd-certutil -s -c {CRQ} -n '{cluster}'")


async def fetched(connection: asyncssh.SSHClientConnection, cluster: str) -> bytes:
    async with connection.start_sftp_client() as sftp, sftp.open(f"/etc/corosync/qnetd/nssdb/cluster-{cluster}.crt", "rb") as file:
        data: bytes = await file.read()
        return data


async def ends(connection: asyncssh.SSHClientConnection) -> None:
    await asyncio.wait_for(connection.wait_closed(), 10)


def windows(here: SshHere) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = here.service.status()["windows"]
    return found


@in_loop
async def test_a_cluster_gets_its_certificate_and_the_window_closes(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with ssh_here(tmp_path) as here:
        password = await here.open(for_s=600)
        async with here.connect(password) as connection:
            await connection.run("cat >> .ssh/authorized_keys", input=key.export_public_key().decode())
            assert (await enrolled(connection, "web")).exit_status == 0
            (window,) = windows(here)
            assert (window["taken_by"], window["done"], window["signed"], window["keys"]) == ("web", False, 1, 1)
            assert (await fetched(connection, "web")).startswith(b"\x30\x82")
            assert windows(here)[0]["done"]
            with pytest.raises(asyncssh.PermissionDenied):
                async with here.connect(password):
                    pass
            async with here.connect(None, key) as again:
                assert (await again.run("true")).exit_status == 0
                here.now[0] += LINGER_S + 1
                here.service._changed.set()  # what is over is looked for
                await ends(again)
    (kept,) = inventory.every(here.data / "pki")
    assert (kept.cluster, kept.way) == ("web", "ssh")
    texts = here.texts()
    for text in (
        "a certificate was signed in window 1",
        "the certificate was fetched: window 1 is closed",
        "window 1 has ended: its work is done",
    ):
        assert text in texts


@in_loop
async def test_a_window_is_for_one_cluster(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        bound, free = await here.open(cluster="web"), await here.open()
        async with here.connect(bound) as connection:
            refused = await enrolled(connection, "db")
            assert (refused.exit_status, "is for the cluster 'web', not for 'db'" in str(refused.stderr)) == (1, True)
            assert (await enrolled(connection, "web")).exit_status == 0
        async with here.connect(free) as connection:
            assert (await enrolled(connection, "db")).exit_status == 0
            assert "was taken by the cluster 'db'" in str((await enrolled(connection, "office")).stderr)
            with pytest.raises(asyncssh.SFTPNoSuchFile):  # what another window has signed is not seen here
                await fetched(connection, "web")


@pytest.mark.parametrize(
    ("cluster", "csr", "text"),
    [
        ("Qnetd Server", None, "no cluster may be called 'Qnetd Server'"),
        ("web", b"no request", "this is no certificate request"),
        ("web", b"", "this is no certificate request"),
        ("web", b"\x30" * 20_000, "is too long"),
        ("web", request("db"), "the request is for 'db', not for 'web'"),
        ("a/b", request("a/b"), "has a slash"),
        ("*", request("*"), "has an asterisk"),
    ],
)
def test_what_is_not_signed(tmp_path: Path, cluster: str, csr: bytes | None, text: str) -> None:
    async def refused() -> None:
        async with ssh_here(tmp_path) as here:
            password = await here.open()
            async with here.connect(password) as connection:
                answer = await enrolled(connection, cluster, csr)
                assert answer.exit_status == 1
                assert text in str(answer.stderr)
                assert "hint: " in str(answer.stderr)
                assert windows(here)[0]["signed"] == 0
            assert any(event["level"] == "warning" and text in event["text"] for event in here.events)

    asyncio.run(refused())


@in_loop
async def test_two_clusters_at_once_take_two_windows_and_not_one(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        password = await here.open()
        async with here.connect(password) as one, here.connect(password) as other:
            async with one.start_sftp_client() as sftp:
                for name in ("a", "b"):
                    async with sftp.open(f"/tmp/{name}", "wb") as file:
                        await file.write(request(name))
            answers = await asyncio.gather(
                *(each.run(f"corosync-qnetd-certutil -s -c /tmp/{name} -n {name}") for each, name in ((one, "a"), (other, "b")))
            )
            assert sorted(answer.exit_status or 0 for answer in answers) == [0, 1]


@in_loop
async def test_a_window_is_closed_for_those_who_are_in(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        password = await here.open()
        async with here.connect(password) as connection:
            await here.close()
            await ends(connection)
        with pytest.raises(UserError, match="there is no such window"):
            await here.close(window=7)
        with pytest.raises(UserError, match="named by its number"):
            await here.close(window="x")
        await here.close()
    assert "window 1 has ended: it was closed" in here.texts()


@in_loop
async def test_a_window_ends_by_the_clock(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        here.service._now = lambda: here.now[0] + asyncio.get_running_loop().time()  # goes on by itself
        password = await here.open(for_s=10)
        async with here.connect(password) as connection:
            here.now[0] += 9.7
            here.service._changed.set()
            await ends(connection)
        assert windows(here) == []


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({"for_s": 1}, "a window is open for"),
        ({"for_s": "x"}, "a window is open for"),
        ({"for_s": True}, "a window is open for"),
        ({"for_s": 1e9}, "a window is open for"),
        ({"cluster": 1}, "is not a text"),
        ({"cluster": ""}, "does not fit"),
        ({"cluster": "Qnetd Server"}, "no cluster may be called"),
        ({"cluster": "a/b"}, "has a slash"),
    ],
)
def test_what_no_window_can_be(tmp_path: Path, wanted: dict[str, Any], text: str) -> None:
    async def refused() -> None:
        async with ssh_here(tmp_path) as here:
            with pytest.raises(UserError, match=text):
                await here.open(**wanted)

    asyncio.run(refused())


@in_loop
async def test_too_many_wrong_passwords_bring_a_pause(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        password = await here.open()
        for _ in range(5):
            with pytest.raises(asyncssh.PermissionDenied):
                async with here.connect("wrong"):
                    pass
        with pytest.raises(asyncssh.PermissionDenied):
            async with here.connect(password):
                pass
        assert "shown; 1 more try before a pause" in here.texts()
        assert "too many wrong passwords: none is looked at for 60 s" in here.texts()
        here.now[0] += 60
        async with here.connect(password):
            pass


@in_loop
async def test_connections_of_one_address_are_not_too_many(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        password = await here.open()
        half_open = [await asyncio.open_connection("127.0.0.1", here.port) for _ in range(CONNECTIONS_PER_ADDRESS_MAX)]
        for reader, _ in half_open:
            await reader.readline()  # the other side has said who it is
        with pytest.raises(asyncssh.DisconnectError, match="connections from your address are open"):
            async with here.connect(password):
                pass
        for _, writer in half_open:
            writer.close()
            await writer.wait_closed()
        for _ in range(1_000):
            await asyncio.sleep(0.01)
            if not here.service.status()["connections"]:
                break
        async with here.connect(password):
            pass


def test_a_connection_that_says_nothing_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "LOGIN_S", 0.3)

    async def silent() -> None:
        async with ssh_here(tmp_path) as here:
            for beginning in (b"", b"SSH-2.0-x\r\n", b"SSH-2.0-"):
                reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
                writer.write(beginning)
                await asyncio.wait_for(reader.read(), 10)
                writer.close()

    asyncio.run(silent())


@in_loop
async def test_nothing_rests_on_sha_1(tmp_path: Path) -> None:
    async with ssh_here(tmp_path) as here:
        await here.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(b"SSH-2.0-x\r\n")
        await reader.readline()
        offered = await reader.readuntil(b"ssh-ed25519")
        offered += await reader.read(4_096)
        writer.close()
    assert b"curve25519-sha256" in offered
    assert b"hmac-sha2-256" in offered
    assert b"sha1" not in offered


# ---- a password of the settings


@in_loop
async def test_a_password_of_the_settings_opens_every_window_and_is_not_shown(tmp_path: Path) -> None:
    async with ssh_here(tmp_path, password=FIXED) as here:
        with pytest.raises(asyncssh.DisconnectError, match="enrolment is closed"):
            async with here.connect(FIXED):
                pass
        answer = await here.service.commands()["open"]({})
        assert answer["password"] is None
        await here.open(cluster="web")
        async with here.connect(FIXED) as connection:
            assert (await enrolled(connection, "web")).exit_status == 0
            assert (await enrolled(connection, "db")).exit_status == 0
            assert (await enrolled(connection, "office")).exit_status == 1
    assert FIXED not in str(here.events)


@in_loop
async def test_a_window_that_is_always_open_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{FIXED}\n", encoding="utf-8")
    async with ssh_here(tmp_path, password_file=str(path), always=True) as here:
        (window,) = windows(here)
        assert (window["lasting"], window["until"]) == (True, None)
        assert here.events[0]["level"] == "warning"
        assert "let in all the time" in here.events[0]["text"]
        await here.close()
        async with here.connect(FIXED) as connection:
            for cluster in ("a", "b"):
                assert (await enrolled(connection, cluster)).exit_status == 0
                await fetched(connection, cluster)
    assert here.service.status()["windows"][0]["signed"] == 2


@pytest.mark.parametrize("content", [b"short", b"", b"two lines\nof a password", b"x" * 200])
def test_a_file_with_no_password_for_us(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    store.ensure(tmp_path)
    settings = EnrollSettings(data=str(tmp_path), ssh="127.0.0.1:1", password_file=str(path))
    service = SshService(Context(settings, Reporter(lambda line: None, lambda: 0.0)))
    with pytest.raises(UserError, match="must have a password of 12 to 128 characters"):
        asyncio.run(service.start())


def test_a_port_of_another_program(tmp_path: Path) -> None:
    async def taken() -> None:
        async with ssh_here(tmp_path) as here:
            settings = EnrollSettings(data=str(here.data), ssh=f"127.0.0.1:{here.port}")
            with pytest.raises(UserError, match="can not listen on") as caught:
                await SshService(Context(settings, Reporter(lambda line: None, lambda: 0.0))).start()
            assert "--enroll-ssh" in str(caught.value.hint)

    asyncio.run(taken())
