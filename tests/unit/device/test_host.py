from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from thirdvote.device import host
from thirdvote.device.host import NOT_FOUND, CommandFailed, LocalHost, SshHost
from thirdvote.errors import UserError

LOCAL = LocalHost("n1")


def test_a_command_here() -> None:
    ended = LOCAL.run("sh", "-c", "cat; echo odd >&2; exit 3", data=b"\xff\0in")
    assert (ended.status, ended.output, ended.error) == (3, b"\xff\0in", "odd\n")
    assert ended.last_words == "odd"
    assert LOCAL.run("true").last_words == "status 0"


def test_a_program_that_is_not_there() -> None:
    ended = LOCAL.run("no-such-program-as-this")
    assert (ended.status, ended.last_words) == (NOT_FOUND, "no-such-program-as-this is not installed")


def test_a_command_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "COMMAND_SECONDS_MAX", 0.2)
    with pytest.raises(UserError, match="n1: sleep did not end"):
        LOCAL.run("sleep", "60")


def test_what_must_succeed() -> None:
    assert host.must(LOCAL, "echo", "x").text == "x\n"
    with pytest.raises(CommandFailed, match="n1: false failed: status 1") as failed:
        host.must(LOCAL, "false")
    assert failed.value.hint == "try it on n1 by hand: false"
    with pytest.raises(CommandFailed, match="n1: doing it failed: why"):
        host.shell(LOCAL, 'echo "$1"; exit 1', "why", what="doing it")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "it's a file"
    assert host.read(LOCAL, str(path)) is None
    assert not host.exists(LOCAL, str(path))
    host.write(LOCAL, str(path), b"one\n", 0o600)
    host.write(LOCAL, str(path), b"two\xff\n", 0o640)
    assert host.read(LOCAL, str(path)) == b"two\xff\n"
    assert host.exists(LOCAL, str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def fake_ssh(folder: Path, script: str) -> tuple[str, ...]:
    path = folder / "ssh"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return (str(path), "-p", "2022")


def test_over_ssh_words_arrive_as_they_are(tmp_path: Path) -> None:
    ssh = fake_ssh(tmp_path, 'while [ "$1" != -- ]; do echo "$1" >> "$0.log"; shift; done; shift; exec sh -c "$*"')
    remote = SshHost("n2", "10.0.0.2", ssh, ["-o", "HostKeyAlias=n2"])
    words = ["a b", "it's", '"$HOME"', "*", "é", ""]
    assert remote.run("printf", "%s|", *words).text == "".join(f"{word}|" for word in words)
    assert remote.run("cat", data=b"x").output == b"x"
    assert remote.run("sh", "-c", "exit 4").status == 4
    options = (tmp_path / "ssh.log").read_text().split()
    assert options[:2] == ["-p", "2022"]
    assert {"BatchMode=yes", "ServerAliveInterval=5"} <= set(options)
    assert "HostKeyAlias=n2" in options
    assert "-l root 10.0.0.2" in " ".join(options)


def test_ssh_that_fails_says_what_has_to_work(tmp_path: Path) -> None:
    remote = SshHost("n2", "10.0.0.2", fake_ssh(tmp_path, "echo 'Permission denied (publickey).' >&2; exit 255"))
    with pytest.raises(UserError, match=r"n2 can not be reached over ssh: Permission denied \(publickey\)\.") as failed:
        remote.run("true")
    assert "ssh root@10.0.0.2 true" in (failed.value.hint or "")


def test_another_user_may_be_named(tmp_path: Path) -> None:
    ssh = fake_ssh(tmp_path, 'echo "$@"')
    assert "-l root" not in SshHost("n2", "admin@n2", ssh).run("true").text


def test_commands_share_a_connection_that_ends_with_them(tmp_path: Path) -> None:
    ssh = fake_ssh(tmp_path, 'echo "$*" >> "$0.log"')
    with host.shared_connections() as connections:
        remote = SshHost("n2", "10.0.0.2", ssh, connections=connections)
        for command in ("one", "two", "three"):
            remote.run(command)
    first, begins, second, third, ends = (tmp_path / "ssh.log").read_text().splitlines()
    socket = begins.split()[3]
    assert "-S" not in first.split()
    assert {"-M", "-N", "-f", socket, "ServerAliveInterval=5"} <= set(begins.split())
    assert all(f"-S {socket}" in line and "-M" not in line.split() for line in (second, third))
    assert f"-S {socket} -O exit" in ends
    assert not Path(socket).parent.exists()


def test_where_none_can_be_shared_each_has_its_own(tmp_path: Path) -> None:
    ssh = fake_ssh(tmp_path, 'echo "$*" >> "$0.log"; case " $* " in *" -M "*) exit 255;; esac')
    with host.shared_connections() as connections:
        remote = SshHost("n2", "10.0.0.2", ssh, connections=connections)
        remote.run("one")
        remote.run("two")
    first, _, second = (tmp_path / "ssh.log").read_text().splitlines()
    assert first.replace("one", "two") == second


def test_a_command_line_for_who_talks_to_the_command() -> None:
    assert LOCAL.command_line("sh", "-c", "a b") == ["sh", "-c", "a b"]
    line = SshHost("n1", "192.0.2.1", ("ssh", "-p", "2022")).command_line("sh", "-c", "a b")
    assert line[:3] == ["ssh", "-p", "2022"]
    assert line[-3:] == ["192.0.2.1", "--", "sh -c 'a b'"]


def test_nodes_that_are_reached_at_once_share_nothing(tmp_path: Path) -> None:
    """Over another node's connection a command would reach the wrong one."""
    ssh = fake_ssh(tmp_path, 'case " $* " in *" -M "*) sleep 0.2; echo "$4" >> "$0.log";; esac')
    with host.shared_connections() as connections:
        remotes = [SshHost(f"n{number}", f"10.0.0.{number}", ssh, connections=connections) for number in range(1, 5)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda remote: remote.run("one"), remotes))
    sockets = (tmp_path / "ssh.log").read_text().split()
    assert len(set(sockets)) == len(sockets) == 4
