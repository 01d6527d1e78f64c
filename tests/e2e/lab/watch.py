"""What the nodes of a cluster report, change by change, and how long two sides had quorum at once."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.e2e.lab.machine import Machine
from tests.e2e.lab.namespaces import only_child

OVERLAP_RESOLUTION_SECONDS = 0.1
"""Corosync tells two machines at two moments, and their monitors wait for a processor: a shorter overlap cannot be told from none."""

MONITOR = Path(__file__).with_name("monitor.py")


@dataclass(frozen=True)
class State:
    """What a node reports. Without corosync it reports nothing, which is this state's default."""

    quorate: bool = False
    members: frozenset[int] = frozenset()
    ring: frozenset[int] = frozenset()
    total_votes: int = 0
    expected_votes: int = 0
    device: bool = False
    cast: bool = False

    @property
    def alone_quorate(self) -> bool:
        return self.quorate and len(self.members) == 1

    def after(self, event: Mapping[str, Any]) -> State:
        """`event` is a line of the monitor."""
        match event["kind"]:
            case "quorum":
                return replace(self, quorate=event["quorate"], members=frozenset(event["members"]))
            case "ring":
                return replace(self, ring=frozenset(event["members"]))
            case "votes":
                votes = replace(self, total_votes=event["total"], expected_votes=event["expected"])
                return replace(votes, device=event["device"], cast=event["cast"])
            case _:
                return State()

    def __str__(self) -> str:
        quorum = f"{'quorate' if self.quorate else 'no quorum'} in {sorted(self.members)}"
        return (
            f"{quorum}, ring {sorted(self.ring)}, votes {self.total_votes}/{self.expected_votes}{' with the device' if self.cast else ''}"
        )


@dataclass(frozen=True)
class Change:
    """`at` in seconds of CLOCK_MONOTONIC, as time.monotonic() has them."""

    at: float
    node: int
    state: State

    def __str__(self) -> str:
        return f"{self.at:.3f} node {self.node}: {self.state}"


Condition = Callable[[Mapping[int, State]], bool]


class Watch:
    """Reads the monitors of all nodes. The times are the monitors', so it does not matter when they are read."""

    def __init__(self) -> None:
        self.now: dict[int, State] = {}
        self._changes: list[Change] = []
        self._monitors: dict[int, _Monitor] = {}
        self._selector = selectors.DefaultSelector()

    def add(self, node: int, machine: Machine) -> None:
        """From a machine's power-on to its power-off."""
        assert node not in self._monitors
        monitor = _Monitor(machine)
        self._monitors[node] = monitor
        self._selector.register(monitor.descriptor, selectors.EVENT_READ, node)
        self._note(Change(time.monotonic(), node, State()))

    def remove(self, node: int) -> None:
        """The machine has lost its power: from now on it reports nothing."""
        self._take(node)
        monitor = self._monitors.pop(node)
        self._selector.unregister(monitor.descriptor)
        monitor.close()
        self._note(Change(time.monotonic(), node, State()))

    def wait(self, condition: Condition, seconds: float, what: str) -> float:
        """Reads on until the condition holds, and returns the time from which it does (or now, if it does already)."""
        self.read()
        if condition(self.now):
            return time.monotonic()
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                held = [change.at for change in self._read(key.data) if condition(self.now)]
                if held:
                    return held[0]
                self._monitors[key.data].expect_running()
        raise AssertionError(f"not within {seconds} s: {what}\n" + "\n".join(map(str, self._changes[-40:])))

    def stays(self, condition: Condition, seconds: float, what: str) -> None:
        """The condition holds now, and after every change within the time."""
        self.read()
        assert condition(self.now), f"{what}: {self.shown()}"
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                for change in self._read(key.data):
                    assert condition(self.now), f"{what}, until {change}"
                self._monitors[key.data].expect_running()

    def shown(self) -> str:
        return "; ".join(f"node {node}: {state}" for node, state in sorted(self.now.items()))

    def read(self) -> None:
        """Everything the monitors have said so far."""
        for node in list(self._monitors):
            self._take(node)

    def changes(self, since: float = 0.0) -> list[Change]:
        """In order of time. The state that each node had at `since` comes first."""
        self.read()
        ordered = sorted(self._changes, key=lambda change: change.at)
        before = {change.node: replace(change, at=since) for change in ordered if change.at < since}
        return [*before.values(), *(change for change in ordered if change.at >= since)]

    def overlap(self, since: float) -> float:
        """The longest overlap from `since` to now, in seconds."""
        return max((end - start for start, end in overlaps(self.changes(since), time.monotonic())), default=0.0)

    def lost_quorum(self, node: int, since: float) -> list[Change]:
        return [change for change in self.changes(since) if change.node == node and not change.state.quorate]

    def end(self) -> None:
        for node in list(self._monitors):
            self.remove(node)
        self._selector.close()

    def _take(self, node: int) -> None:
        for _ in self._read(node):
            pass

    def _read(self, node: int) -> Iterator[Change]:
        """One change after the other is in `now` when it is handed out."""
        for event in self._monitors[node].events():
            change = Change(event["at"], node, self.now.get(node, State()).after(event))
            self._note(change)
            yield change

    def _note(self, change: Change) -> None:
        self.now[change.node] = change.state
        self._changes.append(change)


def overlaps(changes: Iterable[Change], end: float) -> list[tuple[float, float]]:
    """Stretches of time in which a node was quorate in a ring without another node while that other still reported quorum.

    `changes` in order of time; the last state lasts until `end`.
    """
    now: dict[int, State] = {}
    stretches: list[tuple[float, float]] = []
    start: float | None = None
    for change in changes:
        now[change.node] = change.state
        both = _two_sides_quorate(now)
        if both and start is None:
            start = change.at
        elif not both and start is not None:
            stretches.append((start, change.at))
            start = None
    return stretches if start is None else [*stretches, (start, end)]


def _two_sides_quorate(now: Mapping[int, State]) -> bool:
    quorate = {node: state for node, state in now.items() if state.quorate}
    return any(
        other not in state.members and not (other in state.ring and node in quorate[other].ring)  # they have found each other again
        for node, state in quorate.items()
        for other in quorate
    )


class _Monitor:
    """The monitor on one machine, and what it has written so far."""

    def __init__(self, machine: Machine) -> None:
        self._process = subprocess.Popen(
            machine.command(sys.executable, "-I", "-S", MONITOR),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=dict(machine.environment()),
            start_new_session=True,
        )
        self._pid = only_child(self._process)
        assert self._process.stdout is not None
        self.descriptor = self._process.stdout.fileno()
        os.set_blocking(self.descriptor, False)
        self._partial = b""

    def events(self) -> list[dict[str, Any]]:
        with suppress(BlockingIOError):
            while chunk := os.read(self.descriptor, 65536):
                self._partial += chunk
        *lines, self._partial = self._partial.split(b"\n")
        return [json.loads(line) for line in lines]

    def expect_running(self) -> None:
        assert self._process.poll() is None, f"the monitor ended with status {self._process.returncode}"

    def close(self) -> None:
        if self._pid is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):  # it has ended with its machine, and nsenter does not know yet
                os.kill(self._pid, signal.SIGKILL)
        self._process.communicate()
