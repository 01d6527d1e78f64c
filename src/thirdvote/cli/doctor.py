"""`thirdvote doctor`: what can be wrong on an arbitrator, on a node and between them, with what to do about it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from thirdvote.cli import device_work, doctor_quick, output
from thirdvote.cli.options import CONTROL_OPTIONS, Command, as_json, given, settings_options
from thirdvote.cli.settings import control_path, load
from thirdvote.cli.words import counted
from thirdvote.device.host import shared_connections
from thirdvote.doctor import fix as doctor_fix
from thirdvote.doctor.examine import Examined, Wanted, examine
from thirdvote.doctor.findings import Finding, Level, worst
from thirdvote.doctor.fix import Done
from thirdvote.doctor.judge import judge
from thirdvote.errors import UsageError

STATUS = {Level.OK: 0, Level.NOTE: 0, Level.WARNING: 1, Level.FAILURE: 2}

STYLES = {Level.OK: output.GOOD, Level.NOTE: output.QUIET, Level.WARNING: output.ODD, Level.FAILURE: output.BAD}


@click.command(cls=Command)
@click.argument("nodes", metavar="[NODE...]", nargs=-1)
@click.option(
    "--as", "role", metavar="ROLE", type=click.Choice(["arbitrator", "node"]), help="look at this host as an arbitrator or as a node only"
)
@click.option("--here", is_flag=True, help="look at this host only, at no other node over ssh")
@click.option(
    "--ssh", metavar="COMMAND", default="ssh", help="the ssh command with its options that reaches the nodes as root (default ssh)"
)
@click.option("--fix", "fixes", is_flag=True, help="mend what can be mended without any risk, saying each, and look again")
@click.option("--quick", is_flag=True, help="only whether the arbitrator of this host answers, in one line: for a container's health check")
@settings_options(*CONTROL_OPTIONS)
@as_json()
def doctor(
    nodes: tuple[str, ...], role: str | None, here: bool, ssh: str, fixes: bool, quick: bool, wants_json: bool, **parameters: Any
) -> int:
    """check what can be wrong here, on the other nodes and between them, and say what to do

    This host may be an arbitrator, a node, or both: it finds out. With NODE... it looks at these over ssh, and at the arbitrator of this
    host if there is one. Nothing is changed without --fix. The exit status is 2 for a failure, 1 for a warning, else 0.
    """
    resolved = load(given(parameters))
    control = control_path(resolved)
    if quick:
        return doctor_quick.run(control)
    if nodes and (here or role == "node"):
        raise UsageError("NODE... are other hosts", "leave out --here and --as node, or the nodes")
    settings = resolved.settings
    if control != settings.control:  # it was found elsewhere, and so is its directory
        settings = replace(settings, control=control, data=str(Path(control).parent))
    wanted = Wanted(settings, role, nodes, not here, device_work.shared(None, ssh, dry_run=False).ssh, os.path.exists, os.geteuid() == 0)
    with shared_connections() as connections:
        examined = examine(wanted, connections)
        findings = judge(examined.facts)
        done = _mend(examined, findings, wants_json) if fixes else []
        if done:
            findings = judge(examine(wanted, connections).facts)
    if wants_json:
        _show_json(findings, done)
    else:
        _show(findings)
    return STATUS[worst(findings)]


def _mend(examined: Examined, findings: list[Finding], wants_json: bool) -> list[Done]:
    say = output.notice if wants_json else lambda text: output.line(f"mending: {text}")
    done = doctor_fix.fix(findings, examined.hosts, say)
    for each in done:
        if each.problem:
            output.warning(f"{each.where}: {each.command} failed: {each.problem}")
    return done


def _show(findings: list[Finding]) -> None:
    for finding in findings:
        level = finding.kind.level
        output.line((f"{level.word:<8}", STYLES[level]), f"{finding.where}: {finding.what} ", (f"[{finding.kind.id}]", output.QUIET))
        if level is Level.OK:
            continue
        rows = [(("seen", output.QUIET), finding.evidence)] if finding.evidence else []
        rows += [(("do" if not index else "", output.QUIET), command) for index, command in enumerate(finding.remedy)]
        output.columns(rows, indent=8)
    counts = [(level, sum(finding.kind.level is level for finding in findings)) for level in (Level.FAILURE, Level.WARNING, Level.NOTE)]
    told = ", ".join(counted(count, level.word) for level, count in counts if count)
    fixable = sum(bool(finding.fix) for finding in findings)
    mending = f"; --fix mends {fixable} of them" if fixable else ""
    output.line((told or "all well", STYLES[worst(findings)]), f"{mending}")


def _show_json(findings: list[Finding], done: list[Done]) -> None:
    output.structured(
        {
            "worst": worst(findings).word,
            "findings": [finding.as_json() for finding in findings],
            "fixed": [{"where": each.where, "command": each.command, "problem": each.problem} for each in done],
        }
    )
