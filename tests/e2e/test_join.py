"""`thirdvote join` on a real node: from no device to all votes, without SSH on the arbitrator, and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.lab.joining import JoiningLab, joining_lab

pytestmark = pytest.mark.e2e


def test_two_nodes_join_and_leave(real_nodes: None, tmp_path: Path) -> None:
    with joining_lab(tmp_path) as lab:
        before = [node.conf for node in lab.nodes]
        status, output = lab.join(lab.token())
        assert status == 0, f"{output}\n{lab.evidence()}"
        print(output)
        for node in lab.nodes:
            quorum = node.quorum
            assert (quorum.total_votes, quorum.expected_votes, quorum.quorate, quorum.has_the_device_vote) == (3, 3, True, True)
        status, output = lab.remove()
        print(output)
        assert status == 0, f"{output}\n{lab.evidence()}"
