"""A node's certificates and its way to the arbitrator -> findings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from thirdvote.device.certificates import DATABASE, NICKNAME, TOOL
from thirdvote.doctor import judge_conf
from thirdvote.doctor.facts import Certificate, Database, Node, Passed, Probe
from thirdvote.doctor.findings import Finding, Kind
from thirdvote.doctor.judge_clusters import LOOPBACK, ROUND_TRIP_S_MAX

ENDS_SOON = timedelta(days=60)
SERVER_NAME = "Qnetd Server"

_ANEW = ("thirdvote join URL --replace", f"# or, by hand: rm -rf {DATABASE} on all nodes, then enrol them again")


def judge(node: Node, now: datetime) -> Iterator[Finding]:
    document = judge_conf.read(node)
    host = document.value("quorum.device.net.host") if document is not None else None
    if document is None or not host:
        return
    uses_tls = (document.value("quorum.device.net.tls") or "on").lower() not in judge_conf.TLS_OFF
    if node.database is not None and uses_tls:
        yield from _certificates(node, node.database, document.value("totem.cluster_name") or "", now)
    yield from _name(node, host)
    if node.probe is not None:
        place = f"{host}:{document.value('quorum.device.net.port') or '5403'}"
        yield from _way(node, node.probe, place, document.value("quorum.device.net.tls") or "on", now)


def _certificates(node: Node, found: Database, cluster: str, now: datetime) -> Iterator[Finding]:
    where = node.where
    if not found.exists:
        what = "this node has no certificates, so it can not connect to the arbitrator by TLS"
        yield Finding(Kind.NODE_DATABASE_MISSING, where, what, f"no cert9.db in {DATABASE}", ("thirdvote join URL",))
        return
    if found.mode & 0o007:
        command = ("chmod", "o-rwx", DATABASE)
        what = "everybody on this node can read the cluster's key"
        yield Finding(Kind.NODE_DATABASE_OPEN, where, what, f"{DATABASE} has mode {found.mode:04o}", (" ".join(command),), command)
    if found.problem:
        yield Finding(
            Kind.NODE_DATABASE_UNREADABLE, where, "the node's certificates can not be read", found.problem, (f"# {found.hint}", *_ANEW)
        )
        return
    if not found.authorities:
        remedy = (f"{TOOL} -i -c ca.crt   # in an empty {DATABASE}", *_ANEW)
        yield Finding(
            Kind.NODE_AUTHORITY_MISSING, where, "this node trusts no arbitrator's authority", f"certutil -L -d {DATABASE}", remedy
        )
    own = found.cluster
    if own is None:
        what = f"this node has no certificate of its cluster ({NICKNAME!r})"
        yield Finding(Kind.NODE_CERTIFICATE_MISSING, where, what, f"certutil -L -d {DATABASE}", _ANEW)
        return
    yield from _certificate(where, found, own, cluster, now)


def _certificate(where: str, found: Database, own: Certificate, cluster: str, now: datetime) -> Iterator[Finding]:
    if not found.has_key:
        yield Finding(Kind.NODE_KEY_MISSING, where, "the key of the cluster's certificate is missing", f"certutil -K -d {DATABASE}", _ANEW)
    if found.authorities and not found.is_of_authority:
        what = "the cluster's certificate is not signed by the authority that this node trusts"
        evidence = f"signed by {own.issuer}, trusted: {', '.join(each.subject for each in found.authorities)}"
        yield Finding(Kind.NODE_CERTIFICATE_OF_ANOTHER_AUTHORITY, where, what, evidence, _ANEW)
    if own.subject != cluster:
        what = f"the certificate is for the cluster {own.subject!r}, and this cluster is called {cluster!r}: the arbitrator refuses it"
        yield Finding(Kind.NODE_CERTIFICATE_OF_ANOTHER_CLUSTER, where, what, "totem.cluster_name and the certificate's common name", _ANEW)
    if not own.valid_from <= now < own.valid_until:
        late = now >= own.valid_until
        what = "the cluster's certificate has ended" if late else "the cluster's certificate is not valid yet: is this host's clock right?"
        yield Finding(Kind.NODE_CERTIFICATE_ENDED, where, what, _dates(own), _ANEW if late else ("timedatectl",))
    elif own.valid_until - now < ENDS_SOON:
        what = f"the cluster's certificate ends on {own.valid_until:%Y-%m-%d}"
        yield Finding(Kind.NODE_CERTIFICATE_ENDS, where, what, _dates(own), _ANEW)


def _name(node: Node, host: str) -> Iterator[Finding]:
    if node.resolve_problem:
        what = f"this node does not know an address of {host}"
        remedy = (f"getent ahosts {host}", "# an address in quorum.device.net.host needs no name service")
        yield Finding(Kind.NAME_UNKNOWN, node.where, what, node.resolve_problem, remedy)
    elif node.resolved and host not in node.resolved:
        what = f"the arbitrator is looked up by its name, {host}, each time: when the name service is away, so is the vote"
        yield Finding(Kind.ARBITRATOR_BY_NAME, node.where, what, f"getent ahosts: {', '.join(node.resolved)}", (f"# {host} in /etc/hosts",))
    own = [address for address in node.resolved if address in node.addresses or address.startswith(LOOPBACK)]
    if own:
        what = "the arbitrator runs on a node of the cluster that it arbitrates: when it dies, two of three votes die"
        evidence = f"quorum.device.net.host is {host}, and {own[0]} is an address of this node"
        elsewhere = ("# run the arbitrator on a host that is no node of this cluster",)
        yield Finding(Kind.ARBITRATOR_ON_ITS_NODE, node.where, what, evidence, elsewhere)


def _way(node: Node, probe: Probe, place: str, tls: str, now: datetime) -> Iterator[Finding]:
    host, _, port = place.rpartition(":")
    reach: tuple[str, ...] = (
        f"timeout 5 bash -c 'exec 3<>/dev/tcp/{host}/{port}'   # from this node",
        "thirdvote doctor   # on the arbitrator",
    )
    match probe.passed:
        case Passed.NOTHING if "refused" in probe.problem:
            what = f"nothing listens at {place}: the arbitrator does not run, or a firewall rejects"
            yield Finding(Kind.CONNECTION_REFUSED, node.where, what, probe.problem, reach)
        case Passed.NOTHING:
            what = f"no connection to {place}: a firewall, the network, or the arbitrator's host is off"
            yield Finding(Kind.CONNECTION_TIMED_OUT, node.where, what, probe.problem, reach)
        case Passed.TCP:
            what = f"what answers at {place} is no arbitrator, or does not get to it"
            yield Finding(Kind.NO_ARBITRATOR_ANSWERS, node.where, what, probe.problem, reach)
        case Passed.PREINIT if not probe.used_tls:
            what = f"this node and the arbitrator do not agree on TLS: here it is {tls}, there {probe.server_tls}"
            agree = ("# quorum.device.net.tls: on, then:", judge_conf.RELOAD, judge_conf.RESTART)
            yield Finding(Kind.TLS_DIFFERS, node.where, what, "the arbitrator's PREINIT_REPLY", agree)
        case Passed.PREINIT:
            yield Finding(Kind.TLS_FAILS, node.where, f"TLS with {place} fails", probe.problem, reach)
        case Passed.TLS:
            what = f"the arbitrator at {place} refuses the certificate of this node"
            yield Finding(Kind.CERTIFICATE_REFUSED, node.where, what, probe.problem, ("thirdvote ca list   # on the arbitrator", *_ANEW))
        case Passed.ALL:
            yield from _reached(node, probe, place)
    if probe.server is not None:
        yield from _server(node, probe, probe.server, place, now)


def _reached(node: Node, probe: Probe, place: str) -> Iterator[Finding]:
    trip = "" if probe.round_trip_s is None else f", round trip {1000 * probe.round_trip_s:.1f} ms"
    secured = "by TLS" if probe.used_tls else "without TLS"
    yield Finding(Kind.ARBITRATOR_REACHED, node.where, f"the arbitrator at {place} answers {secured}{trip}")
    if probe.round_trip_s is not None and probe.round_trip_s > ROUND_TRIP_S_MAX:
        what = f"the way to the arbitrator at {place} is slow"
        host = place.rpartition(":")[0]
        yield Finding(Kind.PATH_SLOW, node.where, what, f"round trip {1000 * probe.round_trip_s:.0f} ms", (f"ping {host}",))


def _server(node: Node, probe: Probe, server: Certificate, place: str, now: datetime) -> Iterator[Finding]:
    """As NSS checks it: dates are only warned of."""
    trusted = node.database.authorities if node.database is not None else ()
    if trusted and not probe.server_is_of_authority:
        what = f"another arbitrator answers at {place} than the one whose authority this node trusts"
        evidence = f"its certificate is signed by {server.issuer}, with a key that is none of {', '.join(each.subject for each in trusted)}"
        yield Finding(Kind.ANOTHER_ARBITRATOR, node.where, what, evidence, _ANEW)
    if server.subject != SERVER_NAME:
        what = f"the certificate that answers at {place} is for {server.subject!r}, not for {SERVER_NAME!r}"
        yield Finding(Kind.SERVER_CERTIFICATE_WRONG, node.where, what, place, ("thirdvote ca show   # on the arbitrator",))
    if not server.valid_from <= now < server.valid_until:
        what = f"the arbitrator at {place} shows a certificate that is not valid now; corosync-qdevice takes it all the same"
        yield Finding(Kind.SERVER_CERTIFICATE_ENDED, node.where, what, _dates(server), ("thirdvote ca renew   # on the arbitrator",))


def _dates(each: Certificate) -> str:
    return f"valid from {each.valid_from:%Y-%m-%d} to {each.valid_until:%Y-%m-%d}"
