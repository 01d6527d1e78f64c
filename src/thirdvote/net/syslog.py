"""The log of a daemon that has no standard error: the system's log, in the facility for daemons."""

from __future__ import annotations

import re
import syslog

from thirdvote.net.log import LineWriter

_LINE = re.compile(r"<(?P<priority>[0-7])>(?P<text>.*)")


class SyslogWriter(LineWriter):
    """Takes lines in the form of the journal, whose numbers for levels are those of syslog."""

    def __init__(self, identity: str) -> None:
        syslog.openlog(identity, syslog.LOG_PID, syslog.LOG_DAEMON)
        super().__init__(-1)

    def _write(self, data: bytes) -> None:
        for line in data.decode("utf-8", "replace").splitlines():
            found = _LINE.fullmatch(line)
            priority = int(found["priority"]) if found else syslog.LOG_INFO
            syslog.syslog(priority, found["text"] if found else line)
