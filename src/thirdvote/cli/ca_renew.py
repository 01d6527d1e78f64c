"""`thirdvote ca renew`: the server's certificate, and one authority after the other."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from thirdvote.cli import output
from thirdvote.cli.options import CONTROL_OPTIONS, Command, given, settings_options
from thirdvote.cli.settings import load
from thirdvote.cli.words import counted, named
from thirdvote.errors import UsageError, UserError

SHOWN_MAX = 20


@click.command(cls=Command, short_help="renew the server's certificate, or the authority")
@click.option("--authority", "begins", is_flag=True, help="let a new authority take over, while the nodes of both are served")
@click.option("--finish", "finishes", is_flag=True, help="the new authority has taken over: nobody trusts the old one any more")
@click.option("--force", is_flag=True, help="with --finish: though clusters still need the old one, which are out then")
@settings_options(*CONTROL_OPTIONS)
def renew(begins: bool, finishes: bool, force: bool, **parameters: Any) -> int:
    """renew the server's certificate, which also happens by itself 90 days before it ends

    No node is disconnected, and none has to be told: the new one is of the same authority.

    A new authority is another matter, for when the old one ends, or its key was stolen. With --authority it takes over:
    from then on new certificates are its own, the nodes of both are served, and cluster after cluster is enrolled anew.
    `thirdvote ca show` says who is left; --finish ends the old one.
    """
    if begins and finishes:
        raise UsageError("--authority and --finish are two steps", "give one of them")
    if force and not finishes:
        raise UsageError("--force is for --finish", "leave it out")
    settings = load(given(parameters)).settings
    data, control = Path(settings.data), Path(settings.control)
    if begins:
        _begin(data)
    elif finishes:
        _finish(data, control, force)
    else:
        _renew_server(data)
    _tell(control)
    return output.OK


def who_needs_the_old(data: Path, control: Path) -> dict[str, str] | None:
    """Clusters, and why; None when no new authority is taking over. UserError."""
    from thirdvote.pki import expiry, inventory, paths, rollover, running

    folder = paths.folder_in(data)
    if not rollover.is_under_way(folder):
        return None
    shown = running.shown_and_recorded(data, control) or []
    new, old = expiry.trusted_authorities(folder)
    return running.who_needs_the_old(inventory.every(folder.path), shown, old, new, datetime.now(UTC))


def rollover_lines(needing: dict[str, str]) -> None:
    output.line()
    if not needing:
        output.line("a new authority is taking over, and nobody that is known needs the old one: thirdvote ca renew --finish")
        return
    clusters = counted(len(needing), "cluster still needs", "clusters still need")
    output.line((f"a new authority is taking over; {clusters} the old one:", output.ODD))
    for name, reason in list(needing.items())[:SHOWN_MAX]:
        output.line(f"  {named(name)}: {reason}")
    if len(needing) > SHOWN_MAX:
        output.line(f"  and {len(needing) - SHOWN_MAX} more; --json has them all")


def _renew_server(data: Path) -> None:
    from thirdvote.pki import compatible, files, paths, renewal, rollover, store

    store.check_there(data)
    folder = paths.folder_in(data)
    with files.locked(folder.path):
        rollover.mend(folder)
        certificate = renewal.renew(folder, datetime.now(UTC))
    output.line(f"the server certificate is renewed, {folder.server}, valid until {compatible.valid_until(certificate):%Y-%m-%d}")


def _begin(data: Path) -> None:
    from thirdvote.pki import files, material, paths, rollover, store

    store.check_there(data)
    store.ensure(data)
    folder = paths.folder_in(data)
    now = datetime.now(UTC)
    with files.locked(folder.path):
        rollover.check_may_begin(folder)  # before there is a backup
        backup = rollover.backup(folder, now)
        rollover.begin(folder, now)
        name = material.common_name(material.read_certificate(folder.authority, "certificate of the authority").subject)
    output.line(f"{name} is the authority from now on; nodes of the one before are served as ever")
    output.line(f"new nodes get {folder.authority}; enrol cluster after cluster anew, then: thirdvote ca renew --finish")
    output.notice(f"what was there before, with the old key, is in {backup}")


def _finish(data: Path, control: Path, force: bool) -> None:
    from thirdvote.pki import files, paths, rollover, store

    store.check_there(data)
    needing = who_needs_the_old(data, control) or {}
    folder = paths.folder_in(data)
    now = datetime.now(UTC)
    with files.locked(folder.path):
        if needing and not force:
            name, reason = next(iter(needing.items()))
            others = f", and {counted(len(needing) - 1, 'other cluster')}" if len(needing) > 1 else ""
            hint = "enrol it anew (`thirdvote ca show` lists all), or leave it out in the cold with --force"
            raise UserError(f"the old authority is still needed: {named(name)}: {reason}{others}", hint)
        backup = rollover.backup(folder, now) if rollover.is_under_way(folder) else None
        rollover.finish(folder, now)
    output.line("the old authority is trusted no more, and the server shows a certificate of the new one")
    if needing:
        output.line(
            (f"{counted(len(needing), 'cluster')} can not connect again until enrolled anew: {', '.join(map(named, needing))}", output.ODD)
        )
    output.notice(f"what was there before, with the old key, is in {backup}: delete it when all nodes are back")


def _tell(control: Path) -> None:
    from thirdvote.pki import running

    if running.read_again(control) is None:
        output.notice("no arbitrator is running here; it takes the new certificates when it starts")
    else:
        output.line("the running arbitrator shows it to new connections; those that are there go on")
