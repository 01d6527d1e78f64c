"""Puts the device into a cluster: all checks first, then certificates, corosync.conf, the daemons, and the vote itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from thirdvote.device import by_hand, certificates, edit, rules, turn
from thirdvote.device.by_hand import ByHand, Confirm
from thirdvote.device.cluster import VOTE_PORT, Cluster, Device
from thirdvote.device.conf_change import ConfChange, value_in_force
from thirdvote.device.corosync_conf import ConfError
from thirdvote.device.edit import Wanted
from thirdvote.device.host import Host
from thirdvote.device.services import UNIT, Services
from thirdvote.device.site import Place, Site, check_ready, check_vote_port, quorum_of
from thirdvote.device.steps import Interruption, Say, Step, perform
from thirdvote.errors import UserError

VOTE_S = 90.0
"""A device tries its arbitrator every 8 s, and Corosync may wait 30 s for one in a change of membership."""

BY_HAND_S = 900.0
"""A person has to walk to another node."""

COUNTS_UNTIL_SEEN = "corosync-quorumtool -s"


@dataclass(frozen=True, slots=True)
class Options:
    host: str
    """Where nodes find the arbitrator."""
    timeout_ms: int | None = None
    forced: bool = False
    replaces: bool = False


def check(cluster: Cluster, options: Options) -> rules.Choice:
    """What can be said before any other node is asked. ConfError."""
    if options.timeout_ms is not None:
        rules.check_timeout(options.timeout_ms)
    certificates.check_tool_takes(cluster.name)
    if cluster.device is not None and not options.replaces:
        raise _has_one(cluster.device, options.host)
    return rules.choose(cluster, options.forced)


class Enrolment(Protocol):
    """How certificates come from the arbitrator. UserError."""

    def authority(self) -> str:
        """PEM, of the right one for certain."""

    def vote_port(self, cluster_name: str) -> int:
        """Nothing is spent by asking; refuses what would be refused later."""

    def certificate(self, cluster_name: str, request: bytes) -> tuple[str, str]:
        """The cluster's certificate and the authority, PEM."""

    def keep(self, cluster_name: str) -> None:
        """All is done, and the vote counts."""

    def give_back(self, cluster_name: str) -> str:
        """The certificate is not wanted any more; a sentence on what that means."""


