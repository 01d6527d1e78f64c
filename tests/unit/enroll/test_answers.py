from __future__ import annotations

import asyncio

import pytest

from thirdvote.enroll.answers import Answer, carry_out
from thirdvote.enroll.shell import understand
from thirdvote.enroll.tree import AUTHORITY, NSSDB, Tree
from thirdvote.errors import UserError

CRQ = "/tmp/qdevice-net-node.crq"


class DeskHere:
    """Signs everything but "bad", and remembers what it was asked."""

    def __init__(self) -> None:
        self.tree = Tree(b"the authority", 0)
        self.asked: list[str] = []
        self.went: list[str] = []

    async def sign(self, request: bytes, cluster_name: str) -> str:
        if cluster_name == "bad":
            raise UserError("this is no certificate request", "make one")
        return self.tree.put_certificate(cluster_name, b"signed " + request, 0)

    async def ask_voter(self, request: str) -> str:
        self.asked.append(request)
        return f"<{request}>\n"

    def has_read(self, path: str) -> None:
        self.went.append(path)

    def clock(self) -> int:
        return 0


def answered(command: str, desk: DeskHere | None = None) -> Answer:
    steps = understand(command)
    assert isinstance(steps, tuple)
    return asyncio.run(carry_out(desk or DeskHere(), steps))


def with_request() -> DeskHere:
    desk = DeskHere()
    desk.tree.begin(CRQ, 0, anew=True)
    desk.tree.write(CRQ, 0, b"request", 0)
    return desk


# ---- corosync-qnetd-certutil


@pytest.mark.parametrize("program", ["corosync-qnetd-certutil", "/usr/bin/corosync-qnetd-certutil", "/usr/sbin/corosync-qnetd-certutil"])
def test_the_database_is_there_already(program: str) -> None:
    answer = answered(f"{program} -i")
    assert (answer.status, answer.error) == (1, f"Certificate database ({NSSDB}) already exists. Delete it to initialize new db\n")


@pytest.mark.parametrize("name", ["web", "'my cluster'", '"my cluster"'])
def test_a_request_is_signed_where_the_stock_tool_puts_it(name: str) -> None:
    desk = with_request()
    answer = answered(f'corosync-qnetd-certutil -s -c "{CRQ}" -n {name}', desk)
    path = f"{NSSDB}/cluster-{name.strip(chr(34) + chr(39))}.crt"
    assert answer == Answer(0, f"Signing cluster certificate\nCertificate stored in {path}\n".encode())
    assert desk.tree.read(path) == b"signed request"


def test_what_signing_lacks() -> None:
    assert answered("corosync-qnetd-certutil -s -c /tmp/none -n web").status == 2
    assert "Can't open certificate file /tmp/none" in answered("corosync-qnetd-certutil -s -c /tmp/none -n web").error
    assert answered("corosync-qnetd-certutil -s -n web").error == "Can't open certificate file \n"
    assert answered(f"corosync-qnetd-certutil -s -c {CRQ}", with_request()) == Answer(2, b"", "You have to specify cluster name\n")


def test_a_refusal_says_why_and_what_to_do() -> None:
    answer = answered(f"corosync-qnetd-certutil -s -c {CRQ} -n bad", with_request())
    assert answer == Answer(1, b"", "this is no certificate request\nhint: make one\n", is_told=True)


def test_usage_and_mistakes() -> None:
    assert answered("corosync-qnetd-certutil").out.startswith(b"usage: ")
    assert answered("corosync-qnetd-certutil -s -h").out.startswith(b"usage: ")
    assert answered("corosync-qnetd-certutil -x").status == 1


# ---- corosync-qnetd-tool


def test_the_tool_shows_one_cluster() -> None:
    desk = DeskHere()
    assert answered("corosync-qnetd-tool -l -c web", desk).out == b'<list cluster "web">\n'
    assert answered("corosync-qnetd-tool -lv -c 'a \"b\\'", desk).status == 0
    assert desk.asked == ['list cluster "web"', 'list verbose cluster "a \\"b\\\\"']


def test_the_tool_shows_the_server() -> None:
    assert answered("corosync-qnetd-tool -s").out == b"<status>\n"


@pytest.mark.parametrize("command", ["corosync-qnetd-tool -l", "corosync-qnetd-tool -H", "corosync-qnetd-tool", "corosync-qnetd-tool -z"])
def test_what_the_tool_does_not_do_from_here(command: str) -> None:
    desk = DeskHere()
    assert answered(command, desk).status == 1
    assert desk.asked == []


