from __future__ import annotations

import pytest

from thirdvote.cli.completion import SHELLS
from thirdvote.cli.main import main


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_calls_us_back(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell], lambda settings, reload: None) == 0
    assert f"_THIRDVOTE_COMPLETE={shell}_complete" in capsys.readouterr().out
