from __future__ import annotations

import os
import pty
import signal
import sys
import threading

import pytest

from thirdvote.cli import device_work
from thirdvote.cli.device_work import Shared, confirmation, perform, shared
from thirdvote.device.steps import Interrupted, Interruption
from thirdvote.errors import UsageError, UserError


def test_ssh_may_have_options() -> None:
    assert shared(["n1"], "ssh -p 2022 -i '/a b'", True) == Shared(["n1"], ("ssh", "-p", "2022", "-i", "/a b"), True)
    for wrong in ("", "  ", "ssh '"):
        with pytest.raises(UsageError, match="is no command"):
            shared(None, wrong, False)


def test_nodes_are_done_by_hand_only_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thirdvote.cli.output.can_ask", lambda: False)
    with pytest.raises(UsageError, match="there is no terminal"):
        shared(None, "ssh", False, by_hand=True)
    assert shared(None, "ssh", True, by_hand=True).by_hand


def test_a_signal_while_it_is_looked_ends_it_as_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_at(host: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        raise Interrupted("interrupted")

    monkeypatch.setattr(device_work, "look", look_at)
    with pytest.raises(KeyboardInterrupt):
        perform(shared(["n1"], "ssh", False), lambda seen: None, lambda site, interruption: pytest.fail("nothing may be done"))


def test_somebody_says_that_it_is_done(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        threading.Timer(0.2, os.write, (ours, b"\n")).start()
        confirmation(Interruption())("done? ")
        assert capsys.readouterr().err == "done? "
        with pytest.raises(Interrupted):
            confirmation(Interruption(asked=True))("done? ")
    os.close(ours)


def test_nobody_is_there_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    os.close(theirs)
    with os.fdopen(ours) as ended:
        monkeypatch.setattr(sys, "stdin", ended)
        with pytest.raises(UserError, match="nobody is there"):
            confirmation(Interruption())("done? ")
