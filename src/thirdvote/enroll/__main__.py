"""The enrolment as a process: `thirdvote serve` starts it, gives it its settings, and reads what it has to say."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time

from thirdvote.enroll.process import Context, EnrollProcess, become_nicer, services_of
from thirdvote.enroll.report import Reporter
from thirdvote.enroll.settings import EnrollSettings
from thirdvote.errors import UserError
from thirdvote.net.log import LineWriter

STANDARD_INPUT, STANDARD_OUTPUT = 0, 1
SETTINGS_BYTES_MAX = 65_536

END_S = 10.0
"""What is under way then, such as a signature, has had its time."""


def main() -> int:
    writer = LineWriter(STANDARD_OUTPUT)
    report = Reporter(writer.write, time.monotonic)
    try:
        become_nicer()
        context = Context(EnrollSettings.from_line(_first_line()), report)
        asyncio.run(EnrollProcess(context, services_of(context)).run(_wait_for_end))
    except UserError as error:
        report.error(error.with_hint)
        return 1
    finally:
        writer.close()
    return 0


def _first_line() -> bytes:
    found = b""
    while not found.endswith(b"\n") and len(found) < SETTINGS_BYTES_MAX:
        piece = os.read(STANDARD_INPUT, 1)
        if not piece:
            break
        found += piece
    return found


def _wait_for_end() -> None:
    """Whoever started this holds the other end of the pipe, and lets it go only with its own end. Then nothing may keep this process."""
    while os.read(STANDARD_INPUT, 4_096):
        pass
    last = threading.Timer(END_S, os._exit, (0,))
    last.daemon = True
    last.start()


if __name__ == "__main__":
    sys.exit(main())
