"""corosync.conf with a device, and without one again.

Where there was `two_node: 1`, Corosync takes no device, so it becomes 0; a comment above the line remembers it, and only by that
comment does the way back make it 1 again: in a cluster without fencing it would let both nodes go on alone.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from thirdvote.device import corosync_conf as conf
from thirdvote.device.cluster import VERSION_MAX, VOTE_PORT, read
from thirdvote.device.corosync_conf import ConfError
from thirdvote.device.rules import FFSPLIT, LMS, Choice

TWO_NODE_REMEMBERED = "was 1 before thirdvote put the device in"
VERSION = "totem.config_version"
EXPECTED = "quorum.expected_votes"
TWO_NODE = "quorum.two_node"
DEVICE = "quorum.device"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A device. `timeout_ms` None: what is there, or Corosync's own."""

    host: str
    choice: Choice
    port: int = VOTE_PORT
    timeout_ms: int | None = None


def with_device(text: str, wanted: Wanted) -> str:
    """Heuristics, tie-breaker and other keys of a device that is there stay. ConfError."""
    before = read(text)
    had = 0 if before.device is None else _votes_of(text)
    edited = text
    if before.two_node:
        edited = conf.set_value(edited, TWO_NODE, "0")
        edited = conf.put_comment_before(edited, TWO_NODE, TWO_NODE_REMEMBERED)
    for key, value in _keys(wanted):
        edited = conf.remove_value(edited, f"{DEVICE}.{key}") if value is None else conf.set_value(edited, f"{DEVICE}.{key}", value)
    return _finished(edited, before.version, before.expected_votes, wanted.choice.votes - had)


def without_device(text: str) -> str:
    """ConfError, also when there is none."""
    before = read(text)
    if before.device is None:
        raise ConfError("corosync.conf has no device", "nothing is to be done")
    edited = conf.remove_section(text, DEVICE)
    if remembers_two_node(text):
        edited = conf.set_value(edited, TWO_NODE, "1")
        edited = conf.put_comment_before(edited, TWO_NODE, None)
    return _finished(edited, before.version, before.expected_votes, -_votes_of(text))


def remembers_two_node(text: str) -> bool:
    """`two_node: 1` comes back with the device's end: it was there before, and there still are two nodes."""
    return len(read(text).nodes) == 2 and conf.comment_before(text, TWO_NODE) == TWO_NODE_REMEMBERED


def with_version_after(text: str, latest: int | None) -> str:
    """An older text, made the newest: nodes and the cluster file system take a file only when its version is above theirs."""
    return text if latest is None else conf.set_value(text, VERSION, str(_next(latest)))


def difference(before: str, after: str, path: str) -> list[str]:
    """A unified diff, without line ends."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), path, f"{path} (new)", lineterm="")
    return list(lines)


def _keys(wanted: Wanted) -> list[tuple[str, str | None]]:
    choice = wanted.choice
    keys: list[tuple[str, str | None]] = [
        ("model", "net"),
        ("votes", str(choice.votes) if choice.writes_votes else None),
        ("net.tls", "on"),
        ("net.host", wanted.host),
        ("net.algorithm", choice.algorithm),
        ("net.port", None if wanted.port == VOTE_PORT else str(wanted.port)),
    ]
    return keys + ([("timeout", str(wanted.timeout_ms))] if wanted.timeout_ms is not None else [])


def _votes_of(text: str) -> int:
    """Of the device that is there; Corosync counts those of lms itself."""
    cluster = read(text)
    if cluster.device is None:
        return 0
    if cluster.device.votes is not None:
        return cluster.device.votes
    algorithm = conf.Document(text).value(f"{DEVICE}.net.algorithm")
    return cluster.node_votes - 1 if algorithm in (LMS, FFSPLIT, None) else 1


def _finished(edited: str, version: int | None, expected: int | None, more_votes: int) -> str:
    """expected_votes counts the device where it is written down at all: votequorum(5)."""
    if expected is not None and more_votes:
        edited = conf.set_value(edited, EXPECTED, str(expected + more_votes))
    if version is not None:
        edited = conf.set_value(edited, VERSION, str(_next(version)))
    read(edited)
    return edited


def _next(version: int) -> int:
    if version >= VERSION_MAX:
        raise ConfError(
            f"{VERSION} can not be raised any more: {version}", "set it to a smaller number on all nodes while corosync is stopped"
        )
    return version + 1
