from __future__ import annotations

import json

from tests.world import World, ring
from thirdvote.domain import Algorithm, ClusterName, NodeId, TieBreaker, TieBreakerMode
from thirdvote.net.views import cluster_view


def test_a_cluster_in_json() -> None:
    world = World()
    world.whole(1, 2)
    snapshot = world.arbiter.cluster_snapshot(ClusterName(b"c"), world.now + 1.5)
    assert snapshot is not None
    view = cluster_view(snapshot)
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
    view = cluster_view(snapshot)
    assert (view["algorithm"], view["tie_breaker"], view["missing"]) == ("2nodelms", "3", [4])
