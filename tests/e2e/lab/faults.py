"""What can happen to a cluster and its arbitrator, and what the nodes then report: for the tests and for `make bench-handover`.

A fault is a function that brings it about and returns when it did, with what has to come of it. Before it, the cluster is whole.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.e2e.lab.arbitrator import Arbitrator
from tests.e2e.lab.cluster import Cluster
from tests.e2e.lab.node import Node
from tests.e2e.lab.settings import Settings
from tests.e2e.lab.watch import Change, State, Watch

SETTLED_SECONDS_MAX = 90
"""Corosync waits 30 s for a device that does not answer in a change of membership; its own detection comes before it."""

AFTERMATH_SECONDS = 2.0
"""For which the outcome has to stay as it is."""

ARBITRATOR = "arbitrator"


@dataclass(frozen=True)
class Scene:
    """A cluster in which a fault happens. The moments are random, so a run is one of many; `seed` names it in the evidence."""

    cluster: Cluster[Arbitrator]
    random: random.Random
    steps: list[tuple[float, str]] = field(default_factory=list)

    def note(self, step: str) -> None:
        """For the evidence."""
        self.steps.append((time.monotonic(), step))

    @property
    def heartbeat_s(self) -> float:
        return heartbeat_s(self.cluster.settings)

    @property
    def detection_s(self) -> float:
        """The token's timeout, then the time to agree on a new ring, 1.2 times as long."""
        return 2.2 * self.cluster.settings.token_ms / 1000

    def node(self, number: int) -> Node:
        return self.cluster.node(number)

    def pause(self, shortest: float, longest: float) -> None:
        time.sleep(self.random.uniform(shortest, longest))

    def part(self, *sides: tuple[int, ...]) -> None:
        """Splits the nodes; each of them still hears the arbitrator."""
        self.cluster.switch.partition(*([f"n{number}" for number in side] for side in sides))

    def isolate(self, *numbers: int) -> None:
        """These nodes hear nobody but each other."""
        others = [node.name for node in self.cluster.nodes if node.number not in numbers]
        self.cluster.switch.partition([f"n{number}" for number in numbers], [*others, ARBITRATOR])

    def wait_side(self, *numbers: int) -> None:
        side = frozenset(numbers)
        self.cluster.watch.wait(lambda now: only_side(now, side), SETTLED_SECONDS_MAX, f"only nodes {sorted(side)} have quorum")


@dataclass(frozen=True)
class Fault:
    """`happen` returns the time of the fault, in seconds of CLOCK_MONOTONIC. `winners` have quorum together in the end and nobody else
    has; None where it may be either side. `keeps`: the winners lose no quorum from the fault on.
    """

    name: str
    happen: Callable[[Scene], float]
    winners: frozenset[int] | None
    keeps: bool = False


@dataclass(frozen=True)
class Outcome:
    """Seconds. `start`, by the clock of the changes, is before the first step of the fault. `detected_s`: from the fault until corosync
    has formed the winners' ring, None where it had formed it before; `handover_s`: from the fault until they have quorum in it.
    `lost`: when one of the winners had no quorum after the fault. `gave_up_s`: for each of the others, from the fault until it
    reported no quorum.
    """

    start: float
    winners: frozenset[int]
    detected_s: float | None
    handover_s: float
    overlap_s: float
    lost: tuple[Change, ...]
    gave_up_s: Mapping[int, float]
    evidence: str = field(repr=False)


def fault_name(fault: Fault) -> str:
    return fault.name


def heartbeat_s(settings: Settings) -> float:
    """Which a stock device takes from quorum.device.timeout."""
    return min(120.0, max(1.0, 0.8 * (settings.timeout_ms or 10_000) / 1000))


def only_side(now: Mapping[int, State], side: frozenset[int]) -> bool:
    """Exactly these have quorum, in a ring of their own."""
    return all((state.quorate and state.members == side) if node in side else not state.quorate for node, state in now.items())


