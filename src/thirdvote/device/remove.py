"""Takes the device out of a cluster, as long as the cluster has quorum without its vote."""

from __future__ import annotations

from thirdvote.device import by_hand, certificates, edit, rules, turn
from thirdvote.device.by_hand import ByHand, Confirm
from thirdvote.device.cluster import Cluster
from thirdvote.device.conf_change import ConfChange, value_in_force
from thirdvote.device.corosync_conf import ConfError
from thirdvote.device.host import Host
from thirdvote.device.quorum_text import Quorum
from thirdvote.device.services import UNIT, Services
from thirdvote.device.site import Site, check_ready, quorum_of
from thirdvote.device.steps import Interruption, Say, Step, perform
from thirdvote.errors import UserError

GONE_S = 40.0
"""Corosync may wait 30 s for a device in a change of membership."""


def check(cluster: Cluster, quorum: Quorum, name: str) -> None:
    """As `name` sees it, there is a device, and quorum without its vote: by the nodes that are there, now and afterwards. UserError."""
    if cluster.device is None:
        raise ConfError(f"the cluster {cluster.name!r} has no device", "nothing is to be done")
    needed = max(rules.votes_needed_without(cluster), quorum.quorum)
    if quorum.node_votes < needed:
        there = f"its nodes have {quorum.node_votes} of the {needed} votes that are needed"
        raise UserError(f"without the device's vote {name} would have no quorum: {there}", "start the nodes that are off, then try again")


class Remove:
    """`prepare` looks and changes nothing; `run` does it. `forgets` removes certificates and keys too."""

    def __init__(
        self, site: Site, services: Services, forgets: bool, say: Say, interruption: Interruption, confirm: Confirm = by_hand.nobody
    ) -> None:
        self._by_hand = ByHand(site, say, confirm)
        self._site = site
        self._services = services
        self._forgets = forgets
        self._say = say
        self._interruption = interruption
        self._running_before: list[Host] = []

    def prepare(self) -> list[str]:
        """The difference in corosync.conf. UserError."""
        site = self._site
        for host in site.hosts:
            check(site.cluster, quorum_of(host), host.name)
        check_ready(site)
        turn.check_free(site.hosts)
        self._running_before = [host for host in site.hosts if self._services.is_running(host)]
        if len(site.cluster.nodes) == 2 and not edit.remembers_two_node(site.text):
            self._say("without the device two nodes need each other: when one is lost, the other has no quorum")
        return edit.difference(site.text, self._after, site.conf)

    def run(self) -> None:
        """UserError, and everything is as before."""
        perform(self.steps(), self._say, self._interruption)
        if self._forgets:
            for host in self._site.hosts:
                self._say(f"{host.name}: removes key and certificates")
                certificates.forget(host)

    def steps(self) -> list[Step]:
        change = ConfChange(self._site, self._after, self._is_in_force, self._interruption)
        *writing, reading = change.steps()
        taking_turn, giving_back = turn.taken(self._site.hosts)
        return [
            *taking_turn,
            self._starting_again(),
            *self._by_hand.steps(self._for_others, by_hand.leaving(self._site)),
            *writing,
            *(self._stopped(host) for host in self._site.hosts),
            reading,
            *self._by_hand.cleared(),
            Step("waits until every node has quorum without it (corosync-quorumtool -s)", self._await_quorum),
            *giving_back,
        ]

    def _for_others(self) -> dict[str, bytes]:
        return by_hand.conf_for_others(self._site, self._after)

    @property
    def _after(self) -> str:
        return edit.without_device(self._site.text)

    def _starting_again(self) -> Step:
        """On the way back it comes last: a device does not start before Corosync knows it again."""

        def undo() -> None:
            for host in self._running_before:
                self._services.start(host)

        return Step("", lambda: None, undo, f"starts {UNIT} again")

    def _stopped(self, host: Host) -> Step:
        return Step(f"{host.name}: stops {UNIT}, now and for each boot", lambda: self._services.stop(host))

    def _is_in_force(self, host: Host) -> bool:
        return value_in_force(host, "quorum.device.model") is None

    def _await_quorum(self) -> None:
        behind: list[Host] = []

        def settled() -> bool:
            seen = {host: quorum_of(host) for host in self._site.hosts}
            expected = self._site.cluster.node_votes
            behind[:] = [host for host, quorum in seen.items() if not (quorum.quorate and quorum.expected_votes <= expected)]
            return not behind

        if not self._interruption.wait(settled, GONE_S):
            raise UserError(f"{behind[0].name} has no quorum without the device", f"on {behind[0].name}: corosync-quorumtool -s")
