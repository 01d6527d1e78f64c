from __future__ import annotations

from pathlib import Path

import pytest

from tests.corosync_confs import PROXMOX
from tests.nodes_here import FolderHost, nodes_here
from thirdvote.device.services import Systemd
from thirdvote.errors import UserError


@pytest.fixture
def host(tmp_path: Path) -> FolderHost:
    here = nodes_here(tmp_path, PROXMOX)
    (here.folder / "in-force").write_text("model: net\n")
    return here.hosts[0]


def asked(host: FolderHost) -> list[str]:
    return (host.root / "systemctl").read_text().splitlines()


def test_now_and_at_each_boot(host: FolderHost) -> None:
    services = Systemd(lambda text: None)
    assert not services.is_running(host)
    services.start(host)
    assert services.is_running(host)
    assert (host.runs, host.is_enabled) == (True, True)
    services.stop(host)
    assert (host.runs, host.is_enabled) == (False, False)
    assert asked(host) == [
        "is-active --quiet corosync-qdevice",
        "enable --quiet corosync-qdevice",
        "reset-failed corosync-qdevice",
        "restart corosync-qdevice",
        "is-active --quiet corosync-qdevice",
        "stop corosync-qdevice",
        "disable --quiet corosync-qdevice",
    ]


def test_a_start_that_fails_says_where_to_look(host: FolderHost) -> None:
    host.fails = {"systemctl restart"}
    with pytest.raises(UserError, match="n1: systemctl failed") as failed:
        Systemd(lambda text: None).start(host)
    assert failed.value.hint == "on n1: journalctl -u corosync-qdevice says why"


def test_without_systemd_a_person_is_told(host: FolderHost) -> None:
    (host.root / "run/systemd/system").rmdir()
    said: list[str] = []
    services = Systemd(said.append)
    services.start(host)
    services.stop(host)
    assert [line.partition(": ")[0] for line in said] == ["n1", "n1"]
    assert "start corosync-qdevice now" in said[0]
    assert "end corosync-qdevice now" in said[1]
    assert not (host.root / "systemctl").exists()
    assert not services.is_running(host)
    (host.root / "running").touch()
    assert services.is_running(host)
