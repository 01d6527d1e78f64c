from __future__ import annotations

from thirdvote.doctor import qnetd_list

TEXT = """\
Cluster "office":
    Algorithm:\t\tFifty-Fifty split (KAP Tie-breaker)
    Tie-breaker:\tNode with lowest node ID
    Node ID 1:
        Client address:\t\t::ffff:192.0.2.1:41122
        HB interval:\t\t8000ms
        Configured node list:\t1 (7), 2, 3
        Vote:\t\t\tNo change (ACK)
    Node ID 2:
        Client address:\t\t192.0.2.2:41124
        HB interval:\t\t1000ms
        Configured node list:\t1, 2, 3
        Vote:\t\t\tNACK (NACK)
Cluster "lab":
    Algorithm:\t\tLMS
    Node ID 5:
        Client address:\t\t192.0.2.5:1
"""


def test_clusters_of_a_stock_server() -> None:
    office, lab = qnetd_list.read(TEXT)
    assert (office.name, office.missing, lab.name, lab.missing) == ("office", (3,), "lab", ())
    assert [(node.number, node.address, node.has_vote, node.heartbeat_ms) for node in office.nodes] == [
        (1, "::ffff:192.0.2.1", True, 8_000),
        (2, "192.0.2.2", False, 1_000),
    ]
    assert lab.nodes[0].because == "it was told nothing yet"


def test_no_cluster() -> None:
    assert qnetd_list.read("") == ()