# ---- the host


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("systemctl is-active 'corosync-qnetd.service'", 0),
        ("systemctl is-active corosync-qnetd", 0),
        ("systemctl is-enabled corosync-qnetd.service", 0),
        ("systemctl is-active 'firewalld.service'", 3),
        ("systemctl is-enabled sshd", 1),
        ("systemctl enable --now 'corosync-qnetd.service' && systemctl is-active 'corosync-qnetd.service'", 0),
        ("systemctl start corosync-qnetd.service", 0),
        ("systemctl list-unit-files 'corosync-qnetd.service'", 0),
        ("systemctl list-unit-files x", 1),
        ("systemctl stop corosync-qnetd.service", 1),
        ("systemctl start sshd", 1),
        ("systemctl reboot", 1),
        ("rpm -q --quiet corosync-qnetd", 0),
        ("rpm -q corosync-qnetd", 0),
        ("dpkg -s corosync-qnetd", 0),
        ("dpkg-query --status corosync-qnetd", 0),
        ("dpkg-query --status openssh-server", 1),
        ("rpm -q --quiet corosync", 1),
        ("rpm -q", 1),
    ],
)
def test_what_is_asked_of_the_host(command: str, status: int) -> None:
    assert answered(command).status == status


# ---- files


def test_tests_of_files() -> None:
    assert answered(f"test -f {AUTHORITY}").status == 0
    assert answered(f"[ -f {AUTHORITY} ]").status == 0
    assert answered('[ -d "/etc/corosync/qnetd/nssdb" ]').status == 0
    assert answered("test -e /etc/shadow").status == 1
    assert answered("test -s /root/.ssh/authorized_keys").status == 1
    assert answered("test -r /tmp").status == 1
    assert "test is not answered with" in answered("test 1 = 1").error


def test_a_certificate_is_taken_away_if_it_is_there() -> None:
    """As crmsh does when it removes the device."""
    desk = with_request()
    answered(f"corosync-qnetd-certutil -s -c {CRQ} -n web", desk)
    path = f"{NSSDB}/cluster-web.crt"
    command = f"test -f {path} && rm -f {path}"
    assert answered(command, desk).status == 0
    assert not desk.tree.is_file(path)
    assert answered(command, desk).status == 0
    assert answered(f"test -f {path}", desk).status == 1
    assert answered("test -f /tmp/a && rm -f /tmp/a", desk).status == 1


def test_looking_around() -> None:
    desk = with_request()
    assert answered(f"ls {NSSDB}", desk).out == b"qnetd-cacert.crt\n"
    assert answered(f"ls -l {CRQ}", desk).out == f"{CRQ}\n".encode()
    assert answered(f"cat {AUTHORITY}", desk).out == b"the authority"
    assert desk.went == [AUTHORITY]
    assert answered("cat /etc/shadow", desk) == Answer(1, b"", "cat: there is no /etc/shadow here\n")


def test_locks() -> None:
    desk = DeskHere()
    assert [answered("mkdir /run/.crmsh_lock_directory", desk).status for _ in range(2)] == [0, 1]
    assert answered("mkdir -p /run/.crmsh_lock_directory", desk).status == 0
    assert answered("rm -rf /run/.crmsh_lock_directory", desk).status == 0
    assert answered("rm -rf /run/.crmsh_lock_directory", desk).status == 0
    assert answered("rm /run/.crmsh_lock_directory", desk).status == 1
    assert answered("mkdir /run/.crmsh_lock_directory", desk).status == 0


def test_what_is_not_to_be_removed() -> None:
    assert answered(f"rm -f {AUTHORITY}").status == 1
    assert answered("rm -rf /").status == 1
    assert answered("chmod 700 .ssh").status == 0
    assert answered("chmod 700 nowhere").status == 1


# ---- several


def test_steps_hang_on_each_other() -> None:
    assert answered("true && false || exit 7").status == 7
    assert answered("false && ls / ; true").out == b""
    assert answered("true || ls /; : ").out == b""
    assert answered("exit 3; true").status == 3
    assert answered("exit x").status == 0


@pytest.mark.parametrize("command", ["reboot", "/tmp/ls /", "curl example.org", "python3 -c 1"])
def test_an_unknown_command(command: str) -> None:
    answer = answered(command)
    assert answer.status == 127
    assert answer.error.startswith("this command is not known here: ")
