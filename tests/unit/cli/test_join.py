from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.corosync_confs import PROXMOX, with_nodes
from tests.nodes_here import nodes_here
from thirdvote.cli.join import first_look, join
from thirdvote.device.join import Options
from thirdvote.device.site import look
from thirdvote.errors import UsageError, UserError
from thirdvote.join_url import JoinUrl, Token

URL = JoinUrl("10.0.0.9", 5443, Token(bytes(8), bytes(16), bytes(32))).text


def run(*arguments: str) -> None:
    join.main(list(arguments), standalone_mode=False)


def test_half_a_url() -> None:
    with pytest.raises(UserError, match="no token, or not all of it"):
        run(URL[:-3])


def test_only_for_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    with pytest.raises(UserError, match="only root") as refused:
        run(URL)
    assert refused.value.hint == "run it with sudo"


def test_a_host_that_is_no_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "/nothing")
    with pytest.raises(UserError, match="this host is no cluster node"):
        run(URL)


def test_by_hand_needs_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="there is no terminal"):
        run(URL, "--by-hand")


def test_what_one_node_shows_already_is_refused_before_the_others_are_asked(tmp_path: Path) -> None:
    here = nodes_here(tmp_path, PROXMOX)
    first_look(Options("10.0.0.9"))(look(here.hosts[0]))
    here.members([1])
    with pytest.raises(UserError, match="pve2 is missing"):
        first_look(Options("10.0.0.9"))(look(here.hosts[0]))
    here.hosts[0].path("/etc/corosync/corosync.conf").write_text(with_nodes(PROXMOX, 3))
    with pytest.raises(UserError, match="is odd"):
        first_look(Options("10.0.0.9"))(look(here.hosts[0]))
    with pytest.raises(UserError, match="timeout"):
        first_look(Options("10.0.0.9", timeout_ms=1))(look(here.hosts[0]))
