"""What a start makes of certificates that end soon, and what it says of them."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.certificates import request
from tests.voter_process import VoterProcess
from thirdvote.pki import files, issue, material, paths, rollover, store
from thirdvote.pki.paths import Folder

pytestmark = pytest.mark.e2e

NOW = datetime.now(UTC)
SOON = NOW + timedelta(days=30)


def _authority_until(end: datetime, folder: Folder) -> issue.Authority:
    key = issue.new_key()
    authority = issue.new_authority(key, end - issue.VALIDITY)
    files.make_folder(folder.path)
    rollover.write_key(folder.authority_key, key, "key")
    rollover.write_certificates(folder.authority, [authority.certificate], "authority")
    return authority


def test_what_ends_soon_is_in_the_log_and_in_the_status(tmp_path: Path) -> None:
    voter = VoterProcess(tmp_path)
    _authority_until(SOON, paths.folder_in(voter.data))
    store.ensure(voter.data)
    store.sign(voter.data, request("web"), "web")
    voter.start()
    try:
        authority = voter.wait_for_log("warning", "certificate", "ca.crt expires on")
        assert "thirdvote ca renew --authority" in authority
        voter.wait_for_log("warning", "certificate", 'cluster "web"', "enrol it anew")
        command = [sys.executable, "-m", "thirdvote", "status", "--control", str(voter.control_path)]
        shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
        assert f"ca.crt expires on {SOON:%Y-%m-%d}" in shown
        assert f"the certificate of 'web' expires on {SOON:%Y-%m-%d}: enrol it anew" in shown
        assert [warned["cluster"] for warned in voter.status()["certificates"]["warnings"]] == [None, None, "web"]
    finally:
        voter.stop()


def test_a_server_certificate_that_ends_soon_is_renewed_at_the_start(tmp_path: Path) -> None:
    voter = VoterProcess(tmp_path)
    folder = paths.folder_in(voter.data)
    store.ensure(voter.data)
    authority = store.load_authority(voter.data)
    shorter = issue.Authority(issue.new_authority(authority.key, SOON - issue.VALIDITY).certificate, authority.key)
    key = material.read_key(folder.server_key, "key")
    rollover.write_certificates(folder.server, [issue.server_certificate(key.public_key(), shorter, NOW)], "server")
    voter.start()
    try:
        voter.wait_for_log("info", "certificate", "the server certificate was renewed")
        facts = voter.status()["certificates"]
        assert (facts["server"]["valid_until"], facts["warnings"]) == (facts["authority"]["valid_until"], [])
    finally:
        voter.stop()