def some_side(now: Mapping[int, State]) -> frozenset[int] | None:
    """One that is not all of the nodes."""
    side = frozenset(node for node, state in now.items() if state.quorate)
    return side if side and side != now.keys() and only_side(now, side) else None


def observe(cluster: Cluster[Arbitrator], fault: Fault, seed: int, pause_s: tuple[float, float]) -> Outcome:
    """Lets it happen after a pause of between these two, and waits until the nodes have made the best of it."""
    watch = cluster.watch
    scene = Scene(cluster, random.Random(seed))
    scene.pause(*pause_s)
    start = time.monotonic()
    at = fault.happen(scene)
    wanted = fault.winners

    def settled(now: Mapping[int, State]) -> bool:
        return some_side(now) is not None if wanted is None else only_side(now, wanted)

    _wait_until_it_lasts(watch, settled, f"{fault.name}: quorum for {'one side' if wanted is None else sorted(wanted)} and nobody else")
    winners = wanted or some_side(watch.now)
    assert winners is not None
    since = watch.changes(at)
    return Outcome(
        start,
        winners,
        _first(since, at, lambda now: all(now[node].ring == winners for node in winners)),
        _first(since, at, lambda now: all(now[node].quorate and now[node].members == winners for node in winners)) or 0.0,
        watch.overlap(start),
        tuple(change for node in sorted(winners) for change in watch.lost_quorum(node, at)),
        {node: watch.lost_quorum(node, at)[0].at - at for node in watch.now if node not in winners},
        "\n".join([f"{fault.name}, seed {seed}", *_story(watch.changes(start), [*scene.steps, (at, "the fault")])]),
    )


def _wait_until_it_lasts(watch: Watch, settled: Callable[[Mapping[int, State]], bool], what: str) -> None:
    deadline = time.monotonic() + SETTLED_SECONDS_MAX
    while True:
        watch.wait(settled, deadline - time.monotonic(), what)
        time.sleep(AFTERMATH_SECONDS)
        watch.read()
        if settled(watch.now):
            return


def _story(changes: list[Change], steps: list[tuple[float, str]]) -> list[str]:
    lines = [(change.at, str(change)) for change in changes] + [(at, f"{at:.3f} --- {step}") for at, step in steps]
    return [line for _, line in sorted(lines)]


def _first(changes: list[Change], at: float, condition: Callable[[Mapping[int, State]], bool]) -> float | None:
    """From `at` until the condition holds for good; None if it does from the first."""
    now: dict[int, State] = {}
    held: float | None = None
    for change in changes:
        now[change.node] = change.state
        whole = len(now) == len({each.node for each in changes})
        holds = whole and condition(now)
        held = (held or change.at) if holds else None
    return None if held is None or held <= at else held - at


def cable_pulled(number: int) -> Callable[[Scene], float]:
    def happen(scene: Scene) -> float:
        at = time.monotonic()
        scene.cluster.switch.pull(f"n{number}")
        return at

    return happen


def isolated(*numbers: int) -> Callable[[Scene], float]:
    def happen(scene: Scene) -> float:
        at = time.monotonic()
        scene.isolate(*numbers)
        return at

    return happen


def isolated_then_apart(*numbers: int) -> Callable[[Scene], float]:
    """These nodes hear nobody but each other, and later, while they may not have given up their arbitrator yet, not even that."""

    def happen(scene: Scene) -> float:
        at = time.monotonic()
        scene.isolate(*numbers)
        scene.pause(0.5 * scene.detection_s, scene.detection_s + 2 * scene.heartbeat_s)
        others = [node.name for node in scene.cluster.nodes if node.number not in numbers]
        scene.cluster.switch.partition([*others, ARBITRATOR], *([f"n{number}"] for number in numbers))
        return at

    return happen


def power_cut(*numbers: int) -> Callable[[Scene], float]:
    def happen(scene: Scene) -> float:
        at = time.monotonic()
        for number in numbers:
            scene.cluster.cut_power(scene.node(number))
        return at

    return happen


