"""`thirdvote status`: the running arbitrator in a few lines, and what needs a person."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from thirdvote.cli import output
from thirdvote.cli.options import CONTROL_OPTIONS, Command, as_json, control_client, settings_options
from thirdvote.cli.words import counted, duration, named

NEARLY_FULL = 0.9
"""Share of the connections that are possible, from which a person should know."""

SHOWN_MAX = 20
"""Problems in the list for people; JSON has them all."""


@click.command(cls=Command)
@settings_options(*CONTROL_OPTIONS)
@as_json()
def status(wants_json: bool, **parameters: Any) -> int:
    """show what the running arbitrator does, and what is wrong"""
    with control_client(parameters) as client:
        found = client.request({"command": "status"})["status"]
        clusters = client.request({"command": "snapshot"})["snapshot"]["clusters"]
    problems = problems_of(found, clusters)
    if wants_json:
        output.structured({**found, "problems": problems})
        return output.OK
    output.columns([((name, output.STRONG), text) for name, text in _lines(found)])
    if clusters or problems:
        _show_problems(problems)
    else:
        output.line("no cluster is connected yet")
    return output.OK


def _lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    certificates = {True: "client certificates required", False: "no client certificates"}[found["client_certificate"]]
    tls = "no TLS" if found["tls"] == "off" else f"TLS {found['tls']}, {certificates}"
    waiting = found["connections_before_init"]
    joined = found["connections"] - waiting
    connected = f"{counted(joined, 'node')} in {counted(found['clusters'], 'cluster')}"
    arriving = f", {counted(waiting, 'connection')} not in a cluster yet" if waiting else ""
    lines = [
        ("running", f"thirdvote {found['version']} for {duration(found['uptime_s'])}, since {_local(found['started_at'])}"),
        ("process", str(found["pid"])),
        ("listening", f"{found['listen']}, {tls}"),
        ("connected", f"{connected}{arriving}, room for {found['connections_max']} in all"),
        ("handover", found["handover"]),
        ("data", found["data"]),
        ("ledger", _ledger(found["ledger"])),
    ]
    if found.get("enrolment") is not None:
        lines.append(("enrolment", _enrolment(found["enrolment"])))
    if found["test_algorithm"]:
        lines.append(("algorithms", "test is served: in such a cluster every partition has the vote"))
    return lines


def _ledger(ledger: dict[str, Any]) -> str:
    """What is wrong with it is a problem, and is told there."""
    if ledger["state"] != "ok":
        return f"{ledger['path']}, can not be written"
    past = "" if ledger["past_complete"] else ", not complete at the last start"
    return f"{ledger['path']}, {counted(ledger['records'], 'record')}{past}"


def _enrolment(enrolment: dict[str, Any]) -> str:
    """That it does not run is a problem, and is told there."""
    if enrolment["pid"] is None:
        return "does not run"
    always = "a window is open all the time (enroll-always); " if enrolment["always"] else ""
    return f"{always}`thirdvote enroll status` shows who may come in"


def _local(time: str) -> str:
    return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def problems_of(found: dict[str, Any], clusters: list[dict[str, Any]]) -> list[str]:
    """One sentence each."""
    problems = [problem for cluster in clusters for problem in _problems_of_cluster(cluster)]
    if found["connections"] >= NEARLY_FULL * found["connections_max"]:
        problems.insert(0, f"{found['connections']} of {found['connections_max']} possible connections are in use")
    if found["history"]["problem"]:
        problems.insert(0, f"the history is not written: {found['history']['problem']}")
    problems += [warned["text"] for warned in found["certificates"]["warnings"]]
    enrolment = found.get("enrolment")
    if enrolment is not None and enrolment["pid"] is None:
        problems.insert(0, "the enrolment does not run, so no node can be let in: the log says why; it is started again by itself")
    ledger = found["ledger"]
    if ledger["state"] != "ok":
        hint = f" (hint: {ledger['hint']})" if ledger["hint"] else ""
        problems.insert(0, f"no vote is given that needs a new record: {ledger['problem']}{hint}")
    return problems


def _problems_of_cluster(cluster: dict[str, Any]) -> list[str]:
    name = named(cluster["name"])
    waiting = [f"{name}: the vote waits {cluster['waiting']}"] if cluster["waiting"] else []
    missing = [f"{name}: node {node} is not connected" for node in cluster["missing"]]
    lacking = [node for node in cluster["nodes"] if not node["has_vote"] and not (waiting and cluster["waiting"] in node["because"])]
    without = [f"{name}: node {node['node']} has no vote: {node['because']}" for node in lacking]
    return waiting + missing + without


def _show_problems(problems: list[str]) -> None:
    if not problems:
        output.line(("all well: every node is connected and has the vote", output.GOOD))
        return
    output.line()
    output.line((f"{counted(len(problems), 'problem')}:", f"{output.STRONG} {output.ODD}"))
    for problem in problems[:SHOWN_MAX]:
        output.line(f"  - {problem}")
    if len(problems) > SHOWN_MAX:
        output.line(f"  and {len(problems) - SHOWN_MAX} more; `thirdvote clusters` has them all")