class Join:
    """`prepare` looks and changes nothing; `run` does it."""

    def __init__(
        self,
        site: Site,
        enrolment: Enrolment,
        services: Services,
        options: Options,
        say: Say,
        interruption: Interruption,
        confirm: Confirm = by_hand.nobody,
    ) -> None:
        self._by_hand = ByHand(site, say, confirm)
        self._site = site
        self._enrolment = enrolment
        self._services = services
        self._options = options
        self._say = say
        self._interruption = interruption
        self._authority = ""
        self._certificate = ""
        self._request = b""
        self._bundle = b""
        self._port = VOTE_PORT
        self._running_before: list[Host] = []
        self._choice: rules.Choice | None = None

    def prepare(self) -> list[str]:
        """The difference in corosync.conf. UserError."""
        site, options = self._site, self._options
        self._choice = check(site.cluster, options)
        check_ready(site)
        turn.check_free(site.hosts)
        if not options.replaces:
            _check_no_database(site.hosts)
        self._authority = self._enrolment.authority()
        self._port = self._enrolment.vote_port(site.cluster.name)
        check_vote_port(site.hosts, options.host, self._port)
        self._running_before = [host for host in site.hosts if self._services.is_running(host)]
        if self._choice.warning:
            self._say(f"warning: {self._choice.warning}")
        return edit.difference(site.text, self._after, site.conf)

    def run(self) -> None:
        """UserError, and everything is as before."""
        perform(self.steps(), self._say, self._interruption)

    def steps(self) -> list[Step]:
        first, *others = self._site.places
        change = ConfChange(self._site, self._after, self._is_in_force, self._interruption)
        taking_turn, giving_back = turn.taken(self._site.hosts)
        return [
            *taking_turn,
            *(self._stopped(host) for host in self._running_before),
            *(self._trusting(place.host) for place in self._site.places),
            Step(f"{first.host.name}: makes the cluster's key and a request for its certificate", self._make_request),
            Step("the arbitrator signs it", self._sign, self._give_back, "the arbitrator takes the certificate back"),
            Step(f"{first.host.name}: takes the certificate", lambda: self._take(first.host)),
            *(self._copied(place) for place in others),
            *self._by_hand.steps(self._for_others, by_hand.joining(self._site)),
            *change.steps(),
            *(self._started(host) for host in self._site.hosts),
            *self._by_hand.cleared(),
            Step("", lambda: by_hand.starting(self._site.by_hand, self._say)),
            Step(f"waits until every node counts the device's vote ({COUNTS_UNTIL_SEEN})", self._await_vote),
            Step("", self._keep),
            *giving_back,
        ]

    @property
    def wanted(self) -> Wanted:
        assert self._choice is not None, "prepare comes first"
        return Wanted(self._options.host, self._choice, self._port, self._options.timeout_ms)

    @property
    def _after(self) -> str:
        return edit.with_device(self._site.text, self.wanted)

    def _stopped(self, host: Host) -> Step:
        return Step(
            f"{host.name}: stops {UNIT}, which runs with what was there before",
            lambda: self._services.stop(host),
            lambda: self._services.start(host),
            f"{host.name}: starts {UNIT} as before",
        )

    def _trusting(self, host: Host) -> Step:
        def do() -> None:
            certificates.set_aside(host)
            certificates.trust(host, self._authority)

        what = f"{host.name}: trusts the arbitrator's authority ({certificates.DATABASE})"
        return Step(what, do, lambda: certificates.bring_back(host), f"{host.name}: certificates as before")

    def _make_request(self) -> None:
        self._request = certificates.make_request(self._site.hosts[0], self._site.cluster.name)

    def _sign(self) -> None:
        self._certificate, _ = self._enrolment.certificate(self._site.cluster.name, self._request)

    def _give_back(self) -> None:
        self._say(self._enrolment.give_back(self._site.cluster.name))

    def _keep(self) -> None:
        """The device works: what the arbitrator could not be told does not change that."""
        try:
            self._enrolment.keep(self._site.cluster.name)
        except UserError as error:
            self._say(
                f"warning: the arbitrator was not told that all is done, so older certificates still count, if there are any: {error}"
            )

    def _take(self, host: Host) -> None:
        self._bundle = certificates.take(host, self._certificate)
        self._write_key(host)

    def _copied(self, place: Place) -> Step:
        def do() -> None:
            certificates.take_bundle(place.host, self._bundle, self._certificate)
            self._write_key(place.host)

        return Step(f"{place.host.name}: takes certificate and key", do)

    def _write_key(self, host: Host) -> None:
        if not certificates.write_key(host):
            self._say(f"{host.name}: openssl is not installed, so there is no {certificates.KEY}; only `thirdvote node` would need it")

    def _for_others(self) -> dict[str, bytes]:
        known = {"ca.crt": self._authority.encode(), "qdevice-net-node.p12": self._bundle}
        return known | by_hand.conf_for_others(self._site, self._after)

    def _is_in_force(self, host: Host) -> bool:
        return value_in_force(host, "quorum.device.net.host") == self._options.host

    def _started(self, host: Host) -> Step:
        return Step(
            f"{host.name}: starts {UNIT}, now and at each boot",
            lambda: self._services.start(host),
            lambda: self._services.stop(host),
            f"{host.name}: stops {UNIT}",
        )

    def _await_vote(self) -> None:
        assert self._choice is not None
        votes = self._choice.votes
        missing: list[Host] = []

        def counted() -> bool:
            seen = {host: quorum_of(host) for host in self._site.hosts}
            missing[:] = [host for host, quorum in seen.items() if not (quorum.has_the_device_vote and quorum.device_votes == votes)]
            return not missing

        patience = BY_HAND_S if self._site.by_hand else VOTE_S
        if not self._interruption.wait(counted, patience):
            raise UserError(f"the device's vote does not count on {missing[0].name} after {patience:.0f} s", _advice(missing[0]))


def _advice(host: Host) -> str:
    """By what the device there says of itself."""
    said = host.run("corosync-qdevice-tool", "-s")
    state = next((line.partition(":")[2].strip() for line in said.text.splitlines() if line.startswith("State:")), None)
    if said.status or state is None:
        return f"{UNIT} does not run on {host.name}: journalctl -u {UNIT} there says why"
    if state != "Connected":
        return f"the device on {host.name} says {state!r}: see the arbitrator's log, and whether its port is open from there"
    return f"the device on {host.name} is connected: `thirdvote clusters` on the arbitrator says why it has no vote"


def _has_one(device: Device, host: str) -> ConfError:
    if device.host == host:
        hint = "nothing is to be done; `thirdvote join --replace` makes new certificates, `thirdvote remove` takes it out"
        return ConfError(f"this cluster has its device at {host} already", hint)
    return ConfError(f"this cluster has a device already: {device.where}", "keep it, or move to this arbitrator with --replace")


def _check_no_database(hosts: list[Host]) -> None:
    for host in hosts:
        if certificates.has_database(host):
            raise UserError(
                f"{host.name} has certificates of an arbitrator already, in {certificates.DATABASE}",
                "keep them (nothing is to be done if they are this one's), or set them aside and make new ones with --replace",
            )