def split(*sides: tuple[int, ...]) -> Callable[[Scene], float]:
    def happen(scene: Scene) -> float:
        at = time.monotonic()
        scene.part(*sides)
        return at

    return happen


def one_way(sender: int, receiver: int) -> Callable[[Scene], float]:
    """What one node sends to the other is lost, nothing else is."""

    def happen(scene: Scene) -> float:
        at = time.monotonic()
        scene.cluster.switch.partition(lost=[(f"n{sender}", f"n{receiver}")])
        return at

    return happen


def after_split(then: Callable[[Scene], None], winners: tuple[int, ...] = (1,), losers: tuple[int, ...] = (2,)) -> Callable[[Scene], float]:
    """`then` happens at any moment after a split has given the vote to `winners`."""

    def happen(scene: Scene) -> float:
        scene.part(winners, losers)
        scene.wait_side(*winners)
        scene.pause(0.2, 0.2 + scene.heartbeat_s)
        at = time.monotonic()
        then(scene)
        return at

    return happen


def silence(*numbers: int) -> Callable[[Scene], None]:
    return lambda scene: scene.isolate(*numbers)


def requests_lost(scene: Scene) -> None:
    """The arbitrator hears nothing of node 1, which hears it."""
    scene.cluster.switch.partition(["n1"], ["n2"], lost=[("n1", ARBITRATOR)])


def replies_lost(scene: Scene) -> None:
    """Node 1 hears nothing of the arbitrator, which hears it."""
    scene.cluster.switch.partition(["n1"], ["n2"], lost=[(ARBITRATOR, "n1")])


def kill_daemon(number: int) -> Callable[[Scene], None]:
    def then(scene: Scene) -> None:
        daemon = scene.node(number).qdevice
        assert daemon is not None
        daemon.kill()

    return then


def restart_daemon(number: int) -> Callable[[Scene], None]:
    """Killed, and started again as systemd does."""

    def then(scene: Scene) -> None:
        kill_daemon(number)(scene)
        scene.node(number).start_qdevice()

    return then


def hang_daemon(number: int) -> Callable[[Scene], None]:
    def then(scene: Scene) -> None:
        daemon = scene.node(number).qdevice
        assert daemon is not None
        daemon.signal(signal.SIGSTOP)

    return then


def daemon_killed_then_split(scene: Scene) -> float:
    kill_daemon(1)(scene)
    scene.pause(0.5, 1.5)
    at = time.monotonic()
    scene.part((1,), (2,))
    return at


def split_then_daemon(then: Callable[[Scene], None]) -> Callable[[Scene], float]:
    """Just before corosync has seen the split."""

    def happen(scene: Scene) -> float:
        at = time.monotonic()
        scene.part((1,), (2,))
        scene.pause(0.25 * scene.detection_s, 0.95 * scene.detection_s)
        then(scene)
        return at

    return happen


def daemon_hangs_then_split(scene: Scene) -> float:
    hang_daemon(1)(scene)
    scene.pause(0.0, 1.0)
    at = time.monotonic()
    scene.part((1,), (2,))
    return at


def isolated_and_hung(scene: Scene) -> float:
    hang_daemon(1)(scene)
    at = time.monotonic()
    scene.isolate(1)
    return at


def path_cut_then_isolated(number: int) -> Callable[[Scene], float]:
    """The node has no arbitrator for so long that its device has given up, and tries again; then it loses the other node too."""

    def happen(scene: Scene) -> float:
        scene.cluster.switch.partition([f"n{number}"], [ARBITRATOR])
        scene.pause(2.2 * scene.heartbeat_s, 4 * scene.heartbeat_s)
        at = time.monotonic()
        scene.isolate(number)
        return at

    return happen


