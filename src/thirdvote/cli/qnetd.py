"""`corosync-qnetd`: our voter under the stock name, with its options, files and exit codes."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from thirdvote.cli import output
from thirdvote.cli.daemon import daemonise
from thirdvote.cli.lock_file import LockFile
from thirdvote.cli.qnetd_options import LOCAL_SOCKET_FILE, NSS_DATABASE, PROGRAM, CommandLine, Ended, parse
from thirdvote.cli.settings import load
from thirdvote.cli.voter import Start
from thirdvote.config import OFF, Settings
from thirdvote.domain import TlsSupport
from thirdvote.errors import UserError

STOCK_DEFAULTS = Settings(
    tls=TlsSupport.SUPPORTED, qnetd_socket=LOCAL_SOCKET_FILE, certificates=NSS_DATABASE, enroll_ssh=OFF, enroll_https=OFF
)
"""Who runs the stock names has an SSH server beside them, as before."""

STANDARD_ERROR = 2

STOCK_WORDS = {
    "--listen": "-l and -p",
    "--qnetd-socket": "-S local_socket_file=FILE",
    "--control": "THIRDVOTE_CONTROL",
    "--data": "THIRDVOTE_DATA",
}
"""Hints name our options; here they go by other names."""


def main(arguments: Sequence[str], start: Start) -> int:
    try:
        line = parse(arguments)
        output.raw_error("".join(line.warnings))
        return _run(_with_full_paths(line), start)
    except Ended as ended:
        output.raw(ended.output)
        output.raw_error(ended.error)
    except UserError as error:
        output.raw_error(explained(error))
    return output.FAILED


def settings_of(line: CommandLine) -> Settings:
    """The command line over THIRDVOTE_ variables and file, those over the stock defaults."""
    return line.over(load({}, STOCK_DEFAULTS, data=data_directory(line.local_socket)).settings)


def data_directory(local_socket: str) -> str:
    """Beside the socket that the stock tool uses, so that instances that differ in this differ in all."""
    return f"{local_socket}.d"


def explained(error: UserError) -> str:
    """As the stock daemon complains, with our hint."""
    hint = error.hint or ""
    for ours, stock in STOCK_WORDS.items():
        hint = hint.replace(ours, stock)
    return f"{PROGRAM}: {error}\n" + (f"hint: {hint}\n" if hint else "")


def _run(line: CommandLine, start: Start) -> int:
    settings = settings_of(line)
    lock = LockFile(line.lock_file)
    if line.foreground:
        target = "syslog" if goes_nowhere(STANDARD_ERROR) else settings.log_target
        return _serve(line, replace(settings, log_target=target), lock, start)
    outcome = daemonise(lambda: _serve(line, replace(settings, log_target="syslog"), lock, start), explained)
    output.raw_error(outcome.failure)
    return output.OK if outcome.ready else output.FAILED


def _serve(line: CommandLine, settings: Settings, lock: LockFile, start: Start) -> int:
    lock.take()
    start(settings, lambda: replace(settings_of(line), log_target=settings.log_target))
    return output.OK


def goes_nowhere(descriptor: int) -> bool:
    """As standard error does in the unit file of the distribution's package: the stock daemon logs to syslog always."""
    found = os.fstat(descriptor)
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == Path(os.devnull).stat().st_rdev


def _with_full_paths(line: CommandLine) -> CommandLine:
    """A daemon leaves the directory in which it was started."""
    paths = {name: str(Path(line.given[name]).absolute()) for name in ("qnetd_socket", "certificates") if line.given.get(name)}
    return replace(line, lock_file=str(Path(line.lock_file).absolute()), given={**line.given, **paths})
