"""The image: what is in it, how it starts where something is wrong, and a real cluster from nothing to three votes with it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.lab.bare import NAME, add_device, cluster_at, opened, pvecm_of
from tests.e2e.lab.container import DATA, HERE, USER, ContainerArbitrator, Image, missing, podman, run_alone
from tests.e2e.lab.ssh import SshUser
from tests.openssh_here import needs_openssh

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_800), needs_openssh]

BYTES_ABOVE_BASE_MAX = 120_000_000


@pytest.fixture(scope="module")
def image(real_nodes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    if programs := missing():
        pytest.skip(f"no container engine, or nothing to make a base from: {', '.join(programs)}")
    if (engine := podman("info", check=False)).returncode != 0:
        pytest.skip(f"podman can not run containers here: {engine.stderr.strip()}")
    made = Image(tmp_path_factory.mktemp("image"))
    yield made
    made.remove()


def volume(folder: Path, owner: int = USER) -> Path:
    made = folder / "volume"
    made.mkdir()
    os.chown(made, owner, owner)
    return made


def test_what_is_in_it(image: Image) -> None:
    assert image.bytes_above_base() < BYTES_ABOVE_BASE_MAX
    looks = """
import json, os, pathlib, shutil
found = [str(path) for place in ("/opt", "/etc", "/var", "/root") for path in pathlib.Path(place).rglob("*")
         if path.is_file() and os.access(path, os.R_OK) and b"PRIVATE KEY-----" in path.read_bytes() and "site-packages" not in str(path)]
names = [name for name in ("sshd", "systemd", "systemctl", "gcc", "pip") if shutil.which(name)]
bill = json.loads(pathlib.Path("/opt/thirdvote/share/sbom.cdx.json").read_text())
print(json.dumps({"keys": found, "names": names, "user": os.getuid(), "bill": [each["name"] for each in bill["components"]]}))
"""
    shown = podman("run", "--rm", *HERE, "--network", "none", "--entrypoint", "python3", image.tag, "-c", looks).stdout
    found = json.loads(shown)
    assert (found["keys"], found["names"], found["user"]) == ([], [], USER)
    assert {"python3", "cryptography", "asyncssh", "thirdvote"} <= set(found["bill"])
    settings = json.loads(podman("image", "inspect", image.tag).stdout)[0]
    assert settings["Config"]["StopSignal"] == "SIGTERM"
    assert settings["Healthcheck"]["Test"] == ["CMD", "thirdvote", "doctor", "--quick"]
    assert settings["Labels"]["org.opencontainers.image.version"] == "1.0.0"


def test_folders_that_can_not_be_used_are_explained_in_a_line(image: Image, tmp_path: Path) -> None:
    roots = volume(tmp_path, 0)
    status, said = run_alone(image.tag, "--volume", f"{roots}:{DATA}")
    assert status == 1
    assert said.count("\n") == 2, said
    assert f"hint: it belongs to user 0, this is user {USER}" in said
    assert f"chown -R {USER}:{USER} {roots}" in said
    os.chown(roots, USER, USER)
    status, said = run_alone(image.tag, "--volume", f"{roots}:{DATA}:ro")
    assert (status, said.count("\n")) == (1, 2), said
    assert "read-only file system" in said
    assert "mount it writable, without `:ro`" in said


def test_from_nothing_to_three_votes(image: Image, tmp_path: Path) -> None:
    """Then its process is killed, its volume goes to another container, another version takes over, and a backup goes to another volume."""
    data = volume(tmp_path)
    with cluster_at(tmp_path, lambda switch: ContainerArbitrator(switch, tmp_path / "arbitrator", image.tag, data)) as cluster:
        arbitrator = cluster.arbitrator
        assert isinstance(arbitrator, ContainerArbitrator)
        where = f"nodes reach the arbitrator at {arbitrator.address}, port 5403"
        assert f"this is the first start: {where}; to let a cluster in: docker exec " in arbitrator.log
        user = SshUser(cluster.node(1))
        user.types(opened(cluster)["password"])
        user.must("sh", "-c", f"printf 'Host {arbitrator.address}\\n    Port 2222\\n' >> ~/.ssh/config")
        pvecm_of(cluster, user, tmp_path).certificates()
        add_device(cluster)
        whole = time.monotonic()
        assert f'Cluster "{NAME}"' in arbitrator.inside("corosync-qnetd-tool", "-l")
        findings = json.loads(arbitrator.inside("thirdvote", "doctor", "--here", "--json", check=False))["findings"]
        assert {each["id"] for each in findings if each["level"] in ("failure", "warning")} == set(), findings
        arbitrator.kill_and_start_again()
        cluster.wait_all_votes()
        assert arbitrator.stop_server() == 0
        arbitrator.volume = tmp_path / "moved"
        subprocess.run(["cp", "-a", data, arbitrator.volume], check=True)
        arbitrator.start_server()
        cluster.wait_all_votes()
        assert "this is the first start" not in arbitrator.log
        arbitrator.image = image.next_tag
        assert arbitrator.stop_server() == 0
        arbitrator.start_server()
        cluster.wait_all_votes()
        second = podman("run", "--rm", *HERE, "--network", "none", "--volume", f"{arbitrator.volume}:{DATA}", image.tag, check=False)
        assert second.returncode == 1
        assert f"another thirdvote serve is running on {DATA}" in second.stderr
        arbitrator.inside("thirdvote", "backup", f"{DATA}/backup")
        assert arbitrator.stop_server() == 0
        restored = tmp_path / "restored"
        restored.mkdir()
        os.chown(restored, USER, USER)
        mounted = ("--volume", f"{restored}:{DATA}", "--volume", f"{arbitrator.volume / 'backup'}:/backup:ro")
        podman("run", "--rm", *HERE, "--network", "none", *mounted, image.tag, "restore", "/backup")
        arbitrator.volume = restored
        arbitrator.start_server()
        cluster.wait_all_votes()
        assert "the ledger was removed or emptied: a cluster waits until no vote of before can count any more" in arbitrator.log
        assert [change for node in (1, 2) for change in cluster.watch.lost_quorum(node, whole)] == []
