"""`thirdvote clusters`: each cluster, each node, its vote and why."""

from __future__ import annotations

from typing import Any

import click

from thirdvote.cli import output
from thirdvote.cli.options import CONTROL_OPTIONS, Command, as_json, complete_cluster, control_client, settings_options
from thirdvote.cli.words import duration, listed, named, until
from thirdvote.errors import UserError


@click.command(cls=Command)
@click.argument("name", required=False, shell_complete=complete_cluster)
@settings_options(*CONTROL_OPTIONS)
@as_json()
def clusters(name: str | None, wants_json: bool, **parameters: Any) -> int:
    """show each cluster's nodes, who has the vote, and why

    With NAME only that cluster, with all that is known of its nodes.
    """
    request = {"command": "snapshot"} if name is None else {"command": "snapshot", "cluster": name}
    with control_client(parameters) as client:
        found = client.request(request)["snapshot"]["clusters"]
    if name is not None and not found:
        hint = f"`thirdvote clusters` shows the ones that are, `thirdvote history {named(name)}` what became of it"
        raise UserError(f"no cluster {name} is connected", hint)
    if wants_json:
        output.structured(found)
    elif not found:
        output.line("no cluster is connected")
    else:
        for index, cluster in enumerate(found):
            if index:
                output.line()
            _show(cluster, with_details=name is not None)
    return output.OK


def _show(cluster: dict[str, Any], with_details: bool) -> None:
    active = ", keep active partition" if cluster["keep_active_partition"] else ""
    what = f"{cluster['algorithm']}, tie-breaker {_tie_breaker(cluster)}{active}, handover {cluster['handover']}"
    output.line((named(cluster["name"]), output.STRONG), f": {what}")
    output.line(f"  {cluster['summary']}")
    if cluster["waiting"]:
        output.line((f"  waiting {cluster['waiting']}", output.ODD))
    _show_bounds(cluster["bounds"], with_details)
    if with_details:
        _show_holders(cluster)
    for node in cluster["nodes"]:
        _show_node(node)
        if with_details:
            output.columns([((label, output.QUIET), text) for label, text in _details(node)], indent=10)
    for node_id in cluster["missing"]:
        output.line(f"  node {node_id}: ", ("not connected", output.ODD))


def _show_bounds(bounds: dict[str, Any], with_details: bool) -> None:
    """Nothing where both are 0: no vote of this cluster ever moves."""
    if bounds["handover_s"] == bounds["overlap_s"] == 0:
        return
    handover, overlap = _bound(bounds["handover_s"]), _bound(bounds["overlap_s"])
    when = " when a node loses its power or its network" if with_details else ""
    since = "; from when Corosync has seen it" if with_details else ""
    output.line(f"  longest hand-over {handover}{when}, longest overlap {overlap}{since}")
    if with_details and bounds["advice"]:
        output.line(f"  advice: {bounds['advice']}")


def _bound(seconds: float | None) -> str:
    if seconds is None:
        return "without end"
    return f"{seconds:.1f} s" if seconds else "none"


def _show_holders(cluster: dict[str, Any]) -> None:
    """Nothing while whoever may report quorum is connected and has the vote: that stands below."""
    if all(holder["connected"] for holder in cluster["holders"]) and not cluster["waiting"]:
        return
    output.line("  may report quorum by a vote of ours:")
    for holder in cluster["holders"]:
        output.line(f"    node {holder['node']}: {holder['because']}{until(holder['until'], holder['until_s'])}")


def _show_node(node: dict[str, Any]) -> None:
    vote = ("vote", output.GOOD) if node["has_vote"] else ("no vote", output.BAD)
    output.line(f"  node {node['node']}: ", vote, f": {node['because']}")


def _tie_breaker(cluster: dict[str, Any]) -> str:
    text = cluster["tie_breaker"]
    return f"node {text}" if text.isdigit() else text


def _details(node: dict[str, Any]) -> list[tuple[str, str]]:
    certificate = "with its cluster's certificate" if node["certificate_verified"] else "without a certificate"
    details = [
        ("address", f"{node['address']}, connected for {duration(node['connected_for_s'])}, last heard {node['last_heard_s']:.1f} s ago"),
        ("tls", f"on, {certificate}" if node["tls"] else "off"),
        ("membership", f"ring {node['ring_id']}, {_nodes(node['membership_list'])}"),
        ("configured", f"{_nodes(node['config_list'])}{_version(node)}"),
        ("heartbeat", _heartbeat(node)),
        ("last vote", _last_vote(node)),
    ]
    if node["heuristics"] != "undefined":
        details.append(("heuristics", node["heuristics"]))
    return details


def _heartbeat(node: dict[str, Any]) -> str:
    round_trip = "" if node["round_trip_s"] is None else f", round trip {1000 * node['round_trip_s']:.1f} ms"
    return f"{node['heartbeat_ms'] / 1000:g} s{round_trip}{', answered late' if node['answers_late'] else ''}"


def _last_vote(node: dict[str, Any]) -> str:
    last, counts = node["last_vote"], node["last_ack_or_nack"]
    return last or "none yet" if counts in (None, last) else f"{last}, {counts} before"


def _nodes(nodes: list[dict[str, Any]]) -> str:
    ids = listed(f"{node['node']} ({node['data_center']})" if "data_center" in node else node["node"] for node in nodes)
    return f"node {ids}" if len(nodes) == 1 else f"nodes {ids}"


def _version(node: dict[str, Any]) -> str:
    return "" if node["config_version"] is None else f", version {node['config_version']}"
