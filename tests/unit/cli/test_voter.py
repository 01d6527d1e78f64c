from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from thirdvote.cli.voter import run
from thirdvote.config import Settings
from thirdvote.domain import TlsSupport
from thirdvote.errors import UsageError


def test_it_starts_with_the_settings_and_can_read_them_again(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("log-level = 'info'")
    seen = []

    def start(settings: Settings, reload: Callable[[], Settings]) -> None:
        file.write_text("log-level = 'debug'")
        seen.extend([settings, reload()])

    assert run({"tls": "off", "config": str(file)}, start) == 0
    assert [(settings.tls, settings.log_level) for settings in seen] == [
        (TlsSupport.UNSUPPORTED, "info"),
        (TlsSupport.UNSUPPORTED, "debug"),
    ]


def test_what_does_not_fit_starts_nothing() -> None:
    with pytest.raises(UsageError):
        run({"tls": "maybe"}, lambda settings, reload: pytest.fail("started"))


def test_the_voter_is_started_without_what_only_people_need() -> None:
    """Its memory is what was ever loaded: no command line library, no tables, no cryptography."""
    code = (
        "import sys; from thirdvote.__main__ import dispatch; import thirdvote.app\n"
        "thirdvote.app.serve = lambda settings, reload: None\n"
        "assert dispatch('thirdvote', ['serve', '--tls', 'off']) == 0\n"
        "print(*sorted({'click', 'rich', 'cryptography', 'typing_extensions'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert ran.stdout.strip() == ""
