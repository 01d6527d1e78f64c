from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.control_here import HISTORY, control_here
from thirdvote.cli import history as module
from thirdvote.cli.history import ALL, moment
from thirdvote.cli.main import main
from thirdvote.errors import UsageError

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def run(path: Path, *arguments: str) -> int:
    return main(["history", *arguments, "--control", str(path)], lambda settings, reload: None)


def test_what_is_asked(tmp_path: Path) -> None:
    with control_here(tmp_path / "c") as requests:
        run(tmp_path / "c")
        run(tmp_path / "c", "story", "--limit", "3")
        run(tmp_path / "c", "--since", "2026-11-25T12:00:00+01:00")
    assert requests == [
        {"command": "history", "limit": 100},
        {"command": "history", "limit": 3, "cluster": "story"},
        {"command": "history", "limit": ALL, "since": "2026-11-25T11:00:00+00:00"},
    ]


def test_a_cluster_that_is_not_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with control_here(tmp_path / "c"):
        assert run(tmp_path / "c", "sotry") == 0
        assert run(tmp_path / "c", "sotry", "--since", "1h") == 0
    assert capsys.readouterr().out == "nothing is known of sotry\nnothing is known of sotry since then\n"


def test_json_is_what_was_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with control_here(tmp_path / "c"):
        run(tmp_path / "c", "--json")
    assert json.loads(capsys.readouterr().out) == list(HISTORY)


def test_who_sees_a_part_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHOWN", 2)
    with control_here(tmp_path / "c"):
        run(tmp_path / "c")
        assert capsys.readouterr().err == "the last 2; more with --limit or --since\n"
        run(tmp_path / "c", "--limit", "2")
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("45s", NOW - timedelta(seconds=45)),
        ("45min", NOW - timedelta(minutes=45)),
        ("45m", NOW - timedelta(minutes=45)),
        ("2h", NOW - timedelta(hours=2)),
        ("3 d", NOW - timedelta(days=3)),
        ("1w", NOW - timedelta(weeks=1)),
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-24T10:30", datetime(2026, 11, 24, 10, 30, tzinfo=UTC)),
        ("2026-11-24 10:30:00+02:00", datetime(2026, 11, 24, 10, 30, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_since_when(text: str, expected: datetime) -> None:
    assert moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2y", "2.5h", "yesterday", "2026-13-01", "999999w"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="which is no time"):
        moment(text, NOW)


def test_a_limit_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--limit is 0, but must be at least 1"):
        run(tmp_path / "c", "--limit", "0")
