"""Certificates that nodes may not show any more: the voter's list, and what it is made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from thirdvote import revocations
from thirdvote.errors import UserError
from thirdvote.pki import files, inventory, paths
from thirdvote.pki.inventory import Signed
from thirdvote.pki.revocation_list import WHAT, read
from thirdvote.revocations import Malformed, Revocations, Revoked

LIST_MODE = 0o644
REASON_MAX = 200
SHORTEST_BEGINNING = 8
"""Digits of a serial number that stand for all of it, where no other one begins so."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is to be revoked: one certificate, or all of a cluster."""

    cluster: str | None
    certificates: tuple[Signed, ...]
    """That are known, and not revoked yet."""


def choose(data: Path, wanted: str) -> Chosen:
    """`wanted` is a serial number, hexadecimal, or how one begins; or a cluster's name. UserError when it is neither, several, or revoked
    already.
    """
    known = inventory.every(paths.folder_in(data).path)
    number = normal_serial_number(wanted)
    by_number = _with_number(known, number)
    of_cluster = [signed for signed in known if signed.cluster == wanted]
    if by_number and of_cluster:
        hint = f"by its serial number: thirdvote ca revoke 0x{number}; the cluster's by theirs, which `thirdvote ca list` shows"
        raise UserError(f"{wanted} is a serial number and the name of a cluster", hint)
    if not by_number and not of_cluster:
        raise UserError(f"no certificate is known with the serial number or for the cluster {wanted!a}", "`thirdvote ca list` shows all")
    valid = tuple(signed for signed in by_number or of_cluster if signed.revoked_at is None)
    if not valid:
        raise UserError(
            f"{'the certificate' if by_number else 'every certificate of'} {wanted} is revoked already", "see `thirdvote ca list`"
        )
    return Chosen(None if by_number else wanted, valid)


def revoke(data: Path, chosen: Chosen, because: str, now: datetime | None = None) -> None:
    """The voter's list first, which counts. The voter has to be told to read it. UserError."""
    now = now or datetime.now(UTC)
    because = because[:REASON_MAX]
    folder = paths.folder_in(data).path
    with files.locked(folder):
        current = read(folder)
        if chosen.cluster is not None and revocations.can_be_named(chosen.cluster):
            current = current.with_cluster(chosen.cluster)
        _write(folder, current.with_certificates(_lines(chosen.certificates, because)), now)
        inventory.revoke(folder, [signed.serial_number for signed in chosen.certificates], now, because)


def revoke_others(data: Path, cluster: str, serial_number: str, now: datetime | None = None) -> bool:
    """All certificates of the cluster but that one, also those of which nothing is known. True when the voter has to be told. UserError."""
    now = now or datetime.now(UTC)
    folder = paths.folder_in(data).path
    with files.locked(folder):
        kept = next((signed for signed in inventory.every(folder) if signed.serial_number == serial_number), None)
        if kept is None or kept.cluster != cluster:
            raise UserError(f"the certificate {serial_number} is not one of the cluster {cluster!r}", "`thirdvote ca list` shows all")
        return signed_anew(folder, kept, True, now)


def signed_anew(folder: Path, certificate: Signed, replaces: bool, now: datetime) -> bool:
    """The folder is locked, and `certificate` in the inventory. When it `replaces` the cluster's others, they are revoked, also those of
    which nothing is known. True when the voter has to be told. UserError.
    """
    before = read(folder)
    number = int(certificate.serial_number, 16)
    after = before.with_kept(certificate.cluster, number)
    others: Sequence[Signed] = ()
    if replaces:
        others = [
            signed
            for signed in inventory.every(folder)
            if signed.cluster == certificate.cluster and signed.serial_number != certificate.serial_number and signed.revoked_at is None
        ]
        after = before.with_cluster(certificate.cluster, [number]).with_certificates(_lines(others, _REPLACED))
    if after == before:
        return False
    _write(folder, after, now)
    inventory.revoke(folder, [signed.serial_number for signed in others], now, _REPLACED)
    return True


_REPLACED = "replaced by a new one"


def normal_serial_number(text: str) -> str:
    """As in the inventory: lower case, no colons, no zeros in front."""
    return text.lower().replace(":", "").removeprefix("0x").lstrip("0")


def _with_number(known: Sequence[Signed], number: str) -> list[Signed]:
    exact = [signed for signed in known if signed.serial_number == number]
    if exact or len(number) < SHORTEST_BEGINNING:
        return exact
    beginning = [signed for signed in known if signed.serial_number.startswith(number)]
    if len(beginning) > 1:
        raise UserError(
            f"{len(beginning)} serial numbers begin with {number}", "say more of it; `thirdvote ca list --json` shows them in full"
        )
    return beginning


def _lines(certificates: Iterable[Signed], because: str) -> dict[int, Revoked]:
    return {
        int(signed.serial_number, 16): Revoked(f"{signed.valid_until:%Y-%m-%d}", f"{signed.cluster}: {because}") for signed in certificates
    }


def _write(folder: Path, after: Revocations, now: datetime) -> None:
    path = folder / revocations.FILE
    try:
        text = revocations.text_of(after.without_expired(f"{now:%Y-%m-%d}"))
    except Malformed as error:
        hint = "begin a new authority, which ends all certificates of this one: thirdvote ca renew --authority"
        raise UserError(f"the {WHAT}, {path}, has no room: {error}", hint) from None
    files.write(path, text.encode(), LIST_MODE, WHAT, files.owner_for_root(folder))
