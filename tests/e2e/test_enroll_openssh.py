"""OpenSSH's clients at the enrolment: what they send, what they show, and what nobody gets."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.certificates import request
from tests.enrolment_process import EnrolmentProcess, enrolment_process
from tests.openssh_here import OpenSsh, needs_openssh
from thirdvote.enroll.ssh import CONNECTIONS_PER_ADDRESS_MAX, LOGINS_MAX
from thirdvote.enroll.tree import AUTHORITY, NSSDB

pytestmark = needs_openssh

CRQ = "/tmp/qdevice-net-node.crq"

RESIDENT_GROWTH_KIB_MAX = 24_000
"""Of the process, while somebody sends without end."""


@pytest.fixture
def enrolment(tmp_path: Path) -> Iterator[EnrolmentProcess]:
    with enrolment_process(tmp_path) as process:
        yield process


@pytest.fixture
def client(enrolment: EnrolmentProcess, tmp_path: Path) -> OpenSsh:
    """A window is open, and it knows the password."""
    return OpenSsh(tmp_path, "127.0.0.1", enrolment.port, enrolment.open())


@pytest.fixture
def node(client: OpenSsh) -> OpenSsh:
    """One whose key is there already."""
    assert client.copy_id().returncode == 0
    return client


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSsh]:
    """One whose key is there, for all who are refused something and change nothing."""
    folder = tmp_path_factory.mktemp("visitor")
    with enrolment_process(folder) as process:
        client = OpenSsh(folder, "127.0.0.1", process.port, process.open())
        assert client.copy_id().returncode == 0
        yield client


def sent(client: OpenSsh, cluster: str) -> Path:
    path = client.folder / "qdevice-net-node.crq"
    if not path.exists():
        path.write_bytes(request(cluster))
    return path


# ---- logging in


def test_closed_is_said_and_how_to_open_it(enrolment: EnrolmentProcess, tmp_path: Path) -> None:
    client = OpenSsh(tmp_path, "127.0.0.1", enrolment.port, "anything")
    for ended in (client.ssh("exit"), client.copy_id(), client.scp(client.at(AUTHORITY), tmp_path), client.sftp("ls\n")):
        assert ended.returncode != 0
        assert "enrolment is closed: on the arbitrator, open it with `thirdvote enroll open`" in ended.stderr
    assert enrolment.wait_for("enrolment is closed")["address"].startswith("127.0.0.1:")


def test_a_wrong_password_is_said(client: OpenSsh, enrolment: EnrolmentProcess) -> None:
    client.password = "not this one"
    ended = client.ssh("exit")
    assert ended.returncode == 255
    assert "wrong password: it is the one that `thirdvote enroll open` has shown; 4 more tries before a pause" in ended.stderr
    assert "Permission denied" in ended.stderr
    for _ in range(4):
        client.ssh("exit")
    ended = client.ssh("exit")
    assert re.search(r"too many wrong passwords: none is looked at for \d+ s", ended.stderr)
    assert enrolment.wait_for("too many wrong passwords")["level"] == "warning"


def test_another_user_is_told_whom_to_be(client: OpenSsh) -> None:
    ended = client.run("ssh", f"admin@{client.address}", "exit")
    assert (ended.returncode, "log in as root, not as 'admin'" in ended.stderr) == (255, True)


def test_who_only_connects_keeps_nobody_out(client: OpenSsh, enrolment: EnrolmentProcess) -> None:
    with ExitStack() as stack:
        for number in range(LOGINS_MAX):
            source = (f"127.0.0.{2 + number // CONNECTIONS_PER_ADDRESS_MAX}", 0)
            stack.enter_context(closing(socket.create_connection(("127.0.0.1", enrolment.port), 20, source)))
        assert client.copy_id().returncode == 0
    assert enrolment.wait_for("too many connections wait for their login")["address"].startswith("127.0.0.2:")


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
def test_the_host_key_is_the_one_that_was_shown(enrolment: EnrolmentProcess, client: OpenSsh, kind: str) -> None:
    shown = enrolment.ask("status")["status"]["ssh"]["host_keys"]
    assert client.ssh("true", options=("-o", f"HostKeyAlgorithms={kind}")).returncode == 0
    known = subprocess.run(
        ["ssh-keygen", "-l", "-f", client.folder / "known_hosts"], capture_output=True, text=True, check=True, timeout=60
    ).stdout  # fmt: skip
    assert shown["ED25519" if kind == "ssh-ed25519" else "ECDSA"] in known


def test_the_host_key_lasts(tmp_path: Path) -> None:
    with enrolment_process(tmp_path) as first:
        before = first.ask("status")["status"]["ssh"]["host_keys"]
    with enrolment_process(tmp_path) as second:
        assert second.ask("status")["status"]["ssh"]["host_keys"] == before


# ---- ssh-copy-id


@pytest.mark.parametrize("options", [(), ("-s",), ("-f",)])
def test_a_key_is_copied_and_lets_in(client: OpenSsh, enrolment: EnrolmentProcess, options: tuple[str, ...]) -> None:
    ended = client.copy_id(*options)
    assert (ended.returncode, "Number of key(s) added: 1" in ended.stdout) == (0, True), ended.stderr
    assert client.batch("exit").returncode == 0
    assert enrolment.windows()[0]["keys"] == 1
    assert "All keys were skipped" in client.copy_id().stderr


def test_keys_of_several_kinds(client: OpenSsh) -> None:
    for kind in (["-t", "rsa", "-b", "2048"], ["-t", "ecdsa"]):
        client.key.unlink()
        subprocess.run(["ssh-keygen", "-q", *kind, "-N", "", "-f", client.key], check=True, timeout=60)
        assert client.copy_id().returncode == 0
        assert client.batch("exit").returncode == 0


def test_a_key_ends_with_its_window(node: OpenSsh, enrolment: EnrolmentProcess) -> None:
    assert node.batch("exit").returncode == 0
    enrolment.ask("close")
    assert "enrolment is closed" in node.batch("exit").stderr
    node.password = enrolment.open()
    assert "Permission denied" in node.batch("exit").stderr


def test_a_key_without_a_window_of_its_own_does_not_let_in(node: OpenSsh, enrolment: EnrolmentProcess, tmp_path: Path) -> None:
    stranger = OpenSsh(tmp_path / "other", "127.0.0.1", enrolment.port)
    assert "Permission denied" in stranger.batch("exit").stderr


# ---- files


@pytest.mark.parametrize("options", [(), ("-O",)])
def test_files_go_both_ways(node: OpenSsh, enrolment: EnrolmentProcess, tmp_path: Path, options: tuple[str, ...]) -> None:
    authority = tmp_path / "ca"
    assert node.scp(node.at(AUTHORITY), authority, *options).returncode == 0
    assert authority.read_bytes() == (enrolment.data / "pki" / "ca.crt").read_bytes()
    for target in ("/tmp", CRQ, "/tmp/", f"{NSSDB}/qdevice-net-node.crq.web", "here.crq", "~/here.crq"):
        ended = node.scp(sent(node, "web"), node.at(target), *options)
        assert ended.returncode == 0, ended.stderr
    back = tmp_path / "back"
    assert node.scp(node.at(CRQ), back, *options).returncode == 0
    assert back.read_bytes() == (node.folder / "qdevice-net-node.crq").read_bytes()
    assert node.scp(node.at("/etc/corosync"), tmp_path / "all", "-r", *options).returncode == 0
    assert (tmp_path / "all" / "qnetd" / "nssdb" / "qnetd-cacert.crt").is_file()


@pytest.mark.parametrize("options", [(), ("-O",)])
@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("/etc/passwd", "/etc/passwd can not be made here"),
        ("/tmp/../../etc/cron.d/x", "/etc/cron.d/x can not be made here"),
        (AUTHORITY, "is not to be written"),
        ("/tmp/" + "a" * 300, "a name in a path has more than 255 bytes"),
    ],
)
def test_where_nothing_is_put(visitor: OpenSsh, target: str, text: str, options: tuple[str, ...]) -> None:
    ended = visitor.scp(sent(visitor, "web"), visitor.at(target), *options)
    assert ended.returncode != 0
    assert text in ended.stderr


@pytest.mark.parametrize("options", [(), ("-O",)])
@pytest.mark.parametrize("path", ["/etc/shadow", f"{NSSDB}/../../../shadow", f"{NSSDB}/key4.db", "/proc/self/environ", "../etc/shadow"])
def test_what_nobody_gets(visitor: OpenSsh, tmp_path: Path, path: str, options: tuple[str, ...]) -> None:
    ended = visitor.scp(visitor.at(path), tmp_path / "stolen", *options)
    assert ended.returncode != 0
    assert not (tmp_path / "stolen").exists()


def test_links_and_rights(visitor: OpenSsh) -> None:
    assert visitor.sftp(f"symlink /etc/shadow /tmp/link\nget /tmp/link {visitor.folder}/stolen\n").returncode != 0
    assert visitor.sftp(f"chmod 777 {AUTHORITY}\nchown 1000 {AUTHORITY}\n").returncode == 0
    listed = visitor.sftp(f"ls -l {NSSDB}\n").stdout
    assert re.search(r"-rw------- .* root +root .*qnetd-cacert\.crt", listed), listed


UPLOAD_SECONDS_MAX = 120
"""A second or two; but the enrolment steps back behind everything else that the machine does, and clusters may run beside it."""


@pytest.mark.parametrize("options", [(), ("-O",)])
def test_an_upload_without_end_is_ended(node: OpenSsh, enrolment: EnrolmentProcess, options: tuple[str, ...]) -> None:
    before = resident_kib(enrolment.pid)
    large = node.folder / "large"
    with large.open("wb") as file:
        file.truncate(100_000_000)
    started = time.monotonic()
    ended = node.scp(large, node.at("/tmp/large"), *options)
    assert ended.returncode != 0
    assert "/tmp/large would have more than 65536 bytes" in ended.stderr + " ".join(enrolment.texts())
    assert time.monotonic() - started < UPLOAD_SECONDS_MAX
    assert resident_kib(enrolment.pid) - before < RESIDENT_GROWTH_KIB_MAX
    assert node.batch("exit").returncode == 0


# ---- commands


def test_a_certificate_is_signed_and_fetched(node: OpenSsh, enrolment: EnrolmentProcess, tmp_path: Path) -> None:
    assert node.scp(sent(node, "web"), node.at("/tmp")).returncode == 0
    signed = node.batch("corosync-qnetd-certutil", "-s", "-c", CRQ, "-n", "web")
    assert signed.stdout == f"Signing cluster certificate\nCertificate stored in {NSSDB}/cluster-web.crt\n"
    assert node.scp(node.at(f"{NSSDB}/cluster-web.crt"), tmp_path).returncode == 0
    assert (tmp_path / "cluster-web.crt").stat().st_size > 300
    (window,) = enrolment.windows()
    assert (window["taken_by"], window["done"]) == ("web", True)
    assert enrolment.wait_for("a certificate was signed")["cluster"] == "web"


def test_refusals_are_sentences_with_a_status(visitor: OpenSsh) -> None:
    visitor.scp(sent(visitor, "web"), visitor.at("/tmp"))
    for name, text in (("Qnetd Server", "no cluster may be called 'Qnetd Server'"), ("db", "the request is for 'web', not for 'db'")):
        ended = visitor.batch(f"corosync-qnetd-certutil -s -c {CRQ} -n '{name}'")
        assert (ended.returncode, text in ended.stderr) == (1, True)
    for command in ("reboot", "cat /etc/passwd | sh", "echo $HOME", "python3 -c 'import os'", "sftp-server", "scp"):
        ended = visitor.batch(command)
        assert ended.returncode != 0
        assert "hint: this is no shell" in ended.stderr


@pytest.mark.parametrize("options", [("-T",), ("-t",)])
def test_there_is_no_shell(visitor: OpenSsh, options: tuple[str, ...]) -> None:
    ended = visitor.ssh(options=options, text="ls /\n")
    assert ended.returncode == 1
    assert "a shell is not to be had" in ended.stderr


def test_nothing_is_forwarded(visitor: OpenSsh) -> None:
    with socket.socket() as inside:
        inside.bind(("127.0.0.1", 0))
        inside.listen()
        ended = visitor.run("ssh", "-W", f"127.0.0.1:{inside.getsockname()[1]}", f"root@{visitor.address}")
    assert (ended.returncode, "open failed" in ended.stderr) == (255, True)
    assert visitor.run("ssh", "-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:1", f"root@{visitor.address}").returncode == 255


def test_a_script_as_crmsh_sends_it(visitor: OpenSsh) -> None:
    assert visitor.batch("/bin/bash", text="systemctl is-active 'corosync-qnetd.service'").stdout == "active\n"
    assert visitor.batch("/bin/bash", text=f"test -f {AUTHORITY}").returncode == 0
    assert visitor.batch("/bin/bash", text="while true; do :; done").returncode != 0


# ---- several at once


def test_several_clusters_at_once(enrolment: EnrolmentProcess, tmp_path: Path) -> None:
    """Each with its own window; the same names of files are not the same files."""
    clusters = ("one", "two", "three")
    nodes = {name: OpenSsh(tmp_path / name, "127.0.0.1", enrolment.port, enrolment.open(cluster=name)) for name in clusters}
    for client in nodes.values():
        assert client.copy_id().returncode == 0
    for name, client in nodes.items():
        assert client.scp(sent(client, name), client.at("/tmp")).returncode == 0
    for name, client in nodes.items():
        assert client.batch("corosync-qnetd-certutil", "-s", "-c", CRQ, "-n", name).returncode == 0, name
    for name, client in nodes.items():
        other = clusters[(clusters.index(name) + 1) % 3]
        assert client.scp(client.at(f"{NSSDB}/cluster-{other}.crt"), tmp_path).returncode != 0
        assert client.scp(client.at(f"{NSSDB}/cluster-{name}.crt"), tmp_path).returncode == 0
    assert all(window["done"] for window in enrolment.windows())


def test_connections_that_say_nothing_leave_room_for_others(enrolment: EnrolmentProcess, client: OpenSsh) -> None:
    silent = [socket.create_connection(("127.0.0.1", enrolment.port)) for _ in range(12)]
    try:
        assert "connections from your address are open" in client.ssh("exit").stderr
        enrolment.ask("status")  # it is still there
    finally:
        for connection in silent:
            connection.close()
    deadline = time.monotonic() + 20
    while client.ssh("exit").returncode and time.monotonic() < deadline:
        time.sleep(0.1)
    assert client.ssh("exit").returncode == 0


def test_bytes_that_are_no_ssh(enrolment: EnrolmentProcess, client: OpenSsh) -> None:
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100_000, b"SSH-2.0-x\r\n" + b"\xff" * 100_000):
        with socket.create_connection(("127.0.0.1", enrolment.port)) as connection:
            connection.settimeout(20)
            try:
                connection.sendall(data)
                while connection.recv(65_536):
                    pass
            except OSError:
                continue
    assert client.ssh("exit").returncode == 0
    assert not any("fault" in text for text in enrolment.texts())


def resident_kib(pid: int) -> int:
    return int(re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))[0])
