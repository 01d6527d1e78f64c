from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime

import pytest

from thirdvote.arbiter.interface import Level, Note, NoteKind
from thirdvote.config import Limits
from thirdvote.domain import ClusterName, NodeId
from thirdvote.net.log import FORMATS, QUEUED_LINES_MAX, Event, LineWriter, Log

WHEN = datetime(2026, 11, 24, 22, 30, 1, 250_000, UTC)
JOINED = Event.of(Note(Level.INFO, NoteKind.JOINED, "joined", ClusterName(b"c\n1"), NodeId(2), 7, "192.0.2.1:4000"))


def test_a_line_of_text() -> None:
    assert FORMATS["text"](JOINED, WHEN) == '2026-11-24 22:30:01 info    joined: cluster "c\\n1" node 2 (192.0.2.1:4000): joined'
    assert FORMATS["text"](Event(Level.WARNING, "limit", "x"), WHEN) == "2026-11-24 22:30:01 warning limit: x"


def test_a_name_can_not_end_its_quotes() -> None:
    forged = Event(Level.INFO, "joined", "is connected", ClusterName(b'c" node 9 (192.0.2.9:1): is gone'))
    assert FORMATS["text"](forged, WHEN).endswith('joined: cluster "c\\" node 9 (192.0.2.9:1): is gone": is connected')


def test_a_line_of_json_has_the_fields_of_the_contract() -> None:
    assert json.loads(FORMATS["json"](JOINED, WHEN)) == {
        "time": "2026-11-24T22:30:01.250+00:00",
        "level": "info",
        "event": "joined",
        "cluster": "c\\n1",
        "node": 2,
        "connection": 7,
        "address": "192.0.2.1:4000",
        "text": "joined",
    }


def test_the_journal_gets_the_level_in_front() -> None:
    assert FORMATS["journal"](Event(Level.ERROR, "fault", "x"), WHEN) == "<3>fault: x"


@pytest.mark.parametrize("form", FORMATS)
def test_an_event_is_one_line_whatever_is_in_it(form: str) -> None:
    event = Event(Level.INFO, "refused", "a\nb\x1b[31m\r\u2028c", ClusterName(b"\xff\n\x00\x1b"), 1, 2, "h:1")
    line = FORMATS[form](event, WHEN)
    assert line.isprintable()


def log_of(limits: Limits, level: Level = Level.INFO) -> tuple[Log, list[str]]:
    lines: list[str] = []
    return Log(lines.append, FORMATS["text"], level, limits), lines


def test_only_what_is_wanted_is_written() -> None:
    log, lines = log_of(Limits(), Level.WARNING)
    log.info("a", "no")
    log.warning("b", "yes")
    log.error("c", "yes")
    assert [line.split()[3] for line in lines] == ["b:", "c:"]


def test_one_address_is_held_back_and_told() -> None:
    log, lines = log_of(Limits(log_burst=2, log_per_second=1))
    refused = [Event(Level.WARNING, "refused", "no", address=f"192.0.2.1:{port}") for port in range(5)]
    assert [log.allows(event, 0.0) for event in refused] == [True, True, False, False, False]
    assert log.allows(Event(Level.WARNING, "refused", "no", address="192.0.2.2:1"), 0.0)
    log.tell_suppressed(0.0)
    assert [line.partition("warning ")[2] for line in lines] == ["refused: 192.0.2.1: 3 more like this were not written"]


def test_many_addresses_are_held_back_together() -> None:
    log, _ = log_of(Limits(log_burst=2, log_per_second=1))
    allowed = [log.allows(Event(Level.WARNING, "refused", "no", address=f"192.0.2.{host}:1"), 0.0) for host in range(100)]
    assert sum(allowed) == 20


def test_nodes_that_have_joined_are_counted_by_themselves() -> None:
    log, _ = log_of(Limits(log_burst=1, log_per_second=1))
    events = [Event(Level.INFO, "left", "x", ClusterName(b"c"), node, address="192.0.2.1:1") for node in range(100)]
    assert all(log.allows(event, 0.0) for event in events)
    assert not log.allows(events[0], 0.0)


def test_the_writer_never_waits_and_counts_what_it_drops() -> None:
    reading, writing = os.pipe()
    writer = LineWriter(writing)
    line = "x" * 99
    for _ in range(QUEUED_LINES_MAX * 3):
        writer.write(line)
    received = bytearray()
    done = threading.Event()

    def read() -> None:
        while data := os.read(reading, 65_536):
            received.extend(data)
        done.set()

    reader = threading.Thread(target=read)
    reader.start()
    writer.close()
    os.close(writing)
    assert done.wait(20)
    reader.join()
    os.close(reading)
    lines = received.decode().splitlines()
    dropped = [int(text.split()[0]) for text in lines if "lines were dropped here" in text]
    assert sum(dropped) + lines.count(line) == QUEUED_LINES_MAX * 3
    assert sum(dropped) > 0


def test_a_closed_standard_error_is_nobodys_trouble() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = LineWriter(writing)
    writer.write("x")
    writer.close()
    os.close(writing)
