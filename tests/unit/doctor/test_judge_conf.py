from __future__ import annotations

from typing import Any

import pytest

from tests.doctor_here import CONF, ids, node, only, quorum
from thirdvote.device.corosync_conf import Document
from thirdvote.doctor import judge_conf
from thirdvote.doctor.judge_conf import judge, special_settings

THIRD = "nodelist {\n  node {\n    name: n3\n    nodeid: 3\n    ring0_addr: 192.0.2.3\n  }\n"


def found(text: str | None, **changes: Any) -> list[str]:
    return ids(judge(node(conf_text=text, **changes)))


def test_nothing_is_wrong() -> None:
    assert found(CONF) == []


def test_a_file_that_can_not_be_read() -> None:
    assert found(None) == ["conf-unreadable"]
    assert found(CONF.replace("quorum {", "quorum")) == ["conf-unreadable"]
    assert found(CONF.replace("corosync_votequorum", "x")) == ["conf-unreadable"]
    assert ids(judge(node(conf_text="x"), is_told_already=True)) == []


def test_a_file_that_corosync_has_not_read() -> None:
    assert found(CONF.replace("config_version: 5", "config_version: 6")) == ["conf-not-in-force"]
    assert found(CONF.replace("host: 192.0.2.20", "host: 192.0.2.21")) == ["conf-not-in-force"]
    assert found(CONF.replace("config_version: 5", "config_version: 6"), in_force={}) == [], "it does not run"


def test_what_two_nodes_have_in_common_is_told_once() -> None:
    text = CONF.replace("votes: 1", "votes: 2").replace("config_version: 5", "config_version: 6")
    assert ids(judge(node(conf_text=text, quorum=None), is_told_already=True)) == ["conf-not-in-force"]


def test_no_device() -> None:
    without = CONF[: CONF.index("  device {")] + "}\n"
    assert found(without, in_force={}) == ["no-device"]
    assert found(without.replace("nodelist {\n", THIRD), in_force={}) == []


@pytest.mark.parametrize("line", ["two_node: 1", "last_man_standing: 1", "auto_tie_breaker: 1", "allow_downscale: 1"])
def test_what_excludes_a_device(line: str) -> None:
    finding = only(judge(node(conf_text=CONF.replace("  provider", f"  {line}\n  provider"))), "device-excluded")
    assert line.partition(":")[0] in finding.what
    assert finding.where == "cluster office"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("model: net", "model: disk"),
        ("      host: 192.0.2.20\n", ""),
        ("algorithm: ffsplit", "algorithm: FFSplit"),
        ("votes: 1", "votes: 2"),
        ("    votes: 1\n", ""),
        ("tls: on", "tls: maybe"),
        ("tls: on", "tls: on\n      port: 0"),
        ("tls: on", "tls: on\n      tie_breaker: first"),
        ("tls: on", "tls: on\n      connect_timeout: 10"),
        ("tls: on", "tls: on\n      keep_active_partition_tie_breaker: maybe"),
        ("timeout: 1250", "timeout: fast"),
    ],
)
def test_with_what_the_device_does_not_start(old: str, new: str) -> None:
    assert "device-section-invalid" in found(CONF.replace(old, new), in_force={}, quorum=None)


@pytest.mark.parametrize("line", ["port: 65535", "tie_breaker: 2", "tie_breaker: highest", "connect_timeout: 1000", "force_ip_version: 4"])
def test_with_what_it_starts(line: str) -> None:
    assert found(CONF.replace("tls: on", f"tls: on\n      {line}")) == []


def test_without_tls() -> None:
    assert found(CONF.replace("tls: on", "tls: off")) == ["device-tls-off"]


def test_votes_of_nodes() -> None:
    text = CONF.replace("nodeid: 2", "nodeid: 2\n    quorum_votes: 2")
    assert found(text, quorum=None) == ["votes-unequal"]


def test_an_odd_number_of_nodes() -> None:
    three = CONF.replace("nodelist {\n", THIRD)
    assert found(three, quorum=None) == ["odd-nodes"]
    lms = three.replace("algorithm: ffsplit", "algorithm: lms")
    assert "can not miss a single node" in only(judge(node(conf_text=lms, quorum=None)), "odd-nodes").what


def test_expected_votes() -> None:
    def with_votes(votes: int) -> str:
        return CONF.replace("  provider", f"  expected_votes: {votes}\n  provider")

    assert found(with_votes(3)) == []
    assert found(with_votes(2)) == ["expected-votes-wrong"]
    low = quorum("A,V,NMW", "A,V,NMW")
    assert found(CONF.replace("votes: 1", "votes: 2").replace("ffsplit", "lms"), quorum=low) == ["expected-votes-wrong"]


def test_a_slow_hand_over_names_the_setting() -> None:
    finding = only(judge(node(conf_text=CONF.replace("    timeout: 1250\n", ""))), "hand-over-slow")
    assert "18 s" in finding.what
    assert "quorum.device.timeout: 1250" in finding.what
    assert "sync_timeout" in finding.what


def test_what_an_arbitrator_has_to_be_told() -> None:
    def special(text: str) -> dict[str, int | bool]:
        return special_settings(Document(text))

    assert special(CONF) == {}
    assert special(CONF.replace("timeout: 1250", "timeout: 500\n    sync_timeout: 20000")) == {"timeout": 500, "sync-timeout": 20_000}
    assert special(CONF.replace("version: 2", "version: 2\n  token: 10000")) == {"token": 10_000}
    lms = CONF.replace("ffsplit", "lms").replace("  provider", "  wait_for_all: 1\n  provider")
    assert special(lms) == {"wait-for-all": True}


def test_a_file_for_who_only_looks_things_up() -> None:
    assert judge_conf.read(node(conf_text=None)) is None
    assert judge_conf.read(node(conf_text="}")) is None
    assert judge_conf.read(node()) is not None
