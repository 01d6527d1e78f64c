"""The laboratory itself: what it cuts is cut, and nothing of it outlives its owner."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.lab.machine import Machine
from tests.e2e.lab.namespaces import CommandFailed
from tests.e2e.lab.network import Switch

pytestmark = pytest.mark.e2e

OWNER = """
import sys
from pathlib import Path
from tests.e2e.lab.machine import Machine
from tests.e2e.lab.network import Switch

switch = Switch()
machine = Machine(switch, "m1", 1, Path(sys.argv[1]))
machine.power_on()
program = machine.start("sleeper", "sh", "-c", "sleep 1000 & wait")
print(program.pid, machine.pid, switch.pid, flush=True)
sys.stdin.read()
"""

PROBE = """
import socket, sys
probe = socket.socket()
probe.settimeout(1.0)
try:
    probe.connect((sys.argv[1], 9))
except ConnectionRefusedError:
    print("heard")
except OSError:
    print("silence")
"""

END_SECONDS_MAX = 20


@pytest.fixture
def switch_and_machines(real_nodes: None, tmp_path: Path) -> Iterator[tuple[Switch, list[Machine]]]:
    with ExitStack() as stack:
        switch = Switch()
        stack.callback(switch.end)
        machines = [Machine(switch, f"m{number}", number, tmp_path / f"m{number}") for number in (1, 2, 3)]
        for machine in machines:
            stack.callback(machine.end)
            machine.power_on()
        yield switch, machines


def hears(machine: Machine, other: Machine) -> bool:
    """Nothing listens there: the other machine refuses, or nobody answers."""
    return machine.run(sys.executable, "-I", "-S", "-c", PROBE, other.address).strip() == "heard"


def test_a_partition_and_a_pulled_cable_are_silent(switch_and_machines: tuple[Switch, list[Machine]]) -> None:
    switch, (one, two, three) = switch_and_machines
    assert hears(one, two)
    switch.partition(["m1"], ["m2"])
    assert [hears(one, two), hears(two, one)] == [False, False]
    assert [hears(one, three), hears(two, three)] == [True, True]
    switch.partition(["m1", "m2"], ["m3"])
    assert [hears(one, two), hears(one, three)] == [True, False]
    switch.heal()
    switch.pull("m3")
    assert [hears(one, two), hears(one, three)] == [True, False]
    switch.heal()
    assert hears(one, three)


def test_a_machine_comes_back_with_its_disk_and_without_its_programs(switch_and_machines: tuple[Switch, list[Machine]]) -> None:
    _, (one, two, _) = switch_and_machines
    program = one.start("sleeper", "sleep", "1000")
    one.run("sh", "-c", "echo kept > /var/lib/corosync/file; echo lost > /run/file")
    one.power_off()
    assert not program.running
    assert not hears(two, one)
    one.power_on()
    assert one.run("cat", "/var/lib/corosync/file") == "kept\n"
    with pytest.raises(CommandFailed):
        one.run("cat", "/run/file")
    assert hears(two, one)


def test_signals_reach_the_program(switch_and_machines: tuple[Switch, list[Machine]]) -> None:
    _, (one, _, _) = switch_and_machines
    program = one.start("sleeper", "sleep", "1000")
    program.signal(signal.SIGSTOP)
    program.signal(signal.SIGCONT)
    assert program.running
    program.kill()
    assert program.wait() == -signal.SIGKILL
    ending = one.start("status", "sh", "-c", "exit 7")
    assert ending.wait() == 7


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_its_owner(real_nodes: None, tmp_path: Path, end: signal.Signals) -> None:
    root = Path(__file__).parents[2]
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with owner, ExitStack() as stack:
        assert owner.stdout is not None
        watched = [os.pidfd_open(int(pid)) for pid in owner.stdout.readline().split()]
        for descriptor in watched:
            stack.callback(os.close, descriptor)
        assert len(watched) == 3
        assert select.select(watched, [], [], 0)[0] == []
        owner.send_signal(end)
        for descriptor in watched:
            assert select.select([descriptor], [], [], END_SECONDS_MAX)[0] == [descriptor]
