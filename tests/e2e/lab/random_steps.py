"""Faults in orders that nobody has thought of: a few random steps, then everything is repaired and the cluster has to be whole again."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from tests.e2e.lab.faults import ARBITRATOR, Fault, Scene, kill_daemon

STEPS_MAX = 5


def random_steps(scene: Scene) -> float:
    """Steps at random moments, of which the evidence tells."""
    at = time.monotonic()
    left_out = scene.random.choice((HANGS, CUTS))
    names = [name for name in STEPS if name not in left_out]
    for _ in range(scene.random.randint(2, STEPS_MAX)):
        name = scene.random.choice(names)
        scene.note(name)
        STEPS[name](scene)
        scene.pause(0.0, scene.random.choice((1.0, 3.0, 2.5 * scene.heartbeat_s)))
    scene.note("everything is repaired")
    scene.cluster.restore()
    time.sleep(scene.detection_s)  # a break that was short is noticed after its repair
    scene.cluster.wait_all_votes()
    return at


def _number(scene: Scene) -> int:
    return scene.random.choice(scene.cluster.nodes).number


def _split(scene: Scene) -> None:
    numbers = [node.number for node in scene.cluster.nodes]
    cut = scene.random.randrange(1, len(numbers))
    scene.random.shuffle(numbers)
    scene.part(tuple(numbers[:cut]), tuple(numbers[cut:]))


def _pull_cable(scene: Scene) -> None:
    node = scene.node(_number(scene))
    if node.on:
        scene.cluster.switch.pull(node.name)


def _lose_one_direction(scene: Scene) -> None:
    ports = [*(node.name for node in scene.cluster.nodes), ARBITRATOR]
    sender, receiver = scene.random.sample(ports, 2)
    scene.cluster.switch.partition(lost=[(sender, receiver)])


def _cut_power(scene: Scene) -> None:
    node = scene.node(_number(scene))
    if node.on:
        scene.cluster.cut_power(node)


def _power_on(scene: Scene) -> None:
    for node in scene.cluster.nodes:
        if not node.on:
            scene.cluster.start_node(node)


def _kill_daemon(scene: Scene) -> None:
    number = _number(scene)
    daemon = scene.node(number).qdevice
    if daemon is not None and not daemon.stopped:
        kill_daemon(number)(scene)


def _start_daemons(scene: Scene) -> None:
    for node in scene.cluster.nodes:
        if node.corosync is not None and node.corosync.running and node.qdevice is not None and not node.qdevice.running:
            node.start_qdevice()


def _hang_daemon(scene: Scene) -> None:
    daemon = scene.node(_number(scene)).qdevice
    if daemon is not None:
        daemon.signal(signal.SIGSTOP)


def _wake_daemons(scene: Scene) -> None:
    for node in scene.cluster.nodes:
        if node.qdevice is not None and node.qdevice.stopped:
            node.qdevice.signal(signal.SIGCONT)


def _restart_arbitrator(how: signal.Signals) -> Callable[[Scene], None]:
    def step(scene: Scene) -> None:
        arbitrator = scene.cluster.arbitrator
        if arbitrator.server is not None:
            arbitrator.server.signal(how)
            arbitrator.server.wait()
            arbitrator.start_server()

    return step


def _reset_arbitrator(scene: Scene) -> None:
    scene.cluster.arbitrator.power_off()
    scene.cluster.arbitrator.power_on()
    scene.pause(0.0, scene.heartbeat_s)
    scene.cluster.arbitrator.start_server()


def _stop_arbitrator(scene: Scene) -> None:
    server = scene.cluster.arbitrator.server
    assert server is not None
    server.signal(signal.SIGSTOP)
    scene.pause(0.5, scene.heartbeat_s)
    server.signal(signal.SIGCONT)


STEPS: dict[str, Callable[[Scene], None]] = {
    "the nodes are split": _split,
    "the nodes are split (again)": _split,
    "a node is isolated": lambda scene: scene.isolate(_number(scene)),
    "a cable is pulled": _pull_cable,
    "a node loses the path to the arbitrator": lambda scene: scene.cluster.switch.partition([f"n{_number(scene)}"], [ARBITRATOR]),
    "one direction is lost": _lose_one_direction,
    "the network is whole": lambda scene: scene.cluster.switch.heal(),
    "a node loses its power": _cut_power,
    "power is back": _power_on,
    "a daemon is killed": _kill_daemon,
    "killed daemons start": _start_daemons,
    "a daemon hangs": _hang_daemon,
    "hung daemons go on": _wake_daemons,
    "the arbitrator ends and starts": _restart_arbitrator(signal.SIGTERM),
    "the arbitrator is killed and starts": _restart_arbitrator(signal.SIGKILL),
    "the arbitrator's host is reset": _reset_arbitrator,
    "the arbitrator stops for a while": _stop_arbitrator,
}

HANGS = frozenset({"a daemon hangs", "hung daemons go on"})
CUTS = frozenset({"a node is isolated", "a cable is pulled", "a node loses the path to the arbitrator", "one direction is lost"})
"""Not in one run: a daemon that hangs on a host that the arbitrator does not reach is not promised to be told from a host without power."""


def random_fault(number: int, nodes: int = 2) -> Fault:
    return Fault(f"random steps {number}", random_steps, frozenset(range(1, nodes + 1)))
