"""What `--fix` does: only what findings carry as their fix, each said before it is done.

Nothing of it can take a vote or quorum from anybody: modes of files, daemons that are to run and do not, and Corosync's file read again
where neither nodes nor votes change by it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from thirdvote.device.host import Host
from thirdvote.doctor.findings import Finding
from thirdvote.errors import UserError

SAFE = (
    ("chmod",),
    ("systemctl", "start"),
    ("systemctl", "enable"),
    ("corosync-cfgtool", "-R"),
)
"""How a fix may begin; whatever else a finding should carry is not done."""


@dataclass(frozen=True, slots=True)
class Done:
    where: str
    command: str
    problem: str
    """Empty when it worked."""


def fix(findings: Sequence[Finding], hosts: Mapping[str, Host], say: Callable[[str], None]) -> list[Done]:
    """Each command once on each host."""
    wanted = dict.fromkeys((finding.where, finding.fix) for finding in findings if finding.fix)
    return [_do(hosts[where], command, say) for where, command in wanted if where in hosts and _is_safe(command)]


def _is_safe(command: Sequence[str]) -> bool:
    return any(tuple(command[: len(begin)]) == begin for begin in SAFE)


def _do(host: Host, command: Sequence[str], say: Callable[[str], None]) -> Done:
    shown = shlex.join(command)
    say(f"{host.name}: {shown}")
    try:
        ended = host.run(*command)
    except UserError as error:
        return Done(host.name, shown, str(error))
    return Done(host.name, shown, ended.last_words if ended.status else "")
