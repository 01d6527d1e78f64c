from __future__ import annotations

from pathlib import Path

import pytest

from tests.corosync_confs import PROXMOX
from tests.nodes_here import NodesHere
from tests.unit.device.test_remove import joined
from thirdvote.cli.remove import remove
from thirdvote.errors import UsageError, UserError

NODES = ("10.0.0.1", "10.0.0.2")


@pytest.fixture
def here(tmp_path: Path) -> NodesHere:
    return joined(tmp_path)


def run(here: NodesHere, *arguments: str) -> None:
    remove.main([*arguments, "--ssh", here.ssh], standalone_mode=False)


def test_from_outside(here: NodesHere, capsys: pytest.CaptureFixture[str]) -> None:
    run(here, *NODES)
    assert capsys.readouterr().out.endswith("done: the cluster has no device any more\n")
    assert here.in_force == PROXMOX.replace("config_version: 7", "config_version: 9")


def test_a_dry_run_changes_nothing(here: NodesHere, capsys: pytest.CaptureFixture[str]) -> None:
    before = here.in_force
    run(here, *NODES, "--dry-run")
    assert "would do: 10.0.0.2: stops corosync-qdevice" in capsys.readouterr().out
    assert here.in_force == before
    assert [host.runs for host in here.hosts] == [True, True]


def test_a_cluster_that_needs_the_vote(here: NodesHere) -> None:
    here.members([1])
    with pytest.raises(UserError, match="would have no quorum"):
        run(here, *NODES)


def test_by_hand_is_for_a_node() -> None:
    with pytest.raises(UsageError, match="--by-hand"):
        remove.main(["n1", "--by-hand"], standalone_mode=False)
