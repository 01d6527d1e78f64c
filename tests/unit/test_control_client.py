from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from thirdvote.control_client import ControlClient
from thirdvote.errors import UserError


@contextmanager
def answering(path: Path, *pieces: bytes) -> Iterator[list[bytes]]:
    """Reads one request, sends `pieces`, closes."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(1)

        def serve() -> None:
            client, _ = listening.accept()
            with client:
                heard.append(client.recv(65_536))
                for piece in pieces:
                    client.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        yield heard
        thread.join(20)
        assert not thread.is_alive()


def test_a_request_and_its_answer_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with answering(path, b'{"ok": tr', b'ue, "x": 1}', b"\n") as heard, ControlClient(path) as client:
        assert client.request({"command": "status"}) == {"ok": True, "x": 1}
    assert json.loads(heard[0]) == {"command": "status"}


def test_events_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "s"
    lines = b'{"ok": true}\n{"event": {"event": "a"}}\n{"event": {"event": "b"}}\n'
    with answering(path, lines) as heard, ControlClient(path) as client:
        events = client.subscribe({"level": "debug"})
        assert [next(events)["event"], next(events)["event"]] == ["a", "b"]
        with pytest.raises(UserError, match="has closed the control socket"):
            next(events)
    assert json.loads(heard[0]) == {"command": "subscribe", "level": "debug"}


@pytest.mark.parametrize(
    ("answer", "message", "hint"),
    [
        (['{"ok": false, "error": "no", "hint": "do"}\n'], "no", "do"),
        (['{"ok": false, "error": "no"}\n'], "no", None),
        ([""], "the arbitrator has closed the control socket", "it was stopped or restarted; its log says why"),
    ],
)
def test_a_refusal_is_an_error_for_the_person(tmp_path: Path, answer: Sequence[str], message: str, hint: str | None) -> None:
    path = tmp_path / "s"
    with answering(path, *(piece.encode() for piece in answer)), ControlClient(path) as client:
        with pytest.raises(UserError, match=message) as caught:
            client.request({"command": "x"})
        assert caught.value.hint == hint


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no arbitrator is running here") as caught, ControlClient(tmp_path / "none") as client:
        client.request({"command": "status"})
    assert "thirdvote serve" in (caught.value.hint or "")


def test_one_that_was_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
    with pytest.raises(UserError, match="no arbitrator is running here"), ControlClient(path) as client:
        client.request({"command": "status"})


def test_one_that_does_not_answer(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listening, ControlClient(path, timeout_s=0.05) as client:
        listening.bind(str(path))
        listening.listen(1)
        with pytest.raises(UserError, match="does not answer"):
            client.request({"command": "status"})
