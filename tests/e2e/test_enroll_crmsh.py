"""What crmsh's qdevice stage does at the arbitrator, in its order and form; a driver of ours, as there is no crmsh here.

Commands go to `/bin/bash` on standard input, files by `sftp -b`; older versions of crmsh send the command itself, and use scp.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import request
from tests.openssh_here import OpenSsh, needs_openssh
from tests.voter_process import VoterProcess, free_port, ring
from thirdvote.wire.messages import PreinitReply

pytestmark = needs_openssh

NAME = "hacluster"
DATABASE = "/etc/corosync/qnetd/nssdb"
AUTHORITY = f"{DATABASE}/qnetd-cacert.crt"
OPTIONS = ("-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes")
LOCK, LOCK_OF_NAME = "/run/.crmsh_lock_directory", f"/run/.crmsh_qdevice_lock_for_{NAME}"


class Crmsh:
    def __init__(self, client: OpenSsh) -> None:
        self.client = client

    def shell(self, command: str) -> tuple[int, str]:
        """Status and standard output; 255 is a failure of SSH itself, and ends crmsh."""
        ended = self.client.run("ssh", "-A", *OPTIONS, f"root@{self.client.address}", "/bin/bash", text=command)
        assert ended.returncode != 255, ended.stderr
        return ended.returncode, ended.stdout.strip()

    def must(self, command: str) -> str:
        status, output = self.shell(command)
        assert status == 0, command
        return output

    def get(self, path: str, folder: Path) -> Path:
        ended = self._sftp(f'get -pR "{path}" "{folder}/"\n')
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return folder / Path(path).name

    def put(self, source: Path, path: str) -> None:
        ended = self._sftp(f"put -p '{source}' '{path}'\n")
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def _sftp(self, script: str) -> subprocess.CompletedProcess[str]:
        return self.client.run("sftp", *OPTIONS, "-b", "-", f"root@{self.client.address}", text=script)


@pytest.fixture
def voter(tmp_path: Path) -> Iterator[VoterProcess]:
    port = free_port()
    voter = VoterProcess(tmp_path, "--enroll-ssh", f"127.0.0.1:{port}")
    voter.start()
    voter.wait_for_log("ssh listens on")
    try:
        yield voter
    finally:
        voter.stop()


@pytest.fixture
def crmsh(voter: VoterProcess, tmp_path: Path) -> Crmsh:
    port = int(voter.command[voter.command.index("--enroll-ssh") + 1].rpartition(":")[2])
    command = [sys.executable, "-m", "thirdvote", "enroll", "open", "--json", "--data", str(voter.data)]
    opened = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=voter.environment).stdout)
    client = OpenSsh(tmp_path, "127.0.0.1", port, opened["password"])
    assert client.run("ssh", "-T", "-o", "Batchmode=yes", f"root@{client.address}", "true").returncode == 255  # a password is needed
    assert client.copy_id().returncode == 0
    return Crmsh(client)


def validate(crmsh: Crmsh) -> None:
    assert crmsh.shell("rpm -q --quiet corosync-qnetd")[0] == 0
    crmsh.must(f"mkdir {LOCK}")
    assert crmsh.shell(f"test -f {AUTHORITY}")[0] == 0
    crmsh.must(f"rm -rf {LOCK}")
    assert crmsh.shell("systemctl is-active 'corosync-qnetd.service'")[0] == 0
    assert "QNetd address:" in crmsh.must("corosync-qnetd-tool -s")
    assert crmsh.shell("systemctl is-active 'firewalld.service'")[0] != 0
    assert crmsh.shell("systemctl is-active 'corosync-qnetd.service'")[0] == 0


def test_the_stage_goes_through(crmsh: Crmsh, voter: VoterProcess, tmp_path: Path) -> None:
    other = OpenSsh(tmp_path / "node2", "127.0.0.1", crmsh.client.port)
    key = other.public_key.read_text(encoding="ascii").strip()
    crmsh.must(
        f"if ! grep -F '{key}' ~root/.ssh/authorized_keys > /dev/null; then\n    if [ -s ~root/.ssh/authorized_keys ]; then\n"
        f"        sed -i '$a {key}' ~root/.ssh/authorized_keys\n    else\n        mkdir -p ~root/.ssh\n        chown root: ~root/.ssh\n"
        f"        chmod 0700 ~root/.ssh\n        echo '{key}' > ~root/.ssh/authorized_keys\n"
        "        chmod 0600 ~root/.ssh/authorized_keys\n    fi\nfi"
    )
    assert other.batch("true").returncode == 0
    validate(crmsh)
    assert crmsh.must(f"corosync-qnetd-tool -l -c {NAME}") == ""
    crmsh.must(f"mkdir {LOCK_OF_NAME}")
    assert crmsh.shell(f"mkdir {LOCK_OF_NAME}")[0] != 0
    crq = tmp_path / "qdevice-net-node.crq"
    crq.write_bytes(request(NAME))
    assert crmsh.get(AUTHORITY, tmp_path).read_bytes() == (voter.data / "pki" / "ca.crt").read_bytes()
    crmsh.put(crq, f"{DATABASE}/qdevice-net-node.crq.{NAME}")
    crmsh.must(f"corosync-qnetd-certutil -s -c {DATABASE}/qdevice-net-node.crq.{NAME} -n {NAME}")
    assert crmsh.get(f"{DATABASE}/cluster-{NAME}.crt", tmp_path).stat().st_size > 300
    voter.wait_for_log("the certificate was fetched: window 1 is closed")
    crmsh.must(f"rm -rf {LOCK_OF_NAME}")  # when all nodes have their configuration: the window is closed, and crmsh is still in


def test_a_cluster_that_is_there_already_is_shown(crmsh: Crmsh, voter: VoterProcess) -> None:
    context = voter.client_context(NAME)
    with voter.node() as node:
        assert isinstance(node.preinit(NAME.encode()), PreinitReply)
        node.start_tls(context)
        node.init(1)
        node.lists(ring(1, 1), (1,), (1,))
        assert crmsh.must(f"corosync-qnetd-tool -l -c {NAME}").startswith(f'Cluster "{NAME}":\n')


def test_the_device_is_taken_out_again(crmsh: Crmsh) -> None:
    """Long after: what was signed then is in no window of today."""
    for path in (f"{DATABASE}/cluster-{NAME}.crt", f"{DATABASE}/qdevice-net-node.crq.{NAME}"):
        crmsh.must(f"test -f {path} && rm -f {path}")


def test_an_older_version(crmsh: Crmsh, tmp_path: Path) -> None:
    """4.x: commands as such, files by scp."""
    client = crmsh.client
    crq = tmp_path / "qdevice-net-node.crq"
    crq.write_bytes(request(NAME))
    assert client.batch("rpm -q --quiet corosync-qnetd").returncode == 0
    assert client.batch(f"test -f {AUTHORITY}").returncode == 0
    service = "'corosync-qnetd.service'"
    started = client.batch(f"systemctl enable --now {service} && systemctl is-enabled {service} && systemctl is-active {service}")
    assert (started.returncode, started.stdout) == (0, "enabled\nactive\n")
    assert client.scp(client.at(AUTHORITY), tmp_path, "-qC", "-O").returncode == 0
    assert client.scp(crq, client.at(f"{DATABASE}/qdevice-net-node.crq"), "-qC", "-O").returncode == 0
    assert client.batch(f"corosync-qnetd-certutil -s -c {DATABASE}/qdevice-net-node.crq -n {NAME}").returncode == 0
    assert client.scp(client.at(f"{DATABASE}/cluster-{NAME}.crt"), tmp_path, "-qC", "-O").returncode == 0
