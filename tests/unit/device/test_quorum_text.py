from __future__ import annotations

import pytest

from thirdvote.device import quorum_text
from thirdvote.device.quorum_text import Member
from thirdvote.errors import UserError

HEAD = """\
Quorum information
------------------
Date:             Tue Nov 24 04:13:18 2026
Quorum provider:  corosync_votequorum
Nodes:            2
Node ID:          1
Ring ID:          1.9
Quorate:          Yes

Votequorum information
----------------------
Expected votes:   3
Highest expected: 3
Total votes:      3
Quorum:           2  \n\
Flags:            Quorate Qdevice

Membership information
----------------------
"""
DEVICE = """\
    Nodeid      Votes    Qdevice Name
         1          1    A,V,NMW n1 (local)
         2          1    A,V,NMW n2
         0          1            Qdevice
"""
PLAIN = """\
    Nodeid      Votes Name
         1          1 n1 (local)
         2          2 n2
"""


def test_with_a_device() -> None:
    quorum = quorum_text.read(HEAD + DEVICE)
    assert (quorum.node, quorum.quorate, quorum.expected_votes, quorum.total_votes, quorum.quorum) == (1, True, 3, 3, 2)
    assert quorum.members == {1: Member(1, "A,V,NMW"), 2: Member(1, "A,V,NMW")}
    assert (quorum.device_votes, quorum.node_votes, quorum.has_the_device_vote) == (1, 2, True)


def test_without_one() -> None:
    quorum = quorum_text.read(HEAD + PLAIN)
    assert quorum.members == {1: Member(1, None), 2: Member(2, None)}
    assert (quorum.device_votes, quorum.node_votes, quorum.has_the_device_vote) == (None, 3, False)


@pytest.mark.parametrize(
    "table",
    [
        DEVICE.replace("A,V,NMW n2", "     NR n2"),
        DEVICE.replace(" A,V,NMW n2", "A,NV,NMW n2"),
        DEVICE.replace(" A,V,NMW n1", "NA,V,NMW n1"),
        DEVICE.replace("0          1            Qdevice", "0          0            Qdevice (votes 1)"),
    ],
)
def test_a_device_that_does_not_vote_everywhere(table: str) -> None:
    assert not quorum_text.read(HEAD + table).has_the_device_vote


def test_blocked() -> None:
    text = HEAD.replace("Quorate:          Yes", "Quorate:          No").replace("2  \n", "2 Activity blocked\n")
    quorum = quorum_text.read(text + PLAIN)
    assert (quorum.quorate, quorum.quorum) == (False, 2)


def test_a_node_whose_name_looks_like_states() -> None:
    assert quorum_text.read(HEAD + PLAIN.replace("n2", "NRx")).members[2] == Member(2, None)


@pytest.mark.parametrize("text", ["", "x", HEAD.replace("Node ID", "Node"), HEAD.replace("Total votes:      3", "Total votes:      x")])
def test_something_else(text: str) -> None:
    with pytest.raises(UserError, match="does not show votes"):
        quorum_text.read(text)
