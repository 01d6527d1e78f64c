"""A control socket whose answers stand still: a story's arbiter behind it, and a process that was always just started."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.scenarios.story import Stage
from thirdvote.domain import printable
from thirdvote.net.views import Moment, cluster_view

NOW = datetime(2026, 11, 24, 22, 32, 11, tzinfo=UTC)

STATUS: dict[str, Any] = {
    "version": "0.0.0",
    "pid": 4711,
    "uptime_s": 11_530.2,
    "started_at": "2026-11-24T19:20:01+00:00",
    "listen": "[::]:5403",
    "tls": "required",
    "client_certificate": True,
    "handover": "stock",
    "test_algorithm": False,
    "connections_before_init": 0,
    "connections_max": 20_000,
    "data": "/var/lib/thirdvote",
    "ledger": {
        "path": "/var/lib/thirdvote/ledger.db",
        "state": "ok",
        "problem": None,
        "hint": None,
        "records": 1,
        "past_complete": True,
        "commits": 4,
        "last_commit_ms": 0.6,
    },
    "history": {"kept": True, "problem": None},
    "certificates": {"revoked": 0, "warnings": []},
    "control": "/var/lib/thirdvote/control.sock",
    "qnetd_socket": "/var/lib/thirdvote/qnetd.sock",
    "log_level": "info",
    "limits": {},
}

EVENTS: tuple[dict[str, Any], ...] = (
    {"time": "2026-11-24T22:30:01.000+00:00", "level": "info", "event": "joined", "cluster": "story", "node": 1, "text": "joined"},
    {"time": "2026-11-24T22:30:02.500+00:00", "level": "warning", "event": "refused", "address": "192.0.2.7:4000", "text": "no"},
    {"time": "2026-11-24T22:30:03.000+00:00", "level": "info", "event": "started", "text": "listens"},
)

HISTORY: tuple[dict[str, Any], ...] = (
    {"time": "2026-11-23T06:12:40.000+00:00", "level": "info", "event": "started", "text": "thirdvote 0.0.0 listens on [::]:5403"},
    {"time": "2026-11-23T06:12:41.120+00:00", "level": "info", "event": "joined", "cluster": "story", "node": 1, "text": "is connected"},
    {
        "time": "2026-11-23T06:12:42.500+00:00",
        "level": "info",
        "event": "vote-sent",
        "cluster": "story",
        "node": 1,
        "text": "vote: all here",
    },
    {
        "time": "2026-11-23T06:12:42.501+00:00",
        "level": "info",
        "event": "decided",
        "cluster": "story",
        "text": "nodes 1 and 2 have the vote",
    },
    {
        "time": "2026-11-24T22:30:01.000+00:00",
        "level": "warning",
        "event": "refused",
        "cluster": "",
        "address": "192.0.2.7:1",
        "text": "no",
    },
    {"time": "2026-11-24T22:30:03.000+00:00", "level": "info", "event": "stopped", "text": "all connections are closed"},
)
"""Of the cluster "story", the voter itself, and a stranger of a cluster without a name."""


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    stage: Stage
    status: dict[str, Any]
    lost: list[dict[str, Any]]
    requests: list[dict[str, Any]]


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        for line in self.rfile:
            request = json.loads(line)
            self.server.requests.append(request)
            if request["command"] == "subscribe":
                self._say({"ok": True})
                for event in EVENTS:
                    self._say({"event": event})
                return
            self._say({"ok": True, **self._answer(request)})

    def _say(self, answer: dict[str, Any]) -> None:
        self.wfile.write(json.dumps(answer).encode() + b"\n")

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        arbiter = self.server.stage.world.arbiter
        snapshot = arbiter.snapshot(self.server.stage.world.now)
        if request["command"] == "status":
            counts = {"connections": snapshot.connections, "clusters": len(snapshot.clusters)}
            return {"status": STATUS | counts | self.server.status}
        wanted = request.get("cluster")
        match request["command"]:
            case "history":
                events = [event for event in HISTORY if wanted in (None, event.get("cluster", wanted))]
                return {"events": events[-request["limit"] :]}
            case "release" if request.get("check"):
                return {"lost": [holder for holder in self.server.lost if request.get("node") in (None, holder["node"])]}
            case "release":
                return {"released": request["node"]}
        moment = Moment(self.server.stage.world.now, NOW)
        views = [cluster_view(cluster, moment) for cluster in snapshot.clusters if wanted in (None, printable(cluster.name))]
        return {"snapshot": {"connections": snapshot.connections, "clusters": views}}


@contextmanager
def control_here(
    path: Path, story: Sequence[str] = (), status: dict[str, Any] | None = None, lost: Sequence[dict[str, Any]] = ()
) -> Iterator[list[dict[str, Any]]]:
    """Answers on `path` as an arbitrator would after `story`; gives the requests that came."""
    stage = Stage()
    for line in story:
        stage.play(line)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with _Server(str(path), _Handler) as server:
        server.stage, server.status, server.lost, server.requests = stage, status or {}, list(lost), []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.requests
        finally:
            server.shutdown()
            thread.join()
