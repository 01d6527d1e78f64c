"""Prints when corosync on this machine tells its services that they have quorum or not: one JSON object a line.

A program of its own, for the machine's namespaces; it needs only the standard library, libquorum and libvotequorum. Corosync calls
back, so a change is seen within a millisecond or two; that it still is what was told last is asked for now and then, as a call
back at the very start of a node has been missed. It waits for corosync to start, and again after its end.

kind    fields besides `at`, seconds of CLOCK_MONOTONIC, the same on all machines of a lab
quorum  quorate, members: what services act on; stays as it was while a membership change is going on; asked: it was not called back
ring    members: corosync has formed a ring, before quorum is decided in it
votes   total, expected, quorum, device, cast: numbers of votes; the device is registered; it gives its vote to this node
gone    corosync does not run (any more)
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

CS_OK = 1
TRACK_CURRENT_AND_CHANGES = 1 | 2
DISPATCH_ALL = 2
QUORUM_MODEL_V1 = 1
QDEVICE_REGISTERED = 64
QDEVICE_CAST_VOTE = 256

RETRY_SECONDS = 0.05
"""Between attempts to reach corosync, and between looks at the numbers of votes, for which it has no call back."""


ASK_SECONDS = 0.5
"""Between questions whether corosync has quorum. An answer that differs from the last call back counts when it comes twice."""


class RingId(ctypes.Structure):
    _fields_ = (("node", ctypes.c_uint32), ("sequence", ctypes.c_uint64))


class Info(ctypes.Structure):
    """struct votequorum_info."""

    _fields_ = (
        *(
            (name, ctypes.c_uint)
            for name in ("node", "state", "votes", "node_expected", "expected", "total", "quorum", "flags", "device_votes")
        ),
        ("device_name", ctypes.c_char * 255),
    )


Members = ctypes.POINTER(ctypes.c_uint32)
QuorumCallback = ctypes.CFUNCTYPE(None, ctypes.c_uint64, ctypes.c_uint32, RingId, ctypes.c_uint32, Members)
NodesCallback = ctypes.CFUNCTYPE(
    None, ctypes.c_uint64, RingId, ctypes.c_uint32, Members, ctypes.c_uint32, Members, ctypes.c_uint32, Members
)


class ModelData(ctypes.Structure):
    """quorum_model_v1_data_t."""

    _fields_ = (("model", ctypes.c_int), ("quorum", QuorumCallback), ("nodes", NodesCallback))


def say(kind: str, **fields: object) -> None:
    line = json.dumps({"at": time.monotonic(), "kind": kind, **fields})
    os.write(1, f"{line}\n".encode())  # one write a line: several threads say something


class Told:
    """What was said last of quorum and of the ring, and how often the answer has differed since."""

    quorate = False
    members: ClassVar[list[int]] = []
    ring: ClassVar[list[int]] = []
    differs = 0


def on_quorum(_handle: int, quorate: int, _ring: RingId, count: int, members: Any) -> None:
    Told.quorate, Told.members, Told.differs = bool(quorate), sorted(members[:count]), 0
    say("quorum", quorate=Told.quorate, members=Told.members)


def on_nodes(_handle: int, _ring: RingId, count: int, members: Any, *_joined_and_left: Any) -> None:
    Told.ring = sorted(members[:count])
    say("ring", members=Told.ring)


def follow_quorum(library: ctypes.CDLL, data: ModelData) -> None:
    """Returns when corosync has gone, or is not there."""
    handle, kind, descriptor = ctypes.c_uint64(), ctypes.c_uint32(), ctypes.c_int()
    if library.quorum_model_initialize(ctypes.byref(handle), QUORUM_MODEL_V1, ctypes.byref(data), ctypes.byref(kind), None) != CS_OK:
        return
    try:
        if library.quorum_trackstart(handle, TRACK_CURRENT_AND_CHANGES) != CS_OK:
            return
        library.quorum_fd_get(handle, ctypes.byref(descriptor))
        while library.quorum_dispatch(handle, DISPATCH_ALL) == CS_OK:
            select.select([descriptor.value], [], [])
    finally:
        library.quorum_finalize(handle)
    Told.quorate, Told.members, Told.ring, Told.differs = False, [], [], 0
    say("gone")


def follow_answers(library: ctypes.CDLL, data: ModelData) -> None:
    """Returns when corosync has gone, or is not there. A question may be stuck in one that ends: it has a connection of its own."""
    handle, kind, quorate = ctypes.c_uint64(), ctypes.c_uint32(), ctypes.c_int()
    if library.quorum_model_initialize(ctypes.byref(handle), QUORUM_MODEL_V1, ctypes.byref(data), ctypes.byref(kind), None) != CS_OK:
        return
    try:
        while library.quorum_getquorate(handle, ctypes.byref(quorate)) == CS_OK:
            compare(bool(quorate.value))
            time.sleep(ASK_SECONDS)
    finally:
        library.quorum_finalize(handle)


def compare(quorate: bool) -> None:
    if not Told.ring or quorate == Told.quorate:
        Told.differs = 0
        return
    Told.differs += 1
    if Told.differs == 2:
        Told.quorate, Told.members, Told.differs = quorate, Told.ring, 0
        say("quorum", quorate=quorate, members=Told.members, asked=True)


def follow_votes(library: ctypes.CDLL) -> None:
    """Returns when corosync has gone, or is not there."""
    handle, info = ctypes.c_uint64(), Info()
    if library.votequorum_initialize(ctypes.byref(handle), None) != CS_OK:
        return
    last: dict[str, object] = {}
    try:
        while library.votequorum_getinfo(handle, 0, ctypes.byref(info)) == CS_OK:
            votes = {
                "total": info.total,
                "expected": info.expected,
                "quorum": info.quorum,
                "device": bool(info.flags & QDEVICE_REGISTERED),
                "cast": bool(info.flags & QDEVICE_CAST_VOTE),
            }
            if votes != last:
                say("votes", **votes)
                last = votes
            time.sleep(RETRY_SECONDS)
    finally:
        library.votequorum_finalize(handle)


def again_and_again(follow: Callable[[], None]) -> None:
    while True:
        follow()
        time.sleep(RETRY_SECONDS)


def libraries() -> tuple[ctypes.CDLL, ctypes.CDLL]:
    quorum, votequorum = ctypes.CDLL("libquorum.so.5"), ctypes.CDLL("libvotequorum.so.8")
    handle = ctypes.c_uint64
    quorum.quorum_trackstart.argtypes = (handle, ctypes.c_uint)
    quorum.quorum_fd_get.argtypes = (handle, ctypes.POINTER(ctypes.c_int))
    quorum.quorum_dispatch.argtypes = (handle, ctypes.c_int)
    quorum.quorum_finalize.argtypes = (handle,)
    quorum.quorum_getquorate.argtypes = (handle, ctypes.POINTER(ctypes.c_int))
    votequorum.votequorum_getinfo.argtypes = (handle, ctypes.c_uint, ctypes.POINTER(Info))
    votequorum.votequorum_finalize.argtypes = (handle,)
    return quorum, votequorum


def main() -> None:
    quorum, votequorum = libraries()
    data = ModelData(QUORUM_MODEL_V1, QuorumCallback(on_quorum), NodesCallback(on_nodes))
    for follow in (lambda: follow_votes(votequorum), lambda: follow_answers(quorum, data)):
        threading.Thread(target=again_and_again, args=(follow,), daemon=True).start()
    again_and_again(lambda: follow_quorum(quorum, data))


if __name__ == "__main__":
    main()
