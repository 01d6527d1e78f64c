from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from thirdvote.cli.qnetd_tool import USAGE, main

STOCK = shutil.which("corosync-qnetd-tool", path="/usr/sbin:/usr/bin")
OK = b"OK\nsome text\n"


@contextmanager
def server(path: Path, answer: bytes) -> Iterator[list[bytes]]:
    """Takes one line, gives one answer, until the block ends."""
    requests: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as reader:
                line = reader.readline()
                if line == b"":
                    return
                requests.append(line)
                connection.sendall(answer)

    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield requests
        finally:
            with socket.socket(socket.AF_UNIX) as last:
                last.connect(str(path))
            thread.join()


@pytest.mark.parametrize(
    ("arguments", "request_line"),
    [
        (["-s"], b"status \n"),
        (["-sv"], b"status verbose \n"),
        (["-l"], b"list \n"),
        (["-v", "-l", "-c", "x"], b'list verbose cluster "x" \n'),
        (["-s", "-l"], b"list \n"),
        (["-H"], b"shutdown \n"),
        (["-lc", 'a"b\\c'], b'list cluster "a\\"b\\\\c" \n'),
        (["-lc", os.fsdecode(b"\xff\xe9")], b'list cluster "\xff\xe9" \n'),
    ],
)
def test_requests(arguments: list[str], request_line: bytes, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with server(tmp_path / "s", OK) as requests:
        assert main(["-p", str(tmp_path / "s"), *arguments]) == 0
    assert requests == [request_line]


def test_text_of_the_answer_is_passed_on_as_it_is(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with server(tmp_path / "s", b"OK\n\ta\n\nb"):
        assert main(["-p", str(tmp_path / "s"), "-s"]) == 0
    assert capfd.readouterr() == ("\ta\n\nb", "")


@pytest.mark.parametrize("answer", [b"", b"OK", b"Error"])
def test_a_daemon_that_closes_early_is_a_failure(answer: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """T5: the stock tool ends with status 0 and says nothing."""
    with server(tmp_path / "s", answer):
        assert main(["-p", str(tmp_path / "s"), "-s"]) == 3
    assert capfd.readouterr() == ("", "corosync-qnetd-tool: The server closed the connection before it answered\n")


def test_usage(capfd: pytest.CaptureFixture[str]) -> None:
    assert [main([]), main(["-v"]), main(["-s", "-h"])] == [1, 1, 1]
    assert capfd.readouterr() == (USAGE * 3, "")
    assert main(["-s", "-x"]) == 1
    assert capfd.readouterr() == (USAGE, "corosync-qnetd-tool: invalid option -- 'x'\n")


@pytest.mark.parametrize(
    ("path", "reason"), [("", "File name too long"), ("x" * 108, "File name too long"), ("/nowhere/s", "No such file or directory")]
)
def test_no_server(path: str, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["-s", "-p", path]) == 3
    assert capfd.readouterr().err == f"corosync-qnetd-tool: Can't connect to qnetd socket (is QNetd running?): {reason}\n"


LINES: Sequence[Sequence[str]] = [
    ["-s"], ["-sv"], ["-l"], ["-l", "-v"], ["-H"], ["-Hv"], ["-s", "-l"], ["-l", "-s"], ["-l", "-c", "x"], ["-sc", 'a"b\\c'], ["-lc", ""],
    ["-l", "-c", "é x"], ["-v"], ["-h"], ["-sh"], ["-x"], ["-s", "-x"], ["-s", "-c"], ["-x", "-s"], ["word", "-s"], ["-s", "--", "-x"],
    ["-l", "-c", "a", "-c", "b"], ["-c", "x"], ["--help"], ["-lvcname"],
]  # fmt: skip

ANSWERS = [
    b"OK\n", b"Error\nbad thing\n", b"Error\n", b"ok\nx\n", b"ERROR\nx\n", b"OK\nno end of line", b"Strange\nx\n", b"OKAY\nx\n", b"\nx",
    b"OK\r\nx\n", b" OK\nx", b"OK \nx\n", b"A" * 5_000 + b"\n",
]  # fmt: skip


@pytest.mark.stock
@pytest.mark.skipif(STOCK is None, reason="Debian's corosync-qnetd is not installed")
@pytest.mark.parametrize(("line", "answer"), [*((line, OK) for line in LINES), *((["-s"], answer) for answer in ANSWERS)])
def test_the_stock_tool_does_the_same(
    line: Sequence[str], answer: bytes, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert STOCK is not None
    arguments = ["-p", str(tmp_path / "s"), *line]
    with server(tmp_path / "s", answer) as requests:
        stock = subprocess.run([STOCK, *arguments], capture_output=True, check=False, timeout=20)
        asked = list(requests)
        requests.clear()
        status = main(arguments)
        ours = capfdbinary.readouterr()
        assert requests == asked
    error = stock.stderr.replace(f"{STOCK}: ".encode(), b"corosync-qnetd-tool: ")
    assert (status, ours.out, ours.err) == (stock.returncode, stock.stdout, error)
