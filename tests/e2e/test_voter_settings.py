"""What a running voter takes over on SIGHUP, seen in what it says of a cluster."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.voter_process import voter_process


def test_settings_of_one_cluster_are_taken_over(tmp_path: Path) -> None:
    file = tmp_path / "thirdvote.toml"
    file.write_text('[clusters.web]\nhandover = "stock"\n')
    with voter_process(tmp_path, "--tls", "off", "--config", str(file)) as voter, voter.node() as web, voter.node() as db:
        web.join(b"web", 1)
        db.join(b"db", 1)
        assert {name: cluster["handover"] for name, cluster in voter.clusters().items()} == {"web": "stock", "db": "safe"}

        file.write_text('handover = "fast"\nlate-answers = "off"\n[clusters.web]\ntimeout = 5\n')
        voter.kill(signal.SIGHUP)
        line = voter.wait_for_log("error", "reload")
        assert "clusters.\"web\".timeout is '5', but must be milliseconds" in line
        assert voter.clusters()["db"]["handover"] == "safe"

        file.write_text('handover = "fast"\nlate-answers = "off"\n[clusters.web]\ntimeout = 1000\n')
        voter.kill(signal.SIGHUP)
        assert voter.wait_for_log("info", "reload").endswith("changed: handover, late-answers, clusters")
        assert {name: cluster["handover"] for name, cluster in voter.clusters().items()} == {"web": "fast", "db": "fast"}


def test_a_token_timeout_that_was_not_told_before_counts_at_once(tmp_path: Path) -> None:
    file = tmp_path / "thirdvote.toml"
    file.write_text("")
    with voter_process(tmp_path, "--tls", "off", "--config", str(file)) as voter, voter.node() as node:
        node.join(b"web", 1)
        before = voter.clusters()["web"]["bounds"]["handover_s"]
        file.write_text("[clusters.web]\ntoken = 200000\n")
        voter.kill(signal.SIGHUP)
        voter.wait_for_log("info", "reload")
        assert voter.clusters()["web"]["bounds"]["handover_s"] >= before + 200
