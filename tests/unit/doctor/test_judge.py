from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.doctor_here import CONF, arbitrator, facts, ids, node, only, quorum
from thirdvote.doctor.facts import Answer, NotReached
from thirdvote.doctor.judge import judge

RAISED = CONF.replace("config_version: 5", "config_version: 6")


def second(**changes: Any) -> Any:
    return node(**{"where": "n2", "quorum": quorum("A,V,NMW", "A,V,NMW", own=2), "addresses": ("192.0.2.2",), **changes})


def test_nothing_is_wrong_anywhere() -> None:
    assert ids(judge(facts(node(), second(), arbitrators=(arbitrator(),)))) == []


def test_the_worst_comes_first() -> None:
    found = judge(facts(node(device=None, clock_synchronized=False), arbitrators=(arbitrator(answer=Answer.NOT_RUNNING, status={}),)))
    levels = [finding.kind.level for finding in found]
    assert levels == sorted(levels, reverse=True)


def test_a_node_that_was_looked_at_speaks_for_itself() -> None:
    seen = node(quorum=quorum("A,V,NMW", "NR"))
    assert only(judge(facts(seen)), "device-not-running").where == "node 2, as n1 sees it"
    both = judge(facts(seen, second(quorum=quorum("A,V,NMW", "NR", own=2), device=None)))
    assert only(both, "device-not-running").where == "n2"


def test_what_was_not_reached_is_said() -> None:
    found = judge(facts(node(), not_reached=(NotReached("n2", "no route", "copy a key"),)))
    assert only(found, "node-not-reached").remedy == ("# copy a key",)


def test_the_clock_of_an_arbitrators_host() -> None:
    assert ids(judge(facts(arbitrators=(arbitrator(),), clock_synchronized=False))) == ["clock-not-synchronized"]


def test_one_file_is_judged_once() -> None:
    text = CONF.replace("    timeout: 1250\n", "")
    slow = {"conf_text": text}
    assert ids(judge(facts(node(**slow), second(**slow)))) == ["hand-over-slow"]


def fixes(*nodes: Any, **changes: Any) -> set[tuple[str, ...]]:
    return {finding.fix for finding in judge(facts(*nodes, **changes)) if finding.kind.id == "conf-not-in-force"}


def test_a_file_is_read_again_where_it_changes_neither_nodes_nor_votes() -> None:
    assert fixes(node(conf_text=RAISED), second(conf_text=RAISED)) == {("corosync-cfgtool", "-R")}


@pytest.mark.parametrize(
    "text",
    [
        RAISED.replace("votes: 1", "votes: 2"),
        RAISED.replace("  provider", "  expected_votes: 5\n  provider"),
        RAISED.replace("nodeid: 2", "nodeid: 3"),
    ],
)
def test_a_file_that_changes_more_is_left_to_a_person(text: str) -> None:
    assert fixes(node(conf_text=text), second(conf_text=text)) == {()}


def test_a_file_is_not_read_while_a_node_is_not_seen() -> None:
    raised = node(conf_text=RAISED)
    assert fixes(raised) == {()}
    assert fixes(raised, second(conf_text=RAISED), not_reached=(NotReached("n3", "", ""),)) == {()}
    assert fixes(raised, second()) == {()}
    lone = replace(raised, quorum=quorum("A,V,NMW", "A,V,NMW", quorate=False))
    assert fixes(lone, second(conf_text=RAISED)) == {()}
