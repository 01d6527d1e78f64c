"""The daemons of a node, and its vote -> findings: above all why a device does not vote."""

from __future__ import annotations

from collections.abc import Iterator

from thirdvote.device.services import UNIT
from thirdvote.doctor import judge_conf
from thirdvote.doctor.device_text import CONNECTED, Device
from thirdvote.doctor.facts import Node, Unit
from thirdvote.doctor.findings import Finding, Kind

INSTALL = "apt-get install corosync-qdevice   # dnf or zypper install corosync-qdevice on others"
NOT_REGISTERED = "NR"

_RESTART = f"systemctl restart {UNIT}"
_LOG = f"journalctl -u {UNIT} -n 20"


def judge(node: Node) -> Iterator[Finding]:
    yield from _programs(node)
    if node.quorum is None:
        yield from _without_corosync(node)
    else:
        yield from _membership(node)
        yield from device(node)
        yield from _fellows(node)
    if node.clock_synchronized is False:
        what = "the clock is not synchronized: certificates have dates, and logs of several hosts are compared by it"
        yield Finding(Kind.CLOCK_NOT_SYNCHRONIZED, node.where, what, "timedatectl", ("timedatectl set-ntp true",))


def _programs(node: Node) -> Iterator[Finding]:
    if node.missing_programs:
        names = ", ".join(node.missing_programs)
        yield Finding(Kind.PROGRAM_MISSING, node.where, f"{names} is not installed", "command -v", (INSTALL,))
    for unit in node.units:
        if unit.is_active and not unit.is_enabled and (unit.name != UNIT or _has_device(node)):
            command = ("systemctl", "enable", unit.name)
            what = f"{unit.name} runs and is not started at the next boot"
            fix = command if unit.name == UNIT else ()
            yield Finding(Kind.UNIT_NOT_ENABLED, node.where, what, f"systemctl is-enabled {unit.name}", (" ".join(command),), fix)


def _without_corosync(node: Node) -> Iterator[Finding]:
    if "corosync-quorumtool" in node.missing_programs:
        return
    if node.quorum_hangs:
        what = "corosync does not answer: it hangs, or gets no processor time"
        remedy = ("systemctl status corosync", "journalctl -u corosync -n 20")
        yield Finding(Kind.COROSYNC_HANGS, node.where, what, "corosync-quorumtool -s", remedy)
    else:
        remedy = ("systemctl start corosync", "journalctl -u corosync -n 20")
        yield Finding(Kind.COROSYNC_NOT_RUNNING, node.where, "corosync does not run", node.quorum_problem, remedy)


def _membership(node: Node) -> Iterator[Finding]:
    quorum = node.quorum
    assert quorum is not None
    if not quorum.quorate:
        evidence = f"{quorum.total_votes} of {quorum.expected_votes} votes, {quorum.quorum} are needed"
        yield Finding(Kind.NOT_QUORATE, node.where, "this node has no quorum: it stops its services", evidence, ("corosync-quorumtool -s",))
    document = judge_conf.read(node)
    section = document.section("nodelist") if document is not None else None
    nodes = {int(number): each for each in section.named("node") if (number := each.value("nodeid") or "").isdigit()} if section else {}
    missing = [each.value("name") or f"node {number}" for number, each in nodes.items() if number not in quorum.members]
    if missing:
        what = f"corosync here does not see {', '.join(missing)}: it is off, or the network between the nodes is cut"
        yield Finding(Kind.NODES_MISSING, node.where, what, "corosync-quorumtool -s", ("corosync-cfgtool -n",))


def device(node: Node) -> Iterator[Finding]:
    """The rows of "a device that does not vote", by the flags of Corosync and what the daemon says of itself."""
    assert node.quorum is not None
    if not _has_device(node):
        return
    own = node.quorum.members.get(node.quorum.node)
    flags = own.device if own is not None else None
    if node.device is not None:
        yield from _talking(node, node.device, flags)
    elif node.device_hangs:
        what = "corosync-qdevice hangs: corosync stops counting its vote after quorum.device.timeout"
        yield Finding(Kind.DEVICE_HANGS, node.where, what, _evidence(flags, "corosync-qdevice-tool -s does not end"), (_RESTART, _LOG))
    elif "corosync-qdevice" not in node.missing_programs:
        yield _silent(node, flags)
    if (uses := node.device) is not None and uses.heuristics == "Fail":
        what = "the heuristics of this node fail: the arbitrator prefers the other side"
        yield Finding(
            Kind.HEURISTICS_FAIL, node.where, what, "Heuristics result: Fail", ("# run the commands of quorum.device.heuristics by hand",)
        )


def _silent(node: Node, flags: str | None) -> Finding:
    ended = "it ended in order" if flags in (None, NOT_REGISTERED) else "it was killed, or has crashed"
    evidence = _evidence(flags, node.device_log or node.device_problem)
    unit = next((unit for unit in node.units if unit.name == UNIT), None)
    fix = ("systemctl", "start", UNIT) if unit is not None and _is_stopped(unit) else ()
    what = f"corosync-qdevice does not run ({ended}), so this node has no vote of the arbitrator"
    return Finding(Kind.DEVICE_NOT_RUNNING, node.where, what, evidence, (f"systemctl enable --now {UNIT}", _LOG), fix)


