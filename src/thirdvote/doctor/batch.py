"""Many short commands on a host in one go: over ssh each of its own would cost a round trip and a shell."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping, Sequence

from thirdvote.device.host import NOT_FOUND, Ended, Host

COMMAND_S = 10
"""For one program that only has to ask a daemon."""

TIMED_OUT = 124
"""The status of timeout(1) when it was needed."""

_ONE = """\
said=$(timeout {limit} {command} 2>&1 < /dev/null); printf '%s %s %s\\n%s\\n' {mark} {name} "$?" "$said"
"""


def run(host: Host, commands: Mapping[str, Sequence[str]]) -> dict[str, Ended]:
    """By their names, which are plain words; with what they say on standard error. UserError when the host is not reached."""
    mark = secrets.token_hex(16)
    script = "".join(_ONE.format(limit=COMMAND_S, command=shlex.join(command), mark=mark, name=name) for name, command in commands.items())
    said = host.run("sh", "-c", f"LC_ALL=C; export LC_ALL\n{script}").text
    found = dict.fromkeys(commands, Ended(NOT_FOUND, b"", "it was not run"))
    for part in said.split(f"{mark} ")[1:]:
        head, _, text = part.partition("\n")
        name, _, status = head.partition(" ")
        if name in found and status.isdigit():
            found[name] = Ended(int(status), text.encode("utf-8", "surrogateescape"), "")
    return found
