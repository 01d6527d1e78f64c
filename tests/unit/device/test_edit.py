from __future__ import annotations

import pytest

from tests.corosync_confs import DEBIAN, PROXMOX, RED_HAT, SUSE, with_nodes
from thirdvote.device import cluster, edit, rules
from thirdvote.device.corosync_conf import ConfError
from thirdvote.device.edit import Wanted


def wanted(text: str, host: str = "10.0.0.9", port: int = 5403, timeout_ms: int | None = None) -> Wanted:
    return Wanted(host, rules.choose(cluster.read(text), True), port, timeout_ms)


def changed(before: str, after: str) -> list[str]:
    """What was taken out and put in, without what stays."""
    lines = edit.difference(before, after, "corosync.conf")
    return [line for line in lines if line[0] in "+-" and not line.startswith(("+++", "---"))]


def test_proxmox_gets_what_pvecm_writes() -> None:
    after = edit.with_device(PROXMOX, wanted(PROXMOX))
    assert changed(PROXMOX, after) == [
        "+  device {",
        "+    model: net",
        "+    votes: 1",
        "+    net {",
        "+      tls: on",
        "+      host: 10.0.0.9",
        "+      algorithm: ffsplit",
        "+    }",
        "+  }",
        "-  config_version: 7",
        "+  config_version: 8",
    ]


def test_debians_tabs_and_comments_stay_and_no_version_is_made_up() -> None:
    after = edit.with_device(DEBIAN, wanted(DEBIAN, port=5404, timeout_ms=3_000))
    assert changed(DEBIAN, after) == [
        "+\tdevice {",
        "+\t\tmodel: net",
        "+\t\tvotes: 1",
        "+\t\ttimeout: 3000",
        "+\t\tnet {",
        "+\t\t\ttls: on",
        "+\t\t\thost: 10.0.0.9",
        "+\t\t\talgorithm: ffsplit",
        "+\t\t\tport: 5404",
        "+\t\t}",
        "+\t}",
    ]
    assert edit.without_device(after) == DEBIAN


def test_two_node_is_switched_off_and_remembered() -> None:
    after = edit.with_device(RED_HAT, wanted(RED_HAT))
    assert changed(RED_HAT, after)[:3] == ["-    two_node: 1", f"+    # {edit.TWO_NODE_REMEMBERED}", "+    two_node: 0"]
    assert not cluster.read(after).two_node
    assert edit.remembers_two_node(after)
    assert edit.without_device(after) == RED_HAT


def test_two_node_comes_back_only_where_it_was() -> None:
    """In a cluster without fencing it would let both nodes go on."""
    off = RED_HAT.replace("two_node: 1", "two_node: 0")
    after = edit.with_device(off, wanted(off))
    assert not edit.remembers_two_node(after)
    assert edit.without_device(after) == off


def test_two_node_does_not_come_back_when_there_are_more() -> None:
    after = edit.with_device(RED_HAT, wanted(RED_HAT))
    grown = with_nodes(after, 4)
    assert not edit.remembers_two_node(grown)
    assert "two_node: 0" in edit.without_device(grown)


def test_expected_votes_count_the_device() -> None:
    after = edit.with_device(SUSE, wanted(SUSE))
    assert cluster.read(after).expected_votes == 3
    assert edit.without_device(after) == SUSE.replace("config_version: 3", "config_version: 5")


def test_an_odd_number_leaves_the_votes_to_corosync() -> None:
    text = with_nodes(PROXMOX, 3)
    after = edit.with_device(text, wanted(text))
    assert "votes: 2" not in after
    assert "algorithm: lms" in after
    text = with_nodes(SUSE, 3).replace("expected_votes: 2", "expected_votes: 3")
    after = edit.with_device(text, wanted(text))
    assert cluster.read(after).device == cluster.Device("net", "10.0.0.9", 5403, 2)
    assert cluster.read(after).expected_votes == 5
    assert cluster.read(edit.without_device(after)).expected_votes == 3


def test_a_device_that_is_there_keeps_what_is_its_own() -> None:
    once = edit.with_device(PROXMOX, wanted(PROXMOX, "10.0.0.8", 5404, 5_000))
    own = once.replace("      tls: on\n", "      tls: on\n      tie_breaker: highest\n").replace(
        "    votes: 1\n", "    votes: 1\n    heuristics {\n      mode: on\n    }\n"
    )
    twice = edit.with_device(own, wanted(PROXMOX))
    assert changed(own, twice) == [
        "-      host: 10.0.0.8",
        "+      host: 10.0.0.9",
        "-      port: 5404",
        "-  config_version: 8",
        "+  config_version: 9",
    ]


def test_lms_becomes_ffsplit_when_a_node_has_come() -> None:
    text = with_nodes(SUSE, 3).replace("expected_votes: 2", "expected_votes: 3")
    three = edit.with_device(text, wanted(text))
    fourth = "nodelist {\n  node {\n    nodeid: 4\n    ring0_addr: 10.0.0.4\n  }\n"
    four = three.replace("nodelist {\n", fourth).replace("expected_votes: 5", "expected_votes: 6")
    after = cluster.read(edit.with_device(four, wanted(four)))
    assert after.device == cluster.Device("net", "10.0.0.9", 5403, 1)
    assert after.expected_votes == 5


def test_no_device_to_take_out() -> None:
    with pytest.raises(ConfError, match="has no device"):
        edit.without_device(PROXMOX)


def test_an_older_text_becomes_the_newest() -> None:
    assert edit.with_version_after(PROXMOX, 12) == PROXMOX.replace("config_version: 7", "config_version: 13")
    assert edit.with_version_after(DEBIAN, None) == DEBIAN


def test_a_version_that_can_not_be_raised() -> None:
    text = PROXMOX.replace("config_version: 7", f"config_version: {cluster.VERSION_MAX}")
    with pytest.raises(ConfError, match="can not be raised"):
        edit.with_device(text, wanted(text))


def test_a_host_that_is_no_value() -> None:
    with pytest.raises(ConfError, match="can not be a value"):
        edit.with_device(PROXMOX, wanted(PROXMOX, "a\nb: c"))
