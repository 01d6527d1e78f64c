from __future__ import annotations

from pathlib import Path

import pytest

from tests.doctor_here import RootHost
from tests.nodes_here import nodes_here
from thirdvote.device.host import NOT_FOUND, Ended, LocalHost
from thirdvote.doctor import batch
from thirdvote.errors import UserError


def test_each_command_has_its_own_end() -> None:
    found = batch.run(
        LocalHost("n1"), {"a": ("echo", "it's", "two\nlines"), "b": ("sh", "-c", "echo odd >&2; exit 3"), "c": ("no-such-one",)}
    )
    assert (found["a"].status, found["a"].text) == (0, "it's two\nlines\n")
    assert (found["b"].status, found["b"].last_words) == (3, "odd")
    assert found["c"].status == NOT_FOUND


def test_one_that_hangs_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "COMMAND_S", 0.2)
    found = batch.run(LocalHost("n1"), {"a": ("sleep", "60"), "b": ("echo", "x")})
    assert (found["a"].status, found["b"].text) == (batch.TIMED_OUT, "x\n")


def test_nothing_is_read_from_whoever_runs_it() -> None:
    assert batch.run(LocalHost("n1"), {"a": ("cat",)})["a"] == Ended(0, b"\n", "")


def test_a_shell_that_does_not_come_to_the_end(tmp_path: Path) -> None:
    host = RootHost(tmp_path, sh="exit 1")
    assert batch.run(host, {"a": ("true",)})["a"].status == NOT_FOUND


def test_a_host_that_is_not_reached(tmp_path: Path) -> None:
    host = nodes_here(tmp_path, "").hosts[0]
    host.fails = {"unreachable"}
    with pytest.raises(UserError, match="can not be reached"):
        batch.run(host, {"a": ("true",)})
