from __future__ import annotations

import os
import signal
from pathlib import Path

from thirdvote.cli.daemon import Outcome, daemonise
from thirdvote.errors import UserError
from thirdvote.net.systemd import notify


def explained(error: UserError) -> str:
    return f"it says: {error}\n"


def test_ready_is_what_the_child_says_and_it_goes_on(tmp_path: Path) -> None:
    """S34: the stock program reports success before it has tried anything."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def run() -> int:
        notify("STATUS=starting")
        notify("STATUS=started\nREADY=1")
        facts = [os.getpid(), os.getsid(0), Path.cwd(), Path("/proc/self/fd/0").readlink(), Path("/proc/self/fd/2").readlink()]
        fifo.write_text(" ".join(map(str, facts)))  # waits for the test to read
        signal.pause()
        return 0

    assert daemonise(run, explained) == Outcome(ready=True)
    child, session, folder, standard_input, standard_error = fifo.read_text().split()
    os.kill(int(child), signal.SIGKILL)
    os.waitpid(int(child), 0)
    assert session == child
    assert (folder, standard_input, standard_error) == ("/", "/dev/null", "/dev/null")


def test_what_a_person_can_mend_reaches_the_caller() -> None:
    def run() -> int:
        raise UserError("the port is in use")

    assert daemonise(run, explained) == Outcome(ready=False, failure="it says: the port is in use\n")


def test_a_fault_reaches_the_caller_too() -> None:
    def run() -> int:
        raise ZeroDivisionError("by zero")

    assert daemonise(run, explained) == Outcome(ready=False, failure="ZeroDivisionError: by zero\n")


def test_a_child_that_just_ends() -> None:
    assert daemonise(lambda: 0, explained) == Outcome(ready=False, failure="it ended before it was ready\n")
