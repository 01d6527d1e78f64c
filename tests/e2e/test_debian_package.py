"""The Debian package on a Debian host that runs systemd: it is installed, serves, is upgraded, and leaves nothing when it is purged."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.lab.debian import ROOT, DebianHost, debian_host, shared_root
from tests.openssh_here import OpenSsh, needs_openssh

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_200), needs_openssh]

EXPOSURE_MAX = 2.5
PROGRAMS = ("dh", "dpkg-buildpackage", "mmdebstrap", "nsenter", "setpriv", "unshare")


@pytest.fixture(scope="module")
def package() -> Path:
    if os.geteuid() != 0:
        pytest.skip("needs root, for a host of its own")
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}; docs/testing.md names the packages")
    made = subprocess.run([ROOT / "scripts" / "deb"], capture_output=True, text=True, check=False, timeout=600)
    assert made.returncode == 0, made.stdout + made.stderr
    return ROOT / made.stdout.split()[-1]


@pytest.fixture
def host(package: Path, tmp_path: Path) -> Iterator[DebianHost]:
    with debian_host(shared_root(), tmp_path) as booted:
        bring(booted, package)
        yield booted


def bring(host: DebianHost, package: Path) -> None:
    content = package.read_bytes()
    ended = subprocess.run([*host.entrance, "sh", "-c", "cat > /var/tmp/thirdvote.deb"], input=content, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_it_is_installed_serves_is_upgraded_and_purged(host: DebianHost, tmp_path: Path) -> None:
    before = host.files()
    host.run("dpkg", "-i", "/var/tmp/thirdvote.deb")
    host.wait_for("ActiveState", "active")
    runs_as_its_own_user_in_a_sandbox(host)
    lets_a_node_in(host, tmp_path)
    is_hung_and_started_again(host)
    is_upgraded(host)
    host.run("dpkg", "--remove", "thirdvote")
    host.shell("test -d /var/lib/thirdvote/pki && test -f /etc/thirdvote/thirdvote.toml")
    said = host.run("dpkg", "--purge", "thirdvote")
    assert "Removing /var/lib/thirdvote, with the certificates" in said
    ours = {path for path in host.files() - before if "thirdvote" in path and not path.startswith("/var/tmp/")}
    assert ours == set()
    assert host.try_("getent", "passwd", "thirdvote").returncode != 0


def runs_as_its_own_user_in_a_sandbox(host: DebianHost) -> None:
    """And root's commands find it without any option."""
    pid = host.property("MainPID")
    process = host.run("cat", f"/proc/{pid}/status")
    assert host.run("stat", "-c", "%U %a", f"/proc/{pid}", "/var/lib/thirdvote").split() == ["thirdvote", "555", "thirdvote", "700"]
    assert {re.search(rf"{name}:\t(\w+)", process)[1] for name in ("CapEff", "CapBnd")} == {"0" * 16}  # type: ignore[index]
    assert host.run("stat", "-c", "%U %G %a", "/etc/thirdvote/thirdvote.toml").strip() == "root thirdvote 640"
    exposure = re.search(
        r"exposure level for thirdvote.service: ([\d.]+)", host.run("systemd-analyze", "security", "--no-pager", "thirdvote")
    )
    assert exposure is not None
    assert float(exposure[1]) <= EXPOSURE_MAX
    assert json.loads(host.run("thirdvote", "status", "--json"))["data"] == "/var/lib/thirdvote"
    assert "only one side goes on" in host.run("thirdvote", "demo", "--fast")
    assert "warning" not in host.journal().lower()


def lets_a_node_in(host: DebianHost, tmp_path: Path) -> None:
    """With Debian's asyncssh, of which this is the only test with OpenSSH."""
    opened = json.loads(host.run("thirdvote", "enroll", "open", "--json"))

    class Inside(OpenSsh):
        def run(self, program: str, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
            command = ["nsenter", "-t", str(host.pid), "-n", program, "-F", str(self.config), *words]
            return subprocess.run(command, input=text, capture_output=True, text=True, env=self.environment(), timeout=60, check=False)

    client = Inside(tmp_path, "127.0.0.1", 2222, opened["password"])
    for options in ((), ("-O",)):
        fetched = client.scp(client.at("/etc/corosync/qnetd/nssdb/qnetd-cacert.crt"), tmp_path / "ca.crt", *options)
        assert fetched.returncode == 0, fetched.stderr
        assert (tmp_path / "ca.crt").read_bytes()
    assert client.copy_id().returncode == 0
    assert "qnetd-cacert.crt" in client.sftp("ls /etc/corosync/qnetd/nssdb").stdout
    host.run("thirdvote", "enroll", "close")


def is_hung_and_started_again(host: DebianHost) -> None:
    host.shell("mkdir -p /run/systemd/system/thirdvote.service.d")
    host.shell("printf '[Service]\nWatchdogSec=2\nRestartSec=100ms\n' > /run/systemd/system/thirdvote.service.d/test.conf")
    host.shell("systemctl daemon-reload; systemctl restart thirdvote")
    pid = host.property("MainPID")
    host.run("kill", "-STOP", pid)
    host.wait_for("NRestarts", "1")
    host.wait_for("ActiveState", "active")
    assert host.property("MainPID") != pid


def is_upgraded(host: DebianHost) -> None:
    """Changed settings are kept, the service is another process, and it knows who has the votes."""
    host.shell("sed -i 's/^#log-level = .*/log-level = \"debug\"/' /etc/thirdvote/thirdvote.toml; systemctl reload thirdvote")
    host.shell(
        "dpkg-deb -R /var/tmp/thirdvote.deb /tmp/new; sed -i 's/^Version: .*/&+next/' /tmp/new/DEBIAN/control;"
        "echo '# a new default' >> /tmp/new/etc/thirdvote/thirdvote.toml; dpkg-deb -b /tmp/new /tmp/new.deb"
    )
    pid = host.property("MainPID")
    host.run("dpkg", "-i", "--force-confdef", "--force-confold", "/tmp/new.deb")
    host.wait_for("ActiveState", "active")
    assert host.property("MainPID") != pid
    assert host.run("stat", "-c", "%G %a", "/etc/thirdvote/thirdvote.toml").strip() == "thirdvote 640"
    status = json.loads(host.run("thirdvote", "status", "--json"))
    assert status["log_level"] == "debug"
    assert status["ledger"]["state"] == "ok"


def test_beside_a_corosync_qnetd_that_runs(host: DebianHost) -> None:
    """It says what holds the port and how to take over, once, and the commands that it says do that."""
    host.run("systemctl", "start", "corosync-qnetd")
    host.run("dpkg", "-i", "/var/tmp/thirdvote.deb")
    host.wait_for("ActiveState", "failed")
    assert (host.property("NRestarts"), host.property("ExecMainStatus")) == ("0", "1")
    error, hint = (line for line in host.journal().splitlines() if line.startswith(("thirdvote: error: ", "hint: ")))
    assert "port 5403 is in use, it seems by corosync-qnetd" in error
    for command in re.findall(r"`([^`]+)`", hint):
        host.shell(command)
    host.run("systemctl", "restart", "thirdvote")
    assert host.property("ActiveState") == "active"
    authority = "certutil -L -d sql:/etc/corosync/qnetd/nssdb -n 'QNet CA' -a"
    assert host.shell(authority).split() == host.run("cat", "/var/lib/thirdvote/pki/ca.crt").split()
    host.run("dpkg", "--purge", "thirdvote")
    host.run("systemctl", "start", "corosync-qnetd")
