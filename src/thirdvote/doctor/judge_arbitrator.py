"""Facts about an arbitrator -> findings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from thirdvote.config_options import show_listen
from thirdvote.doctor.facts import Answer, Arbitrator, Certificate, File
from thirdvote.doctor.findings import Finding, Kind

LOCAL = ("127.", "::1", "localhost")

FREE_BYTES_MIN = 10 << 20
"""The ledger and the history of a few clusters; below it a vote may not leave."""
FREE_BYTES_FEW = 200 << 20

NEARLY_USED = 0.9

CONNECTIONS_ENOUGH = 256
"""A hundred two-node clusters and some."""

IN_MEMORY = ("tmpfs", "ramfs")


def judge(found: Arbitrator, now: datetime) -> Iterator[Finding]:
    yield from _answer(found)
    yield from _port(found)
    yield from _running(found)
    yield from _data(found)
    yield from _files(found)
    yield from _certificates(found, now)


def _answer(found: Arbitrator) -> Iterator[Finding]:
    what = "corosync-qnetd" if found.stock else f"thirdvote {found.status.get('version', '')}".strip()
    match found.answer:
        case Answer.ANSWERS:
            listen = show_listen((found.listen_host, found.listen_port))
            yield Finding(Kind.ARBITRATOR_ANSWERS, found.where, f"{what} runs and answers on {listen}")
        case Answer.NOT_RUNNING:
            start = f"systemctl start {found.units[0].name}" if found.units else _start(found)
            waits = next((unit for unit in found.units if unit.is_enabled and not unit.is_active), None)
            fix = ("systemctl", "start", waits.name) if waits is not None and not found.port_user else ()
            yield Finding(Kind.ARBITRATOR_NOT_RUNNING, found.where, "the arbitrator does not run", found.said, (start,), fix)
        case Answer.CLOSED:
            yield Finding(
                Kind.CONTROL_CLOSED, found.where, "the arbitrator can not be asked by this user", found.said, ("sudo thirdvote doctor",)
            )
        case Answer.SILENT:
            again = (f"systemctl restart {found.units[0].name}",) if found.units else (_start(found),)
            ended = (f"kill {found.holder}",) if found.holder and not found.units else ()
            yield Finding(Kind.ARBITRATOR_HANGS, found.where, "the arbitrator runs and does not answer", found.said, (*ended, *again))


def _start(found: Arbitrator) -> str:
    return "systemctl start corosync-qnetd" if found.stock else f"thirdvote serve --data {found.data}"


def _port(found: Arbitrator) -> Iterator[Finding]:
    port = found.listen_port
    if found.port_user:
        what = f"another program listens on port {port}, which the arbitrator needs"
        yield Finding(Kind.PORT_TAKEN, found.where, what, found.port_user, (f"ss -ltnp 'sport = :{port}'", "# end that program"))
    if found.port_problem:
        what = f"nothing answers on port {port} of this host, where nodes look for the arbitrator"
        yield Finding(Kind.PORT_CLOSED, found.where, what, found.port_problem, ("nft list ruleset", f"ss -ltn 'sport = :{port}'"))
    if found.listen_host is not None and found.listen_host.startswith(LOCAL):
        what = f"the arbitrator listens on {found.listen_host} only, where no node reaches it"
        address = next(iter(found.addresses), "ADDRESS")
        remedy = f"thirdvote serve --data {found.data} --listen {port}   # or {address}:{port}"
        yield Finding(Kind.LISTENS_LOCALLY, found.where, what, f"listens on {found.listen_host}:{port}", (remedy,))


def _running(found: Arbitrator) -> Iterator[Finding]:
    status = found.status
    if not status:
        return
    if found.stock:
        what = "this is a corosync-qnetd: when a node is cut off, both sides may have quorum for seconds"
        yield Finding(Kind.STOCK_ARBITRATOR, found.where, what, remedy=("thirdvote ca import-nss /etc/corosync/qnetd/nssdb",))
    if status["tls"] != "required" or not status["client_certificate"]:
        certificate = "" if status["client_certificate"] else ", no client certificates"
        what = "nodes are let in without showing a certificate, whatever cluster they say they are of"
        remedy = "corosync-qnetd -s req   # in COROSYNC_QNETD_OPTIONS" if found.stock else "thirdvote serve --tls required"
        yield Finding(Kind.TLS_NOT_REQUIRED, found.where, what, f"TLS {status['tls']}{certificate}", (remedy,))
    if found.stock:
        return
    if status["version"] != found.installed:
        evidence = f"runs {status['version']}, installed is {found.installed}"
        yield Finding(Kind.VERSION_OLD, found.where, "a newer or older version is installed than runs", evidence, ("# restart it",))
    if status["test_algorithm"]:
        what = "the algorithm test is served: in such a cluster every side has the vote"
        yield Finding(Kind.TEST_ALGORITHM, found.where, what, "test_algorithm is on", ("thirdvote serve --test-algorithm off",))
    yield from _room(found)
    yield from _parts(found)


def _room(found: Arbitrator) -> Iterator[Finding]:
    used, room = found.status["connections"], found.status["connections_max"]
    if used >= NEARLY_USED * room:
        remedy: tuple[str, ...] = ("ulimit -n", "# LimitNOFILE=65536 in the unit, or limits.connections")
        yield Finding(Kind.CONNECTIONS_NEARLY_USED, found.where, "nearly all connections are in use", f"{used} of {room}", remedy)
    elif room < CONNECTIONS_ENOUGH:
        evidence = f"room for {room} connections"
        remedy = ("# LimitNOFILE=65536 in the unit",)
        yield Finding(Kind.OPEN_FILES_FEW, found.where, "the system lets the arbitrator open few files", evidence, remedy)


def _parts(found: Arbitrator) -> Iterator[Finding]:
    ledger, history, enrolment = found.status["ledger"], found.status["history"], found.status.get("enrolment")
    if ledger["state"] != "ok":
        what = "the ledger can not be written, so no vote is given that needs a new record"
        yield Finding(Kind.LEDGER_FAILING, found.where, what, ledger["problem"] or "", _hint(ledger["hint"]))
    elif not ledger["past_complete"]:
        what = "the last start was the first, or records were missing: a cluster that is not whole waits once for votes that may be in use"
        yield Finding(Kind.LEDGER_INCOMPLETE, found.where, what, ledger["path"], ("thirdvote clusters",))
    if history["problem"]:
        yield Finding(Kind.HISTORY_FAILING, found.where, "the history is not written", history["problem"], (f"df {found.data}",))
    if enrolment is not None and enrolment["pid"] is None:
        yield Finding(
            Kind.ENROLMENT_NOT_RUNNING, found.where, "the enrolment does not run: no node can be let in", remedy=("thirdvote status",)
        )
    if enrolment is not None and enrolment["always"]:
        what = "a window of the enrolment is open all the time: who knows its password can get a certificate for any cluster"
        yield Finding(Kind.ENROLMENT_ALWAYS_OPEN, found.where, what, "enroll-always is on", ("thirdvote serve --enroll-always off",))


def _data(found: Arbitrator) -> Iterator[Finding]:
    system = found.file_system
    if found.stock:
        return
    if system is None:
        if found.answer is not Answer.ANSWERS:
            remedy = (_start(found),)
            yield Finding(Kind.DATA_MISSING, found.where, f"there is no data directory {found.data}", "the first start makes it", remedy)
        return
    if system.is_read_only:
        remedy = (f"mount -o remount,rw $(df --output=target {found.data} | tail -n 1)",)
        yield Finding(Kind.DATA_READ_ONLY, found.where, f"the file system of {found.data} is read-only", system.kind, remedy)
    if system.free_bytes < FREE_BYTES_FEW:
        kind = Kind.DATA_FULL if system.free_bytes < FREE_BYTES_MIN else Kind.DATA_NEARLY_FULL
        evidence = f"{system.free_bytes >> 20} MiB are free"
        yield Finding(kind, found.where, f"the file system of {found.data} has little room", evidence, (f"df -h {found.data}",))
    if system.kind in IN_MEMORY:
        what = f"{found.data} is in memory: who has the vote is forgotten when the host restarts"
        place = "THIRDVOTE_DATA=/var/lib/thirdvote   # in the unit" if found.data.startswith("/run") else "thirdvote serve --data DIR"
        yield Finding(Kind.DATA_IN_MEMORY, found.where, what, f"file system {system.kind}", (place,))
    if found.ledger_problem:
        what = "the ledger is damaged; the next start sets it aside, and waits once for votes that may be in use"
        yield Finding(Kind.LEDGER_DAMAGED, found.where, what, found.ledger_problem, (f"ls -l {found.data}",))


def _files(found: Arbitrator) -> Iterator[Finding]:
    for file in found.files:
        wanted = _mode_wanted(file, found.stock)
        if file.mode & ~wanted:
            kind = Kind.KEY_OPEN if file.is_secret and not file.is_folder else Kind.DATA_OPEN
            command = ("chmod", f"{file.mode & wanted:o}", file.path)
            what = f"other users may use {file.path}"
            yield Finding(kind, found.where, what, f"mode {file.mode:04o}", (" ".join(command),), command)
    strangers = [file for file in found.files if file.user != found.user]
    if strangers:
        what = f"some files in {found.data} belong to another user than the directory does: the arbitrator can not use them"
        evidence = f"{strangers[0].path} belongs to user {strangers[0].user}, the directory to {found.user}"
        yield Finding(Kind.DATA_OF_ANOTHER_USER, found.where, what, evidence, (f"chown -R {found.user} {found.data}",))


def _mode_wanted(file: File, stock: bool) -> int:
    """Bits that harm nobody: keys and sockets are their owner's; the group of a stock database may use it."""
    if stock:
        return 0o770
    if file.is_secret:
        return 0o700
    return 0o770 if file.path.endswith(".sock") else 0o755


def _certificates(found: Arbitrator, now: datetime) -> Iterator[Finding]:
    if found.certificates_problem:
        hint = _hint(found.certificates_hint)
        yield Finding(
            Kind.CERTIFICATES_UNUSABLE, found.where, "the arbitrator's certificates can not be used", found.certificates_problem, hint
        )
    ended = [each for each in found.certificates if now >= each.valid_until]
    for each in ended:
        what = f"the certificate of {each.subject} has ended: no node can connect"
        yield Finding(Kind.CERTIFICATE_ENDED, found.where, what, _dates(each), ("thirdvote ca show", "thirdvote ca renew"))
    if not ended:
        for text in found.certificates_ending:
            what, _, remedy = text.partition(": ")
            yield Finding(Kind.CERTIFICATE_ENDS, found.where, what, remedy=_hint(remedy))


def _dates(each: Certificate) -> str:
    return f"valid from {each.valid_from:%Y-%m-%d} to {each.valid_until:%Y-%m-%d}"


def _hint(text: str | None) -> tuple[str, ...]:
    """Advice in words is none that a shell takes."""
    return (f"# {text}",) if text else ()
