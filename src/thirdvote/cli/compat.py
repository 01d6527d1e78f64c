"""`thirdvote compat DIR`: the names of the stock programs, as links to ours."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from thirdvote.cli import output
from thirdvote.cli.options import Command
from thirdvote.errors import UserError

STOCK_NAMES = ("corosync-qnetd", "corosync-qnetd-certutil", "corosync-qnetd-tool")


@click.command(cls=Command)
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=True))
def compat(directory: str) -> int:
    """put the names of the stock programs into DIR

    Scripts and `pvecm` then find ours under the names that they know. Only links are made, and nothing is replaced
    that is not such a link; rm takes them away.
    """
    folder = Path(directory)
    program = own_program()
    made = link_all(folder, program)
    for name in STOCK_NAMES:
        output.line(f"{folder / name} -> {program}" + ("" if name in made else " (was there)"))
    if str(folder.resolve()) not in [os.path.realpath(entry) for entry in os.environ.get("PATH", "").split(os.pathsep)]:
        output.line(f'to use them by name: export PATH="{folder.resolve()}:$PATH"')
    return output.OK


def own_program() -> Path:
    """The file that a shell runs as `thirdvote`."""
    called = Path(sys.argv[0]).absolute()
    for candidate in (called, Path(sys.executable).with_name("thirdvote")):
        if candidate.name == "thirdvote" and os.access(candidate, os.X_OK) and candidate.is_file():
            return candidate
    raise UserError("the program thirdvote is not found", "install it (pip install thirdvote), and run it by that name")


def link_all(folder: Path, program: Path) -> list[str]:
    """Names that were not there before. Nothing is changed if one of them is somebody else's."""
    missing = [name for name in STOCK_NAMES if not _is_ours(folder / name, program)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in missing:
            (folder / name).symlink_to(program)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"can not make links in {folder} ({reason})", "choose a directory that you may write to") from None
    return missing


def _is_ours(link: Path, program: Path) -> bool:
    """False when there is nothing. A link to a thirdvote that is gone or elsewhere counts as somebody else's, too."""
    if not os.path.lexists(link):
        return False
    if link.is_symlink() and link.readlink() == program:
        return True
    raise UserError(f"{link} exists and is not a link to {program}", "remove it if nobody needs it, or choose another directory")
