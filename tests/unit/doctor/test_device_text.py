from __future__ import annotations

import pytest

from thirdvote.doctor import device_text

TEXT = """\
Qdevice information
-------------------
Model:\t\t\tNet
Node ID:\t\t1
HB interval:\t\t10000ms
Sync HB interval:\t30000ms
Configured node list:
    0\tNode ID = 1
Heuristics:\t\tEnabled
Last poll call:\t\t2026-11-24T04:13:14 (cast vote)

Qdevice-net information
----------------------
Cluster name:\t\toffice
QNetd host:\t\t192.0.2.20:5403
HB interval:\t\t8000ms
TLS:\t\t\tSupported
Algorithm:\t\tFifty-Fifty split
Poll timer running:\tYes (cast vote)
State:\t\t\tConnected
Heuristics result:\tFail (regular: Undefined, membership: Fail, connect: Undefined)
TLS active:\t\tYes (client certificate sent)
"""


def test_what_a_connected_device_says() -> None:
    found = device_text.read(TEXT)
    assert found is not None
    assert (found.state, found.is_casting, found.qnetd_host) == ("Connected", True, "192.0.2.20:5403")
    assert (found.algorithm, found.tls, found.timeout_ms, found.heuristics) == ("Fifty-Fifty split", "Supported", 10_000, "Fail")


@pytest.mark.parametrize(("timer", "is_casting"), [("Yes (cast vote)", True), ("Yes", False), ("No", None)])
def test_whether_it_votes(timer: str, is_casting: bool | None) -> None:
    found = device_text.read(TEXT.replace("Yes (cast vote)", timer))
    assert found is not None
    assert found.is_casting is is_casting


def test_what_is_no_answer() -> None:
    assert device_text.read("") is None
    assert device_text.read("State: Connected") is None
