"""The moments of a node's echoes, for faults that have to come at a certain one."""

from __future__ import annotations

import time
from pathlib import Path

from tests.e2e.lab.arbitrator import OwnNames
from tests.e2e.lab.faults import Scene
from thirdvote.control_client import ControlClient


def echo_due(scene: Scene, node: int, heartbeats: int = 1) -> float:
    """When the node's next echo is due that is at least its `heartbeats`-th, in seconds of CLOCK_MONOTONIC."""
    arbitrator = scene.cluster.arbitrator
    assert isinstance(arbitrator, OwnNames), "corosync-qnetd-tool does not tell"
    control = Path(f"/proc/{arbitrator.pid}/root", "var/lib/thirdvote/control.sock")
    with ControlClient(control) as client:  # a command takes too long to start
        (shown,) = client.request({"command": "snapshot"})["snapshot"]["clusters"]
        now = time.monotonic()
    (connected_s,) = (float(each["connected_for_s"]) for each in shown["nodes"] if each["node"] == node)
    joined = now - connected_s
    count = max(heartbeats, int(connected_s / scene.heartbeat_s) + 1)
    return joined + count * scene.heartbeat_s


def sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
