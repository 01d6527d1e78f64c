from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.control_here import EVENTS, control_here
from thirdvote.cli.main import main
from thirdvote.cli.watch import show
from thirdvote.errors import UserError


def test_it_asks_for_what_was_said_and_shows_what_comes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with control_here(tmp_path / "c") as requests, pytest.raises(UserError, match="has closed the control socket"):
        main(["watch", "pve", "--level", "debug", "--json", "--control", str(tmp_path / "c")], lambda settings, reload: None)
    assert requests == [{"level": "debug", "cluster": "pve", "command": "subscribe"}]
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == list(EVENTS)


def test_an_event_without_a_time_has_the_present_one(capsys: pytest.CaptureFixture[str]) -> None:
    show({"level": "info", "event": "joined", "cluster": "pve", "node": 2, "address": "192.0.2.2:1", "text": "joined"})
    time, rest = capsys.readouterr().out.split("  ", 1)
    assert len(time) == len("22:30:01")
    assert rest == "pve node 2: joined\n"
