"""`corosync-qnetd-certutil`: options, messages, files and exit codes of the stock tool.

Unlike there, what fails says so and ends with a status that is not 0.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from thirdvote.cli import output
from thirdvote.errors import UserError
from thirdvote.pki.paths import STOCK_DIRECTORY

USAGE = """\
{program}: [-i|-s] [-c certificate] [-G] [-n cluster_name]

 -i                  Initialize QNetd CA and generate server certificate
 -s                  Sign cluster certificate (needs cluster certificate)
 -c certificate      CRQ certificate file name
 -G                  Do not set group write bit for new files
 -n cluster_name     Name of cluster (for -s operation)
"""

OK = 0
FAILED = 1
NOT_GIVEN = 2

OPTIONS = "hisGc:n:"


@dataclass
class Options:
    """`operation` is the last one given: "i", "s", or "" for usage."""

    operation: str = ""
    request: str = ""
    cluster_name: str = ""
    group_writes: bool = True


class _Refused(Exception):
    """An option that is not known, or lacks its argument."""


def main(arguments: list[str], folder: Path = STOCK_DIRECTORY) -> int:
    program = sys.argv[0]
    try:
        options = parse(arguments)
    except _Refused as error:
        return _fail(str(error), FAILED)
    try:
        match options.operation:
            case "i":
                return _initialize(folder, options)
            case "s":
                return _sign(folder, options, program)
            case _:
                output.raw(USAGE.format(program=program))
                return OK
    except UserError as error:
        return _fail(f"{error}" + (f"\nhint: {error.hint}" if error.hint else ""), FAILED)


def parse(arguments: list[str]) -> Options:
    """`-h` ends it: what comes later is not looked at."""
    options = Options()
    for letter, value in _letters(arguments):
        match letter:
            case "h":
                options.operation = ""
                break
            case "c":
                options.request = value
            case "n":
                options.cluster_name = value
            case "G":
                options.group_writes = False
            case _:
                options.operation = letter
    return options


def _letters(arguments: list[str]) -> Iterator[tuple[str, str]]:
    """One option after the other, as a shell's getopts gives them: up to the first word that is none."""
    rest = iter(arguments)
    for word in rest:
        if word in ("-", "--") or not word.startswith("-"):
            return
        for index, letter in enumerate(word[1:], start=2):
            if letter not in OPTIONS or letter == ":":
                raise _Refused(f"Invalid option: -{letter}")
            if f"{letter}:" not in OPTIONS:
                yield letter, ""
                continue
            value = word[index:] or next(rest, None)
            if value is None:
                raise _Refused(f"Option -{letter} requires an argument.")
            yield letter, value
            break


def _initialize(folder: Path, options: Options) -> int:
    from thirdvote.pki import stock

    if stock.exists(folder):
        return _fail(f"Certificate database ({folder}) already exists. Delete it to initialize new db", FAILED)
    stock.initialize(folder, stock.GROUP_WRITES if options.group_writes else stock.GROUP_READS, _report)
    return OK


def _sign(folder: Path, options: Options, program: str) -> int:
    from thirdvote.pki import files, stock

    request = Path(options.request)
    if not options.request or not files.is_there(request):
        return _fail(f"Can't open certificate file {options.request}", NOT_GIVEN)
    if not options.cluster_name:
        return _fail("You have to specify cluster name", NOT_GIVEN)
    if not stock.exists(folder):
        return _fail(f"Certificate database doesn't exists. Use {program} -i to create it", FAILED)
    stock.sign(folder, files.read(request, "certificate request"), options.cluster_name, _report)
    return OK


def _report(text: str) -> None:
    output.raw(f"{text}\n")


def _fail(text: str, status: int) -> int:
    output.raw_error(f"{text}\n")
    return status
