"""What `corosync-qnetd-tool -lv` says of the clusters at a stock server."""

from __future__ import annotations

import re

from thirdvote.doctor.facts import ClusterSeen, NodeSeen

_CLUSTER = re.compile(r'^Cluster "(.*)":$')
_NODE = re.compile(r"^    Node ID (\d+):$")
_FIELD = re.compile(r"^ +([A-Z][\w ]*):[ \t]+(.*)$")


def read(text: str) -> tuple[ClusterSeen, ...]:
    """Empty when no cluster is connected, or this is not its output."""
    clusters: list[tuple[str, list[tuple[int, dict[str, str]]]]] = []
    for line in text.splitlines():
        if (named := _CLUSTER.match(line)) is not None:
            clusters.append((named[1], []))
        elif (numbered := _NODE.match(line)) is not None and clusters:
            clusters[-1][1].append((int(numbered[1]), {}))
        elif (field := _FIELD.match(line)) is not None and clusters and clusters[-1][1]:
            clusters[-1][1][-1][1][field[1]] = field[2]
    return tuple(_cluster(name, nodes) for name, nodes in clusters)


def _cluster(name: str, nodes: list[tuple[int, dict[str, str]]]) -> ClusterSeen:
    configured = {int(number) for _, fields in nodes for number in re.findall(r"\d+(?! *\))", fields.get("Configured node list", ""))}
    return ClusterSeen(
        name=name,
        nodes=tuple(_node(number, fields) for number, fields in nodes),
        missing=tuple(sorted(configured - {number for number, _ in nodes})),
    )


def _node(number: int, fields: dict[str, str]) -> NodeSeen:
    """The last ACK or NACK is in brackets where something else was said after it."""
    vote = fields.get("Vote", "")
    return NodeSeen(
        number=number,
        address=fields.get("Client address", "").rpartition(":")[0],
        has_vote="ACK" in re.findall(r"\b(N?ACK)\b", vote)[-1:],
        because=f"corosync-qnetd-tool shows its vote as {vote}" if vote else "it was told nothing yet",
        round_trip_s=None,
        heartbeat_ms=int(found[0]) if (found := re.match(r"\d+", fields.get("HB interval", ""))) else None,
    )