def _is_stopped(unit: Unit) -> bool:
    """Whoever switched it off wants it off."""
    return unit.is_enabled and not unit.is_active


def _talking(node: Node, said: Device, flags: str | None) -> Iterator[Finding]:
    state = f"State: {said.state}"
    if flags == NOT_REGISTERED:
        what = "corosync-qdevice runs, and corosync does not know it"
        yield Finding(Kind.DEVICE_NOT_RUNNING, node.where, what, _evidence(flags, state), (_RESTART, _LOG))
    elif said.state != CONNECTED:
        yield from _unconnected(node, said, flags)
    elif said.is_casting is None:
        what = "the device waits for the arbitrator's answer; when none comes within quorum.device.timeout, corosync counts it as gone"
        yield Finding(Kind.DEVICE_WAITS, node.where, what, _evidence(flags, f"{state}, Poll timer running: No"), ("thirdvote clusters",))
    elif not said.is_casting:
        what = "the arbitrator has refused the vote to this side: `thirdvote clusters` on the arbitrator says why"
        evidence = _evidence(flags, f"{state}, Poll timer running: Yes, without cast vote")
        yield Finding(Kind.VOTE_REFUSED, node.where, what, evidence, ("thirdvote clusters   # on the arbitrator",))
    elif flags is not None and flags.startswith("NA"):
        what = "corosync counts the device as gone: it has not heard from it within quorum.device.timeout"
        yield Finding(Kind.DEVICE_HANGS, node.where, what, _evidence(flags, f"Last poll call: {said.last_poll}"), (_RESTART, _LOG))
    else:
        yield Finding(Kind.DEVICE_VOTES, node.where, "the device has the arbitrator's vote", _evidence(flags, state))
    yield from _started_before(node, said)


def _unconnected(node: Node, said: Device, flags: str | None) -> Iterator[Finding]:
    evidence = _evidence(flags, f"State: {said.state}, QNetd host: {said.qnetd_host}")
    if said.is_casting:
        what = f"the device goes on casting its vote without an arbitrator, as algorithm {said.algorithm} does"
        yield Finding(Kind.DEVICE_CASTS_ALONE, node.where, what, evidence, (_LOG,))
    else:
        what = f"the device is not connected to the arbitrator at {said.qnetd_host}, so it has no vote"
        yield Finding(Kind.DEVICE_NOT_CONNECTED, node.where, what, evidence, (_LOG, "thirdvote doctor   # on the arbitrator, too"))


def _started_before(node: Node, said: Device) -> Iterator[Finding]:
    """It reads its place only when it starts."""
    document = judge_conf.read(node)
    if document is None:
        return
    host, port = document.value("quorum.device.net.host"), document.value("quorum.device.net.port") or "5403"
    timeout = document.value("quorum.device.timeout")
    differs = bool(host) and said.qnetd_host != f"{host}:{port}"
    slower = said.timeout_ms is not None and timeout is not None and timeout.isdigit() and int(timeout) != said.timeout_ms
    if differs or slower:
        evidence = f"it uses {said.qnetd_host} and a timeout of {said.timeout_ms} ms; {node.conf} has {host}:{port} and {timeout or 'none'}"
        remedy = (f"{_RESTART}   # on one node after the other",)
        yield Finding(
            Kind.DEVICE_SETTINGS_OLD, node.where, "corosync-qdevice runs with settings from before the last change", evidence, remedy
        )


def _fellows(node: Node) -> Iterator[Finding]:
    """What Corosync here says of the devices of the other members; who is looked at itself is told from there."""
    quorum = node.quorum
    assert quorum is not None
    for number, member in quorum.members.items():
        if number == quorum.node or not _has_device(node):
            continue
        where = f"node {number}, as {node.where} sees it"
        flags = f"corosync-quorumtool -s: {member.device}"
        if member.device == NOT_REGISTERED:
            what = "corosync-qdevice does not run there"
            yield Finding(Kind.DEVICE_NOT_RUNNING, where, what, flags, (f"systemctl enable --now {UNIT}   # there",))
        elif member.device is not None and member.device.startswith("NA"):
            what = "its device is silent: it was killed, hangs, or has waited too long for the arbitrator"
            yield Finding(Kind.DEVICE_HANGS, where, what, flags, (f"{_RESTART}   # there",))
        elif member.device is not None and ",NV," in member.device:
            what = "its device has no vote: the arbitrator refused it, or is not connected to it"
            yield Finding(Kind.VOTE_REFUSED, where, what, flags, ("thirdvote doctor   # there",))


def _has_device(node: Node) -> bool:
    document = judge_conf.read(node)
    return document is not None and document.section("quorum.device") is not None


def _evidence(flags: str | None, more: str) -> str:
    return f"corosync-quorumtool -s: {flags}; {more}" if flags else more
