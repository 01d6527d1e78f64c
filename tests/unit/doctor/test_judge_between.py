from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.doctor_here import AUTHORITY, CLUSTER, CONF, arbitrator, ids, node, only
from thirdvote.config import ClusterPolicy
from thirdvote.doctor.facts import Arbitrator, Node
from thirdvote.doctor.judge_between import judge
from thirdvote.domain import Handover

SPECIAL = CONF.replace("timeout: 1250", "timeout: 1250\n    sync_timeout: 20000")


def second(**changes: Any) -> Node:
    return node(where="n2", addresses=("192.0.2.2",), **changes)


def found(*nodes: Node, arbitrators: tuple[Arbitrator, ...] = ()) -> list[str]:
    return ids(judge(arbitrators, nodes, "this host"))


def test_nothing_is_wrong() -> None:
    assert found(node(), second(), arbitrators=(arbitrator(),)) == []


def test_nodes_that_differ() -> None:
    assert found(node(), second(conf_text=CONF.replace("5\n", "6\n", 1))) == ["conf-differs"]
    assert found(node(), second(resolved=("192.0.2.21",))) == ["names-differ"]
    database = second().database
    assert database is not None
    other = replace(database, cluster=replace(CLUSTER, serial_number="4"))
    assert found(node(), second(database=other)) == ["node-certificates-differ"]


@pytest.mark.parametrize(("ahead", "words"), [(90.0, "90 s ahead of"), (-90.0, "90 s behind")])
def test_clocks(ahead: float, words: str) -> None:
    assert words in only(judge((), [node(clock_ahead_s=ahead)], "this host"), "clocks-differ").what
    assert found(node(clock_ahead_s=ahead / 10)) == []


def test_what_the_arbitrator_is_not_told() -> None:
    assert found(node(conf_text=SPECIAL), second(conf_text=SPECIAL)) == ["arbitrator-to-be-told"]
    assert found(node(conf_text=SPECIAL), arbitrators=(arbitrator(),)) == ["arbitrator-not-told"]
    told = {"office": ClusterPolicy(Handover.SAFE, True, sync_timeout_ms=20_000)}
    assert found(node(conf_text=SPECIAL), arbitrators=(arbitrator(told=told),)) == []
    finding = only(judge((), [node(conf_text=SPECIAL)], ""), "arbitrator-to-be-told")
    assert finding.remedy == ('# in the settings file of the arbitrator: [clusters."office"] sync-timeout = 20000',)


def test_certificates_of_another_or_revoked() -> None:
    assert found(node(), arbitrators=(arbitrator(authorities=("ff" * 32,)),)) == ["another-arbitrator"]
    assert found(node(), arbitrators=(arbitrator(authorities=("ff" * 32, AUTHORITY.fingerprint)),)) == []
    assert found(node(), arbitrators=(arbitrator(revoked=("3",)),)) == ["node-certificate-revoked"]


def test_a_node_of_another_arbitrator() -> None:
    assert found(node(), arbitrators=(arbitrator(addresses=("192.0.2.99",)),)) == ["arbitrator-elsewhere"]


def test_an_arbitrator_on_the_other_node() -> None:
    assert found(node(resolved=("192.0.2.2",))) == ["arbitrator-on-its-node"]