def arbitrator_reset(scene: Scene) -> None:
    """Its host starts again without a word to anybody, and the side without the vote reaches it first."""
    arbitrator = scene.cluster.arbitrator
    arbitrator.power_off()
    scene.isolate(1)
    arbitrator.power_on()
    arbitrator.start_server()
    scene.pause(2.0, 4.0)
    scene.part((1,), (2,))


def arbitrator_killed(scene: Scene) -> None:
    """Its sockets are closed, so both nodes come back at moments of their own."""
    server = scene.cluster.arbitrator.server
    assert server is not None
    server.kill()
    scene.cluster.arbitrator.start_server()


def arbitrator_stopped(seconds: float) -> Callable[[Scene], None]:
    def then(scene: Scene) -> None:
        server = scene.cluster.arbitrator.server
        assert server is not None
        server.signal(signal.SIGSTOP)
        time.sleep(seconds)
        server.signal(signal.SIGCONT)

    return then


def vote_returns_in_a_split(scene: Scene) -> float:
    """Corosync has lost its token already when the nodes get their votes back, so what they tell of it waits for the new ring."""
    server = scene.cluster.arbitrator.server
    assert server is not None
    server.kill()
    at = time.monotonic()
    scene.part((1,), (2,))
    scene.cluster.arbitrator.start_server()
    return at


def shut_down(number: int) -> Callable[[Scene], float]:
    """In the order of a system's shutdown: the device, then corosync."""

    def happen(scene: Scene) -> float:
        node = scene.node(number)
        assert node.corosync is not None
        at = time.monotonic()
        node.stop_qdevice()
        node.corosync.stop()
        return at

    return happen


def while_whole(then: Callable[[Scene], None]) -> Callable[[Scene], float]:
    """`then` happens to a healthy cluster, which has all its votes again at the end of it."""

    def happen(scene: Scene) -> float:
        at = time.monotonic()
        then(scene)
        scene.cluster.wait_all_votes()
        return at

    return happen


def arbitrator_ended(scene: Scene) -> None:
    """In order, and started again."""
    scene.cluster.arbitrator.stop_server()
    scene.cluster.arbitrator.start_server()


def arbitrator_without_power(scene: Scene) -> None:
    """For as long as it takes the nodes to notice."""
    scene.cluster.arbitrator.power_off()
    scene.pause(0.5 * scene.heartbeat_s, 2.5 * scene.heartbeat_s)
    scene.cluster.arbitrator.power_on()
    scene.cluster.arbitrator.start_server()


def paths_cut(*numbers: int) -> Callable[[Scene], None]:
    """Between these nodes and the arbitrator, for as long as it takes to notice."""

    def then(scene: Scene) -> None:
        scene.cluster.switch.partition([f"n{number}" for number in numbers], [ARBITRATOR])
        scene.pause(1.5 * scene.heartbeat_s, 2.5 * scene.heartbeat_s)
        scene.cluster.switch.heal()

    return then


LOWER, UPPER, EITHER = frozenset({1}), frozenset({2}), None

TWO_NODES = (
    Fault("node 1 isolated (cable)", cable_pulled(1), UPPER),
    Fault("node 2 isolated (packets dropped)", isolated(2), LOWER),
    Fault("node 1 without power", power_cut(1), UPPER),
    Fault("node 2 without power", power_cut(2), LOWER),
    Fault("split", split((1,), (2,)), LOWER),
    Fault("split, then the holder's path is silent", after_split(silence(1)), UPPER),
    Fault("split, then the holder's daemon is killed", after_split(kill_daemon(1)), UPPER),
    Fault("split, then the holder's daemon is killed and starts again", after_split(restart_daemon(1)), EITHER),
    Fault("split, then the holder's daemon hangs", after_split(hang_daemon(1)), UPPER),
    Fault("daemon killed, then split", daemon_killed_then_split, UPPER),
    Fault("split, and the daemon is killed before corosync sees it", split_then_daemon(kill_daemon(1)), UPPER),
    Fault("split, and the daemon hangs before corosync sees it", split_then_daemon(hang_daemon(1)), UPPER),
    Fault("daemon hangs, then split", daemon_hangs_then_split, UPPER),
    Fault("node 1 long without arbitrator, then isolated", path_cut_then_isolated(1), UPPER),
    Fault("node 2 long without arbitrator, then isolated", path_cut_then_isolated(2), LOWER),
    Fault("node 2 does not hear node 1", one_way(1, 2), LOWER),
    Fault("node 1 does not hear node 2", one_way(2, 1), LOWER),
    Fault("node 2 shuts down", shut_down(2), LOWER, keeps=True),
)

