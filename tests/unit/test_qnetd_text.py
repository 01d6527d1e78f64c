from __future__ import annotations

from dataclasses import replace

import pytest

from tests.world import World, ring
from thirdvote.arbiter.snapshot import ClusterSnapshot
from thirdvote.domain import (
    Algorithm,
    ClusterName,
    Heuristics,
    NodeId,
    NodeInfo,
    NodeListType,
    TieBreaker,
    TieBreakerMode,
    TlsSupport,
    Vote,
    quoted,
)
from thirdvote.qnetd_text import ServerStatus, cluster_text, parse_request, split_words, status_text, unknown_command_text
from thirdvote.wire.messages import NodeList

STATUS = ServerStatus(None, 5403, TlsSupport.REQUIRED, True, 3, 1, 0, 32_768, 32_768)


def snapshot_of(world: World) -> ClusterSnapshot:
    snapshot = world.arbiter.cluster_snapshot(ClusterName(b"c"), world.now)
    assert snapshot is not None
    return snapshot


def test_status() -> None:
    assert status_text(STATUS, verbose=False) == (
        "QNetd address:\t\t\t*:5403\n"
        "TLS:\t\t\t\tRequired (client certificate required)\n"
        "Connected clients:\t\t3\n"
        "Connected clusters:\t\t1\n"
    )
    other = replace(STATUS, host="192.0.2.1", tls=TlsSupport.UNSUPPORTED, max_clients=7)
    assert status_text(other, verbose=True) == (
        "QNetd address:\t\t\t192.0.2.1:5403\nTLS:\t\t\t\tUnsupported\nConnected clients:\t\t3\nConnected clusters:\t\t1\n"
        "Maximum allowed clients:\t7\nMaximum send/receive size:\t32768/32768 bytes\n"
    )


def test_a_cluster_with_all_there_is_to_say() -> None:
    world = World()
    node = world.join(1)
    node.keep_active_partition(on=True)
    node.send(NodeList(1, NodeListType.INITIAL_CONFIG, config_version=7, nodes=(NodeInfo(NodeId(1), 4), NodeInfo(NodeId(2)))))
    node.membership(ring(1, 26), 1, heuristics=Heuristics.PASS)
    snapshot = snapshot_of(world)
    assert cluster_text(snapshot, verbose=True) == (
        'Cluster "c":\n'
        "    Algorithm:\t\tFifty-Fifty split (KAP Tie-breaker)\n"
        "    Tie-breaker:\tNode with lowest node ID\n"
        "    Node ID 1:\n"
        "        Client address:\t\t192.0.2.1:4000\n"
        "        HB interval:\t\t8000ms\n"
        "        Configuration version:\t7\n"
        "        Configured node list:\t1 (4), 2\n"
        "        Ring ID:\t\t1.1a\n"
        "        Membership node list:\t1\n"
        "        Heuristics:\t\tPass (membership: Pass, regular: Undefined)\n"
        "        TLS active:\t\tNo\n"
        "        Vote:\t\t\tNo change (ACK)\n"
    )
    plain = cluster_text(snapshot, verbose=False)
    assert "        Heuristics:\t\tPass\n" in plain
    assert "Ring ID" not in plain


@pytest.mark.parametrize("verbose", [False, True])
def test_a_cluster_with_little_to_say(verbose: bool) -> None:
    world = World()
    world.join(3, algorithm=Algorithm.LMS, tie_breaker=TieBreaker(TieBreakerMode.NODE_ID, NodeId(3)))
    text = cluster_text(snapshot_of(world), verbose)
    assert "Tie-breaker:\tNode with node ID 3\n" in text
    assert ("Heuristics:\t\tUndefined" in text) is verbose
    assert "Vote:" not in text
    assert "Configuration version" not in text


def test_a_verified_certificate_is_shown() -> None:
    world = World()
    world.join(1)
    snapshot = snapshot_of(world)
    node = replace(snapshot.nodes[0], tls_active=True, certificate_verified=True, last_vote=Vote.ASK_LATER)
    text = cluster_text(replace(snapshot, nodes=(node,)), verbose=True)
    assert "TLS active:\t\tYes (client certificate verified)\n" in text
    assert "Vote:\t\t\tAsk later\n" in text


def test_names_can_not_leave_their_quotes() -> None:
    assert quoted(ClusterName('a"b\n\x1b\\é'.encode())) == 'a\\"b\\n\\x1b\\\\é'


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", []),
        (b"  status   verbose ", [b"status", b"verbose"]),
        (b'st"at"us', [b"status"]),
        (b'list cluster "a b"', [b"list", b"cluster", b"a b"]),
        (b'""', [b""]),
        (b"a\\ b", [b"a b"]),
        (b'a\\"b', [b'a"b']),
        (b'"a\\"b\\\\c\\d"', [b'a"b\\c\\d']),
        (b'"open', [b"open"]),
        (b"end\\", [b"end"]),
        (b"a\\", [b"a"]),
    ],
)
def test_words(line: bytes, words: list[bytes]) -> None:
    assert split_words(line) == words


def test_requests() -> None:
    assert parse_request(b"").command == ""
    assert parse_request(b"STATUS Verbose").verbose
    assert not parse_request(b"status other verbose").verbose
    found = parse_request(b'list verbose cluster "a b"')
    assert (found.command, found.verbose, found.cluster) == ("list", True, b"a b")
    found = parse_request(b"list cluster x unknown verbose")
    assert (found.verbose, found.cluster) == (False, b"x")
    assert parse_request(b"list cluster").cluster == b""


def test_an_unknown_command_is_shown_on_one_line() -> None:
    assert unknown_command_text(b"a\\b\n\xff") == "Unknown command 'a\\b\\n\\xff'\n"
