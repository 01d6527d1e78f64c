"""Our corosync-qnetd-certutil beside the stock one, and what it makes in the hands of stock programs."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from tests.certificates import request
from thirdvote.pki import material, nss_read, stock
from thirdvote.pki.paths import Paths

PROGRAMS = ("corosync-qnetd", "corosync-qnetd-certutil", "corosync-qdevice-net-certutil", "certutil", "tstclnt", "unshare", "mount")
missing = [program for program in PROGRAMS if shutil.which(program) is None]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.stock,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for private mounts"),
    pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"),
]

CLUSTER = "TestCluster"
NODE_FOLDER = "/etc/corosync/qdevice/net/nssdb"
SECONDS_MAX = 60

PRIVATE = 'mount --bind "$1" /etc/corosync && shift && exec "$@"'

NOISE = re.compile(
    r"^(password file contains no data|Generating key\.  This may .*|Is this a CA .*|Enter the path length .*|Notice: Trust flag u .*|)$"
)
"""What NSS' certutil says by itself, to a person who is not there."""


@dataclass
class Host:
    """A private /etc/corosync, and whose corosync-qnetd-certutil is on the PATH."""

    etc: Path
    certutil_program: str

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        private = ["unshare", "--mount", "--propagation", "private", "sh", "-c", PRIVATE, "sh", str(self.etc)]
        return subprocess.run([*private, *map(str, command)], capture_output=True, text=True, timeout=SECONDS_MAX, check=False)

    def certutil(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return self.run(self.certutil_program, *arguments)

    def node(self, *arguments: str | Path) -> str:
        """The stock node tool; its exit status says nothing."""
        ended = self.run("corosync-qdevice-net-certutil", *arguments)
        return f"{ended.stdout}{ended.stderr}"

    @property
    def database(self) -> Path:
        return self.etc / "qnetd" / "nssdb"

    @property
    def node_database(self) -> Path:
        return self.etc / "qdevice" / "net" / "nssdb"

    def enrol(self) -> None:
        self.node("-i", "-c", "/etc/corosync/qnetd/nssdb/qnetd-cacert.crt")
        self.node("-r", "-n", CLUSTER)
        ended = self.certutil("-s", "-c", f"{NODE_FOLDER}/qdevice-net-node.crq", "-n", CLUSTER)
        assert ended.returncode == 0, ended.stderr
        said = self.node("-M", "-c", f"/etc/corosync/qnetd/nssdb/cluster-{CLUSTER}.crt")
        assert "PKCS12 EXPORT SUCCESSFUL" in said


def _host(folder: Path, program: str) -> Host:
    (folder / "qnetd").mkdir(parents=True)
    os.chown(folder / "qnetd", 12, 34)
    return Host(folder, program)


@pytest.fixture(scope="module")
def our_program(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bin")
    subprocess.run([sys.executable, "-m", "thirdvote", "compat", folder], check=True, capture_output=True, timeout=SECONDS_MAX)
    return str(folder / "corosync-qnetd-certutil")


@pytest.fixture
def ours(tmp_path: Path, our_program: str) -> Host:
    return _host(tmp_path / "ours", our_program)


@pytest.fixture
def theirs(tmp_path: Path) -> Host:
    return _host(tmp_path / "theirs", str(shutil.which("corosync-qnetd-certutil")))


@pytest.fixture(scope="module")
def enrolled(tmp_path_factory: pytest.TempPathFactory, our_program: str) -> Host:
    """A node enrolled by our tool."""
    host = _host(tmp_path_factory.mktemp("enrolled") / "etc", our_program)
    assert host.certutil("-i").returncode == 0
    host.enrol()
    return host


@pytest.fixture(scope="module")
def material_of(enrolled: Host) -> Paths:
    return stock.extract_server(enrolled.database, None)


# ---- side by side


def _said(host: Host, ended: subprocess.CompletedProcess[str]) -> tuple[int, list[str], list[str]]:
    """Status and lines, without what NSS' certutil says and with one name for both programs."""
    streams = (ended.stdout, ended.stderr)
    texts = [text.replace("> Is this a critical extension [y/N]?", "").replace(host.certutil_program, "PROGRAM") for text in streams]
    out, error = ([line for line in text.splitlines() if not NOISE.match(line)] for text in texts)
    return ended.returncode, out, error


def _files(folder: Path) -> dict[str, tuple[str, int, int]]:
    places = [folder, *folder.iterdir()]
    return {path.name: (oct(path.stat().st_mode), path.stat().st_uid, path.stat().st_gid) for path in places}


@pytest.mark.parametrize(
    "arguments",
    [
        *((), ("-h",), ("-i", "-h"), ("-h", "-x"), ("-x",), ("-i", "-x"), ("-c",), ("-sn",), ("--", "-i"), ("word", "-i"), ("-",)),
        *(("-s",), ("-s", "-c", "/none", "-n", "a"), ("-s", "-c", "/etc/hostname"), ("-s", "-c", "/etc/hostname", "-n", "a"), ("-G",)),
        *(("-i", "-s"), ("-s", "-c", "/etc", "-n", "a"), ("-:",), ("--help",)),
    ],
    ids=" ".join,
)
def test_messages_and_statuses_without_a_database(ours: Host, theirs: Host, arguments: tuple[str, ...]) -> None:
    assert _said(ours, ours.certutil(*arguments)) == _said(theirs, theirs.certutil(*arguments))
    assert not ours.database.exists()


@pytest.mark.parametrize("options", [("-i",), ("-i", "-G"), ("-iG",), ("-s", "-i")], ids=" ".join)
def test_a_new_database(ours: Host, theirs: Host, options: tuple[str, ...]) -> None:
    assert _said(ours, ours.certutil(*options)) == _said(theirs, theirs.certutil(*options))
    assert _files(ours.database) == _files(theirs.database)
    for name in ("serial.txt", "pwdfile.txt", "pkcs11.txt"):
        assert (ours.database / name).read_bytes() == (theirs.database / name).read_bytes()
    assert _said(ours, ours.certutil("-i")) == _said(theirs, theirs.certutil("-i"))


def test_an_existing_directory_and_noise_file(ours: Host, theirs: Host) -> None:
    for host in (ours, theirs):
        host.database.mkdir(mode=0o755)
        (host.database / "noise.txt").write_text("noise\n")
    assert _said(ours, ours.certutil("-i")) == _said(theirs, theirs.certutil("-i"))
    assert _files(ours.database) == _files(theirs.database)


def test_a_signed_cluster(ours: Host, theirs: Host) -> None:
    for host in (ours, theirs):
        host.certutil("-i")
        (host.etc / "node.crq").write_bytes(request(CLUSTER))
    arguments = ("-s", "-c", "/etc/corosync/node.crq", "-n", CLUSTER)
    for _ in range(2):
        assert _said(ours, ours.certutil(*arguments)) == _said(theirs, theirs.certutil(*arguments))
    assert _files(ours.database) == _files(theirs.database)
    assert (ours.database / "serial.txt").read_text() == (theirs.database / "serial.txt").read_text()


@pytest.mark.parametrize(("content", "name"), [(b"garbage", "bad"), (request("other"), CLUSTER), (request("../x"), "../x")])
def test_where_the_stock_tool_fails_and_says_nothing(ours: Host, theirs: Host, content: bytes, name: str) -> None:
    """It ends with 0 and "Certificate stored", whatever has become of it; ours says why not."""
    for host in (ours, theirs):
        host.certutil("-i")
        (host.etc / "node.crq").write_bytes(content)
    arguments = ("-s", "-c", "/etc/corosync/node.crq", "-n", name)
    assert theirs.certutil(*arguments).returncode == 0
    ended = ours.certutil(*arguments)
    assert ended.returncode == 1
    assert "stored" not in ended.stdout
    assert "hint: " in ended.stderr
    assert list(ours.etc.rglob("*.crt")) == [ours.database / "qnetd-cacert.crt"]


# ---- in the hands of stock programs


def test_the_node_tool_takes_what_we_sign(enrolled: Host) -> None:
    listed = enrolled.run("certutil", "-L", "-d", f"sql:{NODE_FOLDER}").stdout
    assert re.search(r"^QNet CA +CT,c,c$", listed, re.MULTILINE)
    assert re.search(r"^Cluster Cert +u,u,u$", listed, re.MULTILINE)


def test_a_second_node_takes_the_first_ones_file(enrolled: Host, ours: Host) -> None:
    shutil.copy(enrolled.database / "qnetd-cacert.crt", ours.etc / "ca.crt")
    shutil.copy(enrolled.node_database / "qdevice-net-node.p12", ours.etc / "node.p12")
    ours.node("-i", "-c", "/etc/corosync/ca.crt")
    ours.node("-m", "-c", "/etc/corosync/node.p12")
    assert "Cluster Cert" in ours.run("certutil", "-L", "-d", f"sql:{NODE_FOLDER}").stdout


@pytest.mark.parametrize(("usage", "valid"), [("C", True), ("V", False)], ids=["client", "server"])
def test_a_clusters_certificate_is_good_for_a_client_and_not_for_a_server(enrolled: Host, usage: str, valid: bool) -> None:
    """A node that has it can not play the arbitrator for another cluster."""
    ended = enrolled.run("certutil", "-V", "-u", usage, "-e", "-n", "Cluster Cert", "-d", f"sql:{NODE_FOLDER}")
    assert (ended.returncode == 0) == valid


def test_the_stock_tool_goes_on_where_ours_began(ours: Host) -> None:
    ours.certutil("-i")
    Host(ours.etc, "corosync-qnetd-certutil").enrol()
    assert (ours.database / "serial.txt").read_text() == "103\n"


def test_ours_goes_on_where_the_stock_tool_began(theirs: Host, our_program: str) -> None:
    """Its nodes stay as they are, and new ones are signed by the same authority."""
    theirs.certutil("-i")
    theirs.enrol()
    paths = stock.extract_server(theirs.database, None)
    authority = material.read_certificate(paths.ca_certificate, "authority")
    ours = Host(theirs.etc, our_program)
    (theirs.etc / "other.crq").write_bytes(request("other"))
    assert ours.certutil("-s", "-c", "/etc/corosync/other.crq", "-n", "other").returncode == 0
    for name in (CLUSTER, "other"):
        der = (theirs.database / f"cluster-{name}.crt").read_bytes()
        assert material.is_issued_by(x509.load_der_x509_certificate(der), authority)


# ---- TLS


@pytest.fixture
def server(material_of: Paths) -> Iterator[int]:
    """A port where one client after the other is greeted, when its certificate is good."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(material_of.server_certificate, material_of.server_key)
    context.load_verify_locations(material_of.ca_certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_greet, args=(listener, context))
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    thread.join(SECONDS_MAX)
    listener.close()


def _greet(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        try:
            with context.wrap_socket(connection, server_side=True) as stream:
                stream.sendall(f"hello {dict(pair[0] for pair in stream.getpeercert()['subject'])['commonName']}\n".encode())  # type: ignore[index, misc]
        except OSError:
            continue


def _nss_client(enrolled: Host, port: int, name: str) -> subprocess.CompletedProcess[str]:
    command = ["tstclnt", "-d", f"sql:{enrolled.node_database}", "-n", "Cluster Cert", "-h", "127.0.0.1", "-p", str(port), "-a", name, "-Q"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)


def test_nss_accepts_the_server_by_the_name_that_nodes_ask_for(enrolled: Host, server: int) -> None:
    """The one with a blank in it, which is no host name."""
    ended = _nss_client(enrolled, server, "Qnetd Server")
    assert "subject DN: CN=Qnetd Server" in ended.stderr
    assert ended.returncode == 0


def test_nss_accepts_it_by_no_other_name(enrolled: Host, server: int) -> None:
    ended = _nss_client(enrolled, server, "other")
    assert "SSL_ERROR_BAD_CERT_DOMAIN" in ended.stderr
    assert ended.returncode != 0


@pytest.fixture
def stock_server(enrolled: Host, tmp_path: Path) -> Iterator[int]:
    """The stock daemon on the database that we made; its port."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = int(reserved.getsockname()[1])
    settings = f"local_socket_file={tmp_path}/socket,lock_file={tmp_path}/lock,nss_db_dir={enrolled.database}"
    command = ["corosync-qnetd", "-f", "-l", "127.0.0.1", "-p", str(port), "-s", "req", "-S", settings]
    daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        daemon.terminate()
        daemon.wait(SECONDS_MAX)


def _connect(port: int) -> socket.socket:
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), SECONDS_MAX)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _message(kind: int, *options: tuple[int, bytes]) -> bytes:
    body = b"".join(struct.pack(">HH", option, len(value)) + value for option, value in options)
    return struct.pack(">HI", kind, len(body)) + body


def test_the_stock_daemon_runs_on_our_database_and_knows_our_clusters(
    enrolled: Host, material_of: Paths, stock_server: int, tmp_path: Path
) -> None:
    database = nss_read.read(enrolled.node_database)
    node = next(entry for entry in database.entries if entry.nickname == "Cluster Cert")
    (tmp_path / "node.pem").write_bytes(material.certificate_pem(node.certificate) + material.key_pem(database.keys[node.key_id]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(material_of.ca_certificate)
    context.load_cert_chain(tmp_path / "node.pem")
    with _connect(stock_server) as plain:
        plain.sendall(_message(0, (0, struct.pack(">I", 1)), (1, CLUSTER.encode())))
        assert plain.recv(100)[:2] == b"\0\1"
        plain.sendall(_message(2, (0, struct.pack(">I", 2))))
        with context.wrap_socket(plain) as stream:
            assert stream.getpeercert()["subject"] == ((("commonName", "Qnetd Server"),),)  # type: ignore[index]
            stream.sendall(_message(8, (0, struct.pack(">I", 3))))
            assert stream.recv(100) == _message(5, (0, struct.pack(">I", 3)), (6, b"\0\x0b"))  # certified, and asked for INIT
