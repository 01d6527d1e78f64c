"""`thirdvote backup` and `thirdvote restore`."""

from __future__ import annotations

import getpass
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from thirdvote.cli import output
from thirdvote.cli.options import Command, given, settings_options
from thirdvote.cli.settings import load
from thirdvote.cli.words import counted
from thirdvote.errors import UsageError, UserError

PASSPHRASE_MIN = 12
PASSPHRASE_BYTES_MAX = 1_024


@click.command(cls=Command)
@click.argument("file", metavar="FILE|-", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--encrypt", is_flag=True, help="with a passphrase, which is asked for")
@click.option("--passphrase-file", metavar="FILE", type=click.Path(path_type=Path), help="with the passphrase in this file")
@settings_options("data")
def backup(file: Path, encrypt: bool, passphrase_file: Path | None, **parameters: Any) -> int:
    """write everything of an arbitrator that lasts into one file, also while it runs

    That is its authority with the key, so whoever has the file can let clusters in: keep it safe, or encrypt it. Without FILE, "-", it
    goes to standard output. The ledger is not in it: one from a backup is no better than none.
    """
    from thirdvote.backup import archive, content

    data = Path(load(given(parameters)).settings.data)
    passphrase = _new_passphrase(encrypt, passphrase_file)
    with content.parts(data) as parts, _target(file) as target:
        count = archive.write(target, parts, passphrase, archive.now())
    if str(file) != "-":
        how = "encrypted" if passphrase is not None else "not encrypted, with the authority's key in it: keep it safe"
        output.line(f"{counted(count, 'file')} of {data} are in {file}, {how}")
    return output.OK


@click.command(cls=Command)
@click.argument("file", metavar="FILE|-", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--passphrase-file", metavar="FILE", type=click.Path(path_type=Path), help="the passphrase is in this file")
@click.option("--force", "forced", is_flag=True, help="though the directory is not empty: what is there is moved aside, and kept")
@settings_options("data")
def restore(file: Path, passphrase_file: Path | None, forced: bool, **parameters: Any) -> int:
    """make an arbitrator's data directory from a backup

    Nodes connect to it with no change, if it has the address of the one before. That one must not run any more: two would
    each give the vote.
    """
    from thirdvote.backup import archive
    from thirdvote.backup.restore import restore as restored
    from thirdvote.net.instance import DataLock

    data = Path(load(given(parameters)).settings.data)
    lock = DataLock(data)
    lock.take()
    try:
        with _source(file) as source:
            manifest, aside = restored(source, data, lambda: _passphrase(passphrase_file), forced, archive.now())
    finally:
        lock.release()
    output.line(f"{counted(len(manifest['files']), 'file')} restored into {data}, as they were on {manifest['made_at']}")
    if aside is not None:
        output.line(f"what was there before is in {aside}")
    output.line("next: make sure that the arbitrator of before does not run any more, give this host its address, and start it")
    output.line("a cluster that is not whole then waits once, until no vote of before can count any more (at most some 40 s)")
    return output.OK


# ---- files


@contextmanager
def _target(file: Path) -> Iterator[BinaryIO]:
    """Whole under its name, or not there. Never in the place of another. UserError."""
    if str(file) == "-":
        if sys.stdout.isatty():
            raise UsageError("a backup is nothing for a terminal", "name a file, or send it on: thirdvote backup - | …")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if file.exists():
        raise UserError(f"{file} is there already", "choose another name, or remove it")
    try:
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        unfinished = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as target:
                yield target
                target.flush()
                os.fsync(descriptor)
            os.link(unfinished, file)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{file} can not be written ({(error.strerror or str(error)).lower()})", "choose another place") from None


@contextmanager
def _source(file: Path) -> Iterator[BinaryIO]:
    """UserError."""
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        source = file.open("rb")
    except OSError as error:
        raise UserError(f"{file} can not be read ({(error.strerror or str(error)).lower()})", "name the file of a backup") from None
    with source:
        yield source


# ---- passphrases


def _new_passphrase(asked_for: bool, file: Path | None) -> str | None:
    if file is None and not asked_for:
        return None
    passphrase = _asked("passphrase for the backup: ") if file is None else _in_file(file)
    if len(passphrase) < PASSPHRASE_MIN:
        raise UserError(f"the passphrase has fewer than {PASSPHRASE_MIN} characters", "some words are easier to keep than a few signs")
    if file is None and _asked("the same again: ") != passphrase:
        raise UserError("the two passphrases differ", "try again")
    return passphrase


def _passphrase(file: Path | None) -> str:
    return _asked("passphrase of the backup: ") if file is None else _in_file(file)


def _in_file(file: Path) -> str:
    try:
        with file.open("rb") as source:
            text = source.read(PASSPHRASE_BYTES_MAX + 1)
    except OSError as error:
        raise UserError(
            f"the passphrase in {file} can not be read ({(error.strerror or str(error)).lower()})", "name another file"
        ) from None
    if len(text) > PASSPHRASE_BYTES_MAX:
        raise UserError(f"{file} has more than {PASSPHRASE_BYTES_MAX} bytes: that is no passphrase", "name another file")
    return text.decode("utf-8", "surrogateescape").rstrip("\r\n")


def _asked(question: str) -> str:
    if not output.can_ask():
        raise UsageError("a passphrase is needed, and there is no terminal to ask at", "name a file with it: --passphrase-file FILE")
    try:
        return getpass.getpass(question)
    except EOFError:
        raise UserError("no passphrase was typed", "try again") from None
