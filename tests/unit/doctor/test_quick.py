from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.control_here import control_here
from tests.unit.doctor.test_relay import server
from tests.voter_here import voter_here
from tests.voter_process import free_port
from thirdvote.config import CONTROL_SOCKET
from thirdvote.config_options import read_listen
from thirdvote.doctor import quick
from thirdvote.domain import ClusterName, TlsSupport
from thirdvote.errors import UserError
from thirdvote.wire.codec import encode
from thirdvote.wire.messages import Preinit, PreinitReply


def test_an_arbitrator_that_answers(tmp_path: Path) -> None:
    async def asked() -> tuple[int, str]:
        async with voter_here() as here:
            with control_here(tmp_path / "c", status={"listen": f"127.0.0.1:{here.port}"}):
                return here.port, await asyncio.to_thread(quick.check, str(tmp_path / "c"))

    port, said = asyncio.run(asked())
    assert said == f"the arbitrator answers on port {port}: 0 connections, 0 clusters"


def test_a_port_on_which_nothing_is() -> None:
    assert quick.answers("127.0.0.1", free_port()) == "connection refused"


@pytest.mark.parametrize(
    ("answer", "problem"), [(b"SSH-2.0", "no arbitrator"), (b"", "no arbitrator"), (b"\0\x05\0\0\0\0", "no arbitrator")]
)
def test_another_program(answer: bytes, problem: str) -> None:
    with server(answer) as port:
        assert problem in quick.answers("127.0.0.1", port)


def test_one_that_closes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closing = threading.Thread(target=lambda: listening.accept()[0].close())
        closing.start()
        assert quick.answers("127.0.0.1", listening.getsockname()[1]) in ("the connection was closed", "connection reset by peer")
        closing.join(20)


def test_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "ANSWER_S", 0.2)
    with server(None) as port:
        assert "no answer" in quick.answers("127.0.0.1", port)


def test_one_that_runs_and_whose_port_is_closed(tmp_path: Path) -> None:
    with control_here(tmp_path / "c", status={"listen": f"127.0.0.1:{free_port()}"}), pytest.raises(UserError, match="does not answer"):
        quick.check(str(tmp_path / "c"))


@pytest.mark.parametrize(("listens", "asked"), [(None, "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("192.0.2.20", "192.0.2.20")])
def test_where_this_host_finds_it(listens: str | None, asked: str) -> None:
    assert quick.local_address(listens) == asked


@pytest.mark.parametrize("listen", ["*:5403", "[::]:5403", "127.0.0.1:1"])
def test_what_it_does_by_itself_is_what_the_others_do(listen: str) -> None:
    assert quick.place_of(listen) == read_listen(listen)
    assert encode(Preinit(1, ClusterName(b"thirdvote doctor"))) == quick.QUESTION
    assert encode(PreinitReply(1, TlsSupport.REQUIRED, True)).startswith(quick.PREINIT_REPLY)
    assert quick.CONTROL_SOCKET == CONTROL_SOCKET


def test_it_loads_little() -> None:
    """It runs every half minute on a small board."""
    script = "import sys, thirdvote.__main__, thirdvote.cli.doctor_quick; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert {
        "click",
        "asyncio",
        "ssl",
        "sqlite3",
        "cryptography",
        "rich",
        "subprocess",
        "pathlib",
        "dataclasses",
        "tomllib",
        "thirdvote.config",
    } & set(loaded) == set()
