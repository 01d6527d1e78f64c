from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime

from tests.world import World, ring
from thirdvote.arbiter.snapshot import Bounds, HolderSnapshot
from thirdvote.domain import Algorithm, ClusterName, NodeId, TieBreaker, TieBreakerMode
from thirdvote.net.views import Moment, cluster_view

NOON = Moment(100.0, datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC))


def test_a_cluster_in_json() -> None:
    world = World()
    world.whole(1, 2)
    snapshot = world.arbiter.cluster_snapshot(ClusterName(b"c"), world.now + 1.5)
    assert snapshot is not None
    view = cluster_view(snapshot, NOON)
    assert json.loads(json.dumps(view)) == view
    assert {key: view[key] for key in ("name", "algorithm", "tie_breaker", "handover", "missing", "keep_active_partition")} == {
        "name": "c",
        "algorithm": "ffsplit",
        "tie_breaker": "lowest",
        "handover": "stock",
        "missing": [],
        "keep_active_partition": False,
    }
    node = view["nodes"][0]
    assert {key: node[key] for key in ("node", "has_vote", "last_ack_or_nack", "ring_id", "heuristics", "tls", "config_version")} == {
        "node": 1,
        "has_vote": True,
        "last_ack_or_nack": "ack",
        "ring_id": "1.a",
        "heuristics": "undefined",
        "tls": False,
        "config_version": None,
    }
    assert node["config_list"] == [{"node": 1}, {"node": 2}]
    assert node["connected_for_s"] == 1.5


def test_the_words_are_those_of_corosync_conf() -> None:
    world = World()
    world.join(3, 3, 4, algorithm=Algorithm.TWO_NODE_LMS, tie_breaker=TieBreaker(TieBreakerMode.NODE_ID, NodeId(3)))
    world.clients[1].membership(ring(3, 1), 3, 4)
    snapshot = world.arbiter.cluster_snapshot(ClusterName(b"c"), world.now)
    assert snapshot is not None
    view = cluster_view(snapshot, NOON)
    assert (view["algorithm"], view["tie_breaker"], view["missing"]) == ("2nodelms", "3", [4])


def test_who_is_waited_for_and_until_when() -> None:
    world = World()
    world.whole(1, 2)
    snapshot = world.arbiter.cluster_snapshot(ClusterName(b"c"), world.now)
    assert snapshot is not None
    holders = (HolderSnapshot(NodeId(1), True, "it has the vote", None), HolderSnapshot(NodeId(2), False, "silent", 99.5))
    nodes = (replace(snapshot.nodes[0], round_trip_s=0.00123456789, answers_late=True),)
    waiting = replace(snapshot, holders=holders, nodes=nodes, waiting="until 12:00:07 for node 2", waiting_until=107.25)
    view = cluster_view(replace(waiting, bounds=Bounds(20.30004, math.inf, "shorter")), NOON)
    assert (view["waiting"], view["waiting_until"], view["waiting_s"]) == (
        "until 12:00:07 for node 2",
        "2026-11-25T12:00:07.250+00:00",
        7.25,
    )
    assert view["holders"] == [
        {"node": 1, "connected": True, "because": "it has the vote", "until": None, "until_s": None},
        {"node": 2, "connected": False, "because": "silent", "until": "2026-11-25T11:59:59.500+00:00", "until_s": -0.5},
    ]
    assert view["bounds"] == {"handover_s": 20.3, "overlap_s": None, "advice": "shorter"}
    assert (view["nodes"][0]["round_trip_s"], view["nodes"][0]["answers_late"]) == (0.001235, True)
    assert json.loads(json.dumps(view)) == view


def test_the_moment_is_now() -> None:
    before = datetime.now(UTC)
    moment = Moment.of(5.0)
    assert before <= moment.host <= datetime.now(UTC)
    assert moment.tell(math.inf) == (None, None)
