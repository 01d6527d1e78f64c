from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.doctor_here import CONF, arbitrator, node, quorum
from thirdvote.config import Settings
from thirdvote.device import site
from thirdvote.device.host import LocalHost, SharedConnections
from thirdvote.doctor import look_arbitrator, look_node, look_stock
from thirdvote.doctor.examine import Examined, Wanted, examine
from thirdvote.doctor.facts import Node
from thirdvote.errors import UserError


class Hosts:
    """What is where, in place of hosts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.nodes: dict[str, Node] = {}
        self.has_arbitrator = self.has_stock = False
        self.asked: list[str] = []
        monkeypatch.setattr(look_arbitrator, "is_arbitrator", lambda settings: self.has_arbitrator)
        monkeypatch.setattr(look_arbitrator, "look", lambda host, settings: arbitrator())
        monkeypatch.setattr(look_stock, "is_arbitrator", lambda: self.has_stock)
        monkeypatch.setattr(look_stock, "look", lambda host: arbitrator(stock=True))
        monkeypatch.setattr(look_stock, "with_certificates", lambda found: arbitrator(data="stock"))
        monkeypatch.setattr(look_node, "is_node", lambda host: host.name in self.nodes)
        monkeypatch.setattr(look_node, "look", self._look)
        monkeypatch.setattr(look_node, "clock_synchronized", lambda host: True)
        monkeypatch.setattr(site, "reach", lambda each, *rest: LocalHost(each.label))

    def _look(self, host: Any, is_this_host: bool) -> Node:
        self.asked.append(host.name)
        if host.name not in self.nodes:
            raise UserError(f"{host.name} can not be reached", "copy a key")
        assert is_this_host == (host.name == "this host")
        return self.nodes[host.name]


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    return Hosts(monkeypatch)


def examined(*named: str, role: str | None = None, fellows: bool = True, control: str = "c", is_root: bool = True) -> Examined:
    wanted = Wanted(Settings(control=control), role, named, fellows, ("ssh",), os.path.exists, is_root)
    return examine(wanted, SharedConnections(Path("/nowhere")))


def test_neither_arbitrator_nor_node(hosts: Hosts) -> None:
    with pytest.raises(UserError, match="neither an arbitrator nor a node"):
        examined()
    assert len(examined(role="arbitrator").facts.arbitrators) == 1, "whoever says so gets to hear what is missing"


def test_an_arbitrator(hosts: Hosts) -> None:
    hosts.has_arbitrator = hosts.has_stock = True
    facts = examined().facts
    assert [each.stock for each in facts.arbitrators] == [False, True]
    assert (facts.nodes, facts.clock_synchronized) == ((), True)


def test_ours_under_the_stock_name(hosts: Hosts) -> None:
    hosts.has_arbitrator = True
    assert examined(control=look_stock.OURS).facts.arbitrators[0].data == "stock"


def test_a_node_and_its_fellow(hosts: Hosts) -> None:
    hosts.nodes = {"this host": node(where="this host"), "n2": node(where="n2", addresses=("192.0.2.2",))}
    found = examined()
    assert [each.where for each in found.facts.nodes] == ["n1 (this host)", "n2"]
    assert {"this host", "n1 (this host)", "n2"} == found.hosts.keys()
    assert [each.where for each in examined(fellows=False).facts.nodes] == ["n1 (this host)"]


def test_a_fellow_that_is_not_reached(hosts: Hosts) -> None:
    hosts.nodes = {"this host": node(where="this host")}
    facts = examined().facts
    assert [(each.where, each.hint) for each in facts.not_reached] == [("n2", "copy a key")]


@pytest.mark.parametrize("changes", [{"quorum": None}, {"quorum": quorum("A,V,NMW", "A,V,NMW")}])
def test_a_node_knows_which_it_is(hosts: Hosts, changes: dict[str, Any]) -> None:
    """By its addresses, where its Corosync does not run."""
    hosts.nodes = {"this host": node(where="this host", **changes)}
    facts = examined().facts
    assert [each.where for each in facts.nodes] == ["n1 (this host)"]
    assert hosts.asked == ["this host", "n2"]


def test_a_node_whose_file_is_broken(hosts: Hosts) -> None:
    hosts.nodes = {"this host": node(where="this host", conf_text="}")}
    assert [each.where for each in examined().facts.nodes] == ["this host"]
    assert hosts.asked == ["this host"]


def test_nodes_that_are_named(hosts: Hosts) -> None:
    """Then this host is not looked at as a node, but as the arbitrator that it is."""
    hosts.has_arbitrator = True
    hosts.nodes = {"a": node(where="a", conf_text=CONF), "this host": node()}
    facts = examined("a", "b").facts
    assert ([each.where for each in facts.nodes], [each.where for each in facts.not_reached]) == (["a"], ["b"])
    assert list(facts.arbitrators[0].told) == ["office"]


def test_corosync_answers_root_only(hosts: Hosts) -> None:
    hosts.nodes = {"this host": node(where="this host")}
    with pytest.raises(UserError, match="only root can ask Corosync"):
        examined(is_root=False)
    hosts.has_arbitrator = True
    assert examined(role="arbitrator", is_root=False).facts.nodes == ()


def test_one_role_alone(hosts: Hosts) -> None:
    hosts.has_arbitrator = True
    hosts.nodes = {"this host": node(where="this host")}
    assert examined(role="arbitrator").facts.nodes == ()
    assert examined(role="node").facts.arbitrators == ()