UNREACHABLE_AND_HUNG = Fault("node 1 isolated, and its daemon hangs", isolated_and_hung, UPPER)
"""No server can tell such a node from one without power: not promised."""

ARBITRATORS = (
    Fault("the arbitrator restarts just as the nodes split", vote_returns_in_a_split, EITHER),
    Fault("split, then the arbitrator's host is reset", after_split(arbitrator_reset), EITHER),
    Fault("split, then the arbitrator is killed", after_split(arbitrator_killed), EITHER),
    Fault("split, then the arbitrator stops for 5 s", after_split(arbitrator_stopped(5)), EITHER),
    Fault("split, then the holder's requests are lost", after_split(requests_lost), UPPER),
    Fault("split, then the holder hears no reply", after_split(replies_lost), UPPER),
)

HEALTHY = tuple(
    Fault(name, while_whole(then), frozenset({1, 2}), keeps=True)
    for name, then in (
        ("the arbitrator ends and starts again", arbitrator_ended),
        ("the arbitrator is killed and starts again", arbitrator_killed),
        ("the arbitrator has no power for a while", arbitrator_without_power),
        ("the arbitrator stops for 5 s", arbitrator_stopped(5)),
        ("node 1 does not reach the arbitrator", paths_cut(1)),
        ("no node reaches the arbitrator", paths_cut(1, 2)),
        ("a daemon is killed and starts again", restart_daemon(1)),
    )
)

THREE_NODES_LMS = (
    Fault("node 3 isolated", isolated(3), frozenset({1, 2}), keeps=True),
    Fault("node 1 isolated (cable)", cable_pulled(1), frozenset({2, 3}), keeps=True),
    Fault("two nodes isolated together", isolated(1, 2), frozenset({3})),
    Fault("two nodes isolated together, then from each other", isolated_then_apart(1, 2), frozenset({3})),
    Fault("split 1 : 2", split((1,), (2, 3)), frozenset({2, 3})),
    Fault("split 1 : 1 : 1", split((1,), (2,), (3,)), LOWER),
    Fault("split 1 : 2, then the holders' path is silent", after_split(silence(2, 3), (2, 3), (1,)), LOWER),
)

FIRST_HALF, SECOND_HALF = frozenset({1, 2}), frozenset({3, 4})

FOUR_NODES = (
    Fault("node 4 isolated", isolated(4), frozenset({1, 2, 3}), keeps=True),
    Fault("nodes 3 and 4 isolated together", isolated(3, 4), FIRST_HALF),
    Fault("nodes 1 and 2 isolated together", isolated(1, 2), SECOND_HALF),
    Fault("nodes 1 and 2 isolated together, then from each other", isolated_then_apart(1, 2), SECOND_HALF),
    Fault("nodes 3 and 4 isolated together, then from each other", isolated_then_apart(3, 4), FIRST_HALF),
    Fault("nodes 1 and 2 without power", power_cut(1, 2), SECOND_HALF),
    Fault("split 2 : 2", split((1, 2), (3, 4)), FIRST_HALF),
    Fault("split 2 : 2, then the holders' path is silent", after_split(silence(1, 2), (1, 2), (3, 4)), SECOND_HALF),
    Fault("split 1 : 1 : 2", split((1,), (2,), (3, 4)), SECOND_HALF),
)
