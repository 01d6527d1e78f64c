from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from thirdvote.cli.main import main
from thirdvote.config import Settings
from thirdvote.config_options import OPTIONS
from thirdvote.errors import UsageError


def test_it_starts_the_voter(tmp_path: Path) -> None:
    seen = []

    def start(settings: Settings, reload: Callable[[], Settings]) -> None:
        seen.append(settings)

    assert main(["serve", "--listen", "127.0.0.1:7000", "--data", str(tmp_path)], start) == 0
    assert [(settings.listen_host, settings.listen_port, settings.data) for settings in seen] == [("127.0.0.1", 7000, str(tmp_path))]


def test_a_bad_value_starts_nothing() -> None:
    with pytest.raises(UsageError, match="--tls is 'x'"):
        main(["serve", "--tls", "x"], lambda settings, reload: pytest.fail("started"))


def test_help_has_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    main(["serve", "--help"], lambda settings, reload: None)
    shown = capsys.readouterr().out
    assert [option.name for option in OPTIONS if f"--{option.name} {option.metavar}" not in shown] == []
