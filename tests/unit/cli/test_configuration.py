from __future__ import annotations

import json
from pathlib import Path

import pytest

from thirdvote.cli.main import main
from thirdvote.config_options import BY_NAME, LIMIT_NAMES


def test_json_has_all_with_where_it_comes_from(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "f.toml"
    file.write_text('[limits]\nclusters = 5\n[clusters.pve]\nhandover = "stock"')
    monkeypatch.setenv("THIRDVOTE_LOG_LEVEL", "debug")
    assert main(["config", "--json", "--tls", "on", "--config", str(file)], lambda settings, reload: None) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == {*BY_NAME, "limits", "clusters"}
    assert found["tls"] == {"value": "on", "from": "flag"}
    assert found["log-level"] == {"value": "debug", "from": "environment THIRDVOTE_LOG_LEVEL"}
    assert found["limits"].keys() == LIMIT_NAMES.keys()
    assert found["limits"]["clusters"] == {"value": 5, "from": f"file {file}"}
    assert found["clusters"] == {"pve": {"handover": {"value": "stock", "from": f"file {file}"}}}


def test_only_limits_that_were_set_are_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THIRDVOTE_LIMITS_DEAD_PEER_ENABLED", "off")
    main(["config"], lambda settings, reload: None)
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [words for words in shown if words[0].startswith("limits.")] == [
        ["limits.dead-peer-enabled", "off", "environment", "THIRDVOTE_LIMITS_DEAD_PEER_ENABLED"]
    ]
