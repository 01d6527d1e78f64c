from __future__ import annotations

import json
from typing import Any

from thirdvote.enroll.report import BURST, TEXT_LENGTH_MAX, Reporter


def reporter(now: list[float]) -> tuple[Reporter, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    return Reporter(lambda line: events.append(json.loads(line)), lambda: now[0]), events


def test_an_event_is_a_line_with_what_is_known() -> None:
    report, events = reporter([0.0])
    report.info("signed", "web", "192.0.2.1:40000")
    report.warning("closed")
    report.error("broken")
    assert events == [
        {"level": "info", "event": "enrolment", "text": "signed", "cluster": "web", "address": "192.0.2.1:40000"},
        {"level": "warning", "event": "enrolment", "text": "closed"},
        {"level": "error", "event": "enrolment", "text": "broken"},
    ]


def test_what_one_address_causes_is_bounded_and_counted() -> None:
    now = [0.0]
    report, events = reporter(now)
    for number in range(BURST + 50):
        report.warning("wrong password", None, f"192.0.2.1:{number}")
    assert len(events) == BURST
    report.warning("wrong password", None, "192.0.2.2:1")
    assert len(events) == BURST + 1
    report.tell_suppressed()
    assert events[-1]["text"] == "50 more like this were not written"
    assert events[-1]["address"] == "192.0.2.1"


def test_no_text_is_endless() -> None:
    report, events = reporter([0.0])
    report.info("x" * 100_000)
    assert len(events[0]["text"]) == TEXT_LENGTH_MAX
