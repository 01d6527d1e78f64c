"""What `corosync-quorumtool -s` says of the cluster as this node sees it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from thirdvote.errors import UserError

_FIELD = re.compile(r"^([A-Z][\w ]*):[ \t]+(.*?)[ \t]*$", re.MULTILINE)
_MEMBER = re.compile(r"^ *(\d+) +(\d+) +(.*?)[ \t]*$", re.MULTILINE)
_MEMBERS = "Membership information"
_STATES = re.compile(r"^(?:NR|N?A,N?V,N?MW)$")

DEVICE = 0
"""Stands for the node id of the device in the list of members."""


@dataclass(frozen=True, slots=True)
class Member:
    votes: int
    device: str | None
    """NR, or three flags as in `A,V,NMW`; None where no member has a device."""


@dataclass(frozen=True, slots=True)
class Quorum:
    node: int
    quorate: bool
    expected_votes: int
    total_votes: int
    quorum: int
    members: dict[int, Member]
    """By node id; without the device."""
    device_votes: int | None
    """What the device gives to this node now; None when it is not registered anywhere."""

    @property
    def node_votes(self) -> int:
        """Of the members, without the device's."""
        return sum(member.votes for member in self.members.values())

    @property
    def has_the_device_vote(self) -> bool:
        """All members have their device alive, and this one its vote."""
        states = [member.device for member in self.members.values()]
        return bool(self.device_votes) and all(state is not None and state.startswith("A,V,") for state in states)


def read(text: str) -> Quorum:
    """UserError when this is not its output."""
    head, _, tail = text.partition(_MEMBERS)
    fields = {match[1]: match[2] for match in _FIELD.finditer(head)}
    try:
        members = {int(match[1]): _member(match) for match in _MEMBER.finditer(tail)}
        device = members.pop(DEVICE, None)
        return Quorum(
            node=int(fields["Node ID"]),
            quorate=fields["Quorate"] == "Yes",
            expected_votes=int(fields["Expected votes"]),
            total_votes=int(fields["Total votes"]),
            quorum=int(fields["Quorum"].split()[0]),
            members=members,
            device_votes=None if device is None else device.votes,
        )
    except (KeyError, ValueError, IndexError):
        hint = "see what it says: corosync-quorumtool -s; the quorum provider has to be corosync_votequorum"
        raise UserError("corosync-quorumtool does not show votes", hint) from None


def _member(match: re.Match[str]) -> Member:
    first = match[3].split(" ")[0]
    return Member(int(match[2]), first if _STATES.match(first) else None)
