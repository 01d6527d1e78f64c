from __future__ import annotations

import syslog

import pytest

from thirdvote.net.syslog import SyslogWriter


def test_lines_keep_their_level_and_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[object, ...]] = []
    written: list[tuple[int, str]] = []
    monkeypatch.setattr(syslog, "openlog", lambda *arguments: opened.append(arguments))
    monkeypatch.setattr(syslog, "syslog", lambda priority, text: written.append((priority, text)))
    writer = SyslogWriter("corosync-qnetd")
    for line in ("<6>joined: node 1", "<4>é", "without a level"):
        writer.write(line)
    writer.close()
    assert opened == [("corosync-qnetd", syslog.LOG_PID, syslog.LOG_DAEMON)]
    assert written == [(syslog.LOG_INFO, "joined: node 1"), (syslog.LOG_WARNING, "é"), (syslog.LOG_INFO, "without a level")]
