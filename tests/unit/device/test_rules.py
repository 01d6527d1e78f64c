from __future__ import annotations

import pytest

from tests.corosync_confs import PROXMOX, SUSE, with_nodes
from thirdvote.device import cluster, rules
from thirdvote.device.corosync_conf import ConfError
from thirdvote.device.rules import Choice

ONE_NODE = PROXMOX.replace(PROXMOX[PROXMOX.index("  node {\n    name: pve2") : PROXMOX.index("}\n\nquorum")], "")


@pytest.mark.parametrize("count", [2, 4, 16])
@pytest.mark.parametrize("forced", [False, True])
def test_an_even_number_of_nodes(count: int, forced: bool) -> None:
    assert rules.choose(cluster.read(with_nodes(PROXMOX, count)), forced) == Choice("ffsplit", 1, writes_votes=True, warning=None)


@pytest.mark.parametrize("count", [3, 5])
def test_an_odd_number_of_nodes(count: int) -> None:
    found = cluster.read(with_nodes(PROXMOX, count))
    with pytest.raises(ConfError, match=f"the number of nodes, {count}, is odd: .*lms and {count - 1} votes") as refused:
        rules.choose(found, False)
    assert "--force" in (refused.value.hint or "")
    choice = rules.choose(found, True)
    assert (choice.algorithm, choice.votes, choice.writes_votes) == ("lms", count - 1, False)
    assert "can not miss a single node" in (choice.warning or "")


def test_votes_are_written_where_corosync_can_not_count_them() -> None:
    """votequorum(5): with expected_votes, or with nodes of different votes, quorum.device.votes has to be there."""
    assert rules.choose(cluster.read(with_nodes(SUSE, 3)), True).writes_votes
    uneven = PROXMOX.replace("quorum_votes: 1", "quorum_votes: 2", 1)
    with pytest.raises(ConfError, match="do not have one vote each"):
        rules.choose(cluster.read(uneven), False)
    choice = rules.choose(cluster.read(uneven), True)
    assert (choice.algorithm, choice.votes, choice.writes_votes) == ("lms", 2, True)


def test_one_node() -> None:
    with pytest.raises(ConfError, match="one node: there is nothing to decide"):
        rules.choose(cluster.read(ONE_NODE), True)


@pytest.mark.parametrize("key", cluster.EXCLUDES_A_DEVICE)
def test_what_excludes_a_device_is_not_forced(key: str) -> None:
    with pytest.raises(ConfError, match=f"no device together with {key}"):
        rules.choose(cluster.read(PROXMOX.replace("votequorum\n", f"votequorum\n  {key}: 1\n")), True)


def test_timeouts() -> None:
    for good in (1_250, 10_000, 120_000):
        rules.check_timeout(good)
    for wrong in (-1, 0, 1_249, 120_001):
        with pytest.raises(ConfError, match="not possible"):
            rules.check_timeout(wrong)


@pytest.mark.parametrize(("count", "needed"), [(2, 2), (3, 2), (4, 3), (5, 3)])
def test_quorum_without_the_device(count: int, needed: int) -> None:
    assert rules.votes_needed_without(cluster.read(with_nodes(PROXMOX, count))) == needed
