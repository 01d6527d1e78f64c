from __future__ import annotations

from pathlib import Path

import pytest

from tests.corosync_confs import PROXMOX
from tests.nodes_here import NodesHere, nodes_here
from thirdvote.device import turn
from thirdvote.device.steps import Interruption, Step, perform
from thirdvote.errors import UserError


@pytest.fixture
def here(tmp_path: Path) -> NodesHere:
    return nodes_here(tmp_path, PROXMOX)


def held(here: NodesHere) -> list[bool]:
    return [host.path(turn.LOCK).exists() for host in here.hosts]


def run(here: NodesHere, *work: Step) -> None:
    taking, giving_back = turn.taken(here.hosts)
    perform([*taking, *work, *giving_back], lambda text: None, Interruption())


def test_one_at_a_time(here: NodesHere) -> None:
    seen: list[list[bool]] = []

    def another() -> None:
        seen.append(held(here))
        with pytest.raises(UserError, match="somebody else is changing the device of n1 now"):
            run(here)
        with pytest.raises(UserError, match="somebody else"):
            turn.check_free(here.hosts)
        seen.append(held(here))

    turn.check_free(here.hosts)
    run(here, Step("work", another))
    assert seen == [[True, True], [True, True]]
    assert held(here) == [False, False]


def test_given_back_when_the_work_fails(here: NodesHere) -> None:
    def fail() -> None:
        raise UserError("it broke")

    with pytest.raises(UserError, match="it broke"):
        run(here, Step("work", fail))
    assert held(here) == [False, False]


def test_whose_turn_it_is_keeps_it_when_another_comes_on_the_other_node_first(here: NodesHere) -> None:
    here.hosts[1].path(turn.LOCK).mkdir(parents=True)
    with pytest.raises(UserError, match="device of n2"):
        run(here)
    assert held(here) == [False, True]
