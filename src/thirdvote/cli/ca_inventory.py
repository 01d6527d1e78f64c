"""`thirdvote ca list` and `thirdvote ca revoke`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thirdvote.cli import output
from thirdvote.cli.options import CONTROL_OPTIONS, Command, as_json, complete_cluster, given, settings_options
from thirdvote.cli.settings import load
from thirdvote.cli.vote_needed import check_not_needed, force_option
from thirdvote.cli.words import counted, named
from thirdvote.errors import UserError

if TYPE_CHECKING:
    from thirdvote.pki.inventory import Signed

NUMBER_SHOWN = 16
"""Digits of a serial number that people see: enough to name it in `ca revoke`."""


@click.command(name="list", cls=Command, short_help="show the certificates that were signed")
@click.argument("cluster", required=False, shell_complete=complete_cluster)
@click.option("--all", "shows_all", is_flag=True, help="also those that are revoked, have expired, or are of a demo")
@settings_options(*CONTROL_OPTIONS)
@as_json()
def listing(cluster: str | None, shows_all: bool, wants_json: bool, **parameters: Any) -> int:
    """show the certificates of clusters that were signed, and who uses them

    The running arbitrator is asked which certificates its nodes show; what it says is kept as their last use.
    """
    from thirdvote.pki import expiry, inventory, paths, store

    settings = load(given(parameters)).settings
    data = Path(settings.data)
    store.check_there(data)
    in_use = _record_uses(data, Path(settings.control))
    now = datetime.now(UTC)
    trusted = frozenset(expiry.trusted_authorities(paths.folder_in(data)))
    known = [each for each in inventory.every(paths.folder_in(data).path) if cluster is None or each.cluster == cluster]
    chosen = known if shows_all or wants_json else [each for each in known if each.way != "demo" and state_of(each, trusted, now) == VALID]
    if wants_json:
        output.structured([_as_json(each, state_of(each, trusted, now), in_use) for each in chosen])
        return output.OK
    _show(chosen, trusted, now, in_use)
    if len(chosen) < len(known):
        output.notice(f"{counted(len(known) - len(chosen), 'more certificate')}, revoked, ended, or of a demo: --all shows all")
    return output.OK


@click.command(cls=Command, short_help="refuse a certificate, or all of a cluster")
@click.argument("wanted", metavar="CLUSTER|SERIAL", shell_complete=complete_cluster)
@click.option("--reason", metavar="TEXT", default="", help="why, for the list and the log")
@force_option()
@settings_options(*CONTROL_OPTIONS)
def revoke(wanted: str, reason: str, forced: bool, **parameters: Any) -> int:
    """refuse one certificate from now on, or all of a cluster; nodes that show it are disconnected at once

    A serial number may be cut to its first 8 digits. Of a cluster all certificates are meant, also those of which the
    inventory knows nothing, but none that is signed from now on: enrol the cluster anew to let it in again.
    """
    from thirdvote.pki import revocation, running

    settings = load(given(parameters)).settings
    data, control = Path(settings.data), Path(settings.control)
    _record_uses(data, control)
    chosen = revocation.choose(data, wanted)
    if not forced:
        for cluster in sorted({each.cluster for each in chosen.certificates}):
            numbers = None if chosen.cluster is not None else [each.serial_number for each in chosen.certificates]
            check_not_needed(control, cluster, "nothing was revoked", numbers)
    revocation.revoke(data, chosen, reason)
    for each in chosen.certificates:
        output.line(f"revoked: {each.serial_number[:NUMBER_SHOWN]} of {named(each.cluster)}, valid until {each.valid_until:%Y-%m-%d}")
    if chosen.cluster is not None:
        output.line(f"every other certificate for {named(chosen.cluster)} is refused, too, but those that are signed from now on")
    ended = running.read_again(control)
    if ended is None:
        output.notice("no arbitrator is running here; it will refuse them when it starts")
    else:
        output.line(
            f"the running arbitrator refuses {'it' if len(chosen.certificates) == 1 else 'them'}: {counted(ended, 'connection')} ended"
        )
    return output.OK


VALID = "valid"


def state_of(signed: Signed, trusted: frozenset[str], now: datetime) -> str:
    """`trusted` are the names of the authorities."""
    if signed.revoked_at is not None:
        return "revoked"
    if signed.valid_until <= now:
        return "expired"
    return VALID if signed.authority in trusted else "of an authority that is gone"


def _record_uses(data: Path, control: Path) -> frozenset[str]:
    """Serial numbers that nodes show at this moment. What can not be asked or written does not keep anybody from looking."""
    from thirdvote.pki import running

    try:
        shown = running.shown_and_recorded(data, control) or []
    except UserError as error:
        output.warning(f"the last use is not known: {error}", error.hint)
        return frozenset()
    return frozenset(each["serial_number"] for each in shown)


def _show(chosen: list[Signed], trusted: frozenset[str], now: datetime, in_use: frozenset[str]) -> None:
    if not chosen:
        output.line("no certificate was signed yet")
        return
    heads = ("CLUSTER", "SERIAL", "SIGNED", "BY", "UNTIL", "STATE")
    rows: list[list[output.Piece]] = [[(head, output.QUIET) for head in heads]]
    for each in chosen:
        state = state_of(each, trusted, now)
        rows.append(
            [
                (named(each.cluster), output.STRONG),
                each.serial_number[:NUMBER_SHOWN],
                "" if each.signed_at is None else f"{each.signed_at.astimezone():%Y-%m-%d}",
                each.way,
                f"{each.valid_until:%Y-%m-%d}",
                (_in_words(each, state, in_use), output.GOOD if each.serial_number in in_use else "" if state == VALID else output.ODD),
            ]
        )
    output.columns(rows)


def _in_words(signed: Signed, state: str, in_use: frozenset[str]) -> str:
    if signed.revoked_at is not None:
        return f"revoked on {signed.revoked_at.astimezone():%Y-%m-%d}" + (f": {signed.revoked_because}" if signed.revoked_because else "")
    if signed.serial_number in in_use:
        return f"{state}, shown by {'nodes' if ',' in signed.last_used_by else 'node'} {signed.last_used_by}"
    if signed.last_used is None:
        return state
    return f"{state}, last shown on {signed.last_used.astimezone():%Y-%m-%d}"


def _as_json(signed: Signed, state: str, in_use: frozenset[str]) -> dict[str, Any]:
    return {
        "cluster": signed.cluster,
        "serial_number": signed.serial_number,
        "subject": signed.subject,
        "authority": signed.authority,
        "fingerprint_sha256": signed.fingerprint_sha256,
        "way": signed.way,
        "asked_by": signed.asked_by or None,
        "signed_at": _iso(signed.signed_at),
        "valid_from": _iso(signed.valid_from),
        "valid_until": _iso(signed.valid_until),
        "state": state,
        "revoked_at": _iso(signed.revoked_at),
        "revoked_because": signed.revoked_because or None,
        "in_use": signed.serial_number in in_use,
        "last_used": _iso(signed.last_used),
        "last_used_by": signed.last_used_by or None,
    }


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
