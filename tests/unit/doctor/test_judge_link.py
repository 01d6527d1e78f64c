from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.doctor_here import CLUSTER, CONF, NOW, PROBE, SERVER, ids, node, only
from thirdvote.doctor.facts import Certificate, Database, Passed, Probe
from thirdvote.doctor.judge_link import judge


def found(**changes: Any) -> list[str]:
    return ids(judge(node(**changes), NOW))


def database(**changes: Any) -> list[str]:
    whole = node().database
    assert whole is not None
    return found(database=replace(whole, **changes))


def probe(**changes: Any) -> list[str]:
    return found(probe=replace(PROBE, **changes))


def test_nothing_is_wrong() -> None:
    assert found() == []
    what = "the arbitrator at 192.0.2.20:5403 answers by TLS, round trip 1.0 ms"
    assert only(judge(node(), NOW), "arbitrator-reached").what == what


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"mode": 0o775}, "node-database-open"),
        ({"problem": "damaged", "hint": "restore it"}, "node-database-unreadable"),
        ({"authorities": ()}, "node-authority-missing"),
        ({"cluster": None}, "node-certificate-missing"),
        ({"has_key": False}, "node-key-missing"),
        ({"is_of_authority": False}, "node-certificate-of-another-authority"),
        ({"cluster": replace(CLUSTER, subject="lab")}, "node-certificate-of-another-cluster"),
        ({"cluster": replace(CLUSTER, valid_until=NOW - timedelta(1))}, "node-certificate-ended"),
        ({"cluster": replace(CLUSTER, valid_from=NOW + timedelta(1))}, "node-certificate-ended"),
        ({"cluster": replace(CLUSTER, valid_until=NOW + timedelta(30))}, "node-certificate-ends"),
    ],
)
def test_certificates(changes: dict[str, Any], kind: str) -> None:
    assert database(**changes) == [kind]


def test_no_certificates_at_all() -> None:
    assert found(database=Database(exists=False)) == ["node-database-missing"]
    assert found(database=Database(exists=False), conf_text=CONF.replace("tls: on", "tls: off")) == [], "none are needed"


def test_modes_are_mended() -> None:
    whole = node().database
    assert whole is not None
    finding = only(judge(node(database=replace(whole, mode=0o775)), NOW), "node-database-open")
    assert finding.fix == ("chmod", "o-rwx", "/etc/corosync/qdevice/net/nssdb")


def test_names() -> None:
    assert found(resolved=(), resolve_problem="status 2", probe=None) == ["name-unknown"]
    named = CONF.replace("host: 192.0.2.20", "host: arbitrator")
    assert found(conf_text=named) == ["arbitrator-by-name"]


@pytest.mark.parametrize("address", ["192.0.2.1", "127.0.0.1"])
def test_an_arbitrator_on_this_node(address: str) -> None:
    text = CONF.replace("host: 192.0.2.20", f"host: {address}")
    assert found(conf_text=text, resolved=(address,)) == ["arbitrator-on-its-node"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Probe(Passed.NOTHING, "connection refused"), "connection-refused"),
        (Probe(Passed.NOTHING, "connection timed out"), "connection-timed-out"),
        (Probe(Passed.NOTHING, "no answer within 6 s"), "connection-timed-out"),
        (Probe(Passed.NOTHING, "no route to host"), "connection-timed-out"),
        (Probe(Passed.TCP, "what answers there speaks another protocol"), "no-arbitrator-answers"),
        (Probe(Passed.PREINIT, server_tls="off"), "tls-differs"),
        (Probe(Passed.PREINIT, "no shared cipher", server_tls="on", used_tls=True), "tls-fails"),
        (replace(PROBE, passed=Passed.TLS, problem="unknown ca"), "certificate-refused"),
        (replace(PROBE, round_trip_s=0.9), "path-slow"),
    ],
)
def test_how_far_the_connection_came(answer: Probe, kind: str) -> None:
    assert found(probe=answer) == [kind]


def test_without_tls_it_is_said() -> None:
    plain = Probe(Passed.ALL, server_tls="off")
    assert only(judge(node(probe=plain), NOW), "arbitrator-reached").what == "the arbitrator at 192.0.2.20:5403 answers without TLS"


@pytest.mark.parametrize(
    ("server", "kind"),
    [
        (replace(SERVER, subject="office"), "server-certificate-wrong"),
        (replace(SERVER, valid_until=NOW - timedelta(1)), "server-certificate-ended"),
    ],
)
def test_what_the_arbitrator_shows(server: Certificate, kind: str) -> None:
    assert probe(server=server) == [kind]


def test_another_arbitrator() -> None:
    assert probe(server_is_of_authority=False) == ["another-arbitrator"]


def test_without_a_device_nothing_is_asked() -> None:
    assert found(conf_text=CONF[: CONF.index("  device {")] + "}\n", probe=None) == []
