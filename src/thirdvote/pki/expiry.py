"""What ends soon, and what to do about it: for the log, `thirdvote status` and `thirdvote ca`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from thirdvote.errors import UserError
from thirdvote.pki import files, inventory, material, paths, rollover, store
from thirdvote.pki.inventory import Signed

EXPIRES_SOON = timedelta(days=60)
"""Time enough to enrol nodes anew between two maintenance windows."""

NAMED_MAX = 20
"""Clusters that are named; the others are counted."""


@dataclass(frozen=True, slots=True)
class Warned:
    """One sentence. `cluster` is None for what is the arbitrator's own."""

    text: str
    cluster: str | None = None


def warnings(data: Path, now: datetime | None = None) -> list[Warned]:
    """What does not keep the arbitrator from starting, and should be known. UserError."""
    now = now or datetime.now(UTC)
    facts = store.facts(data)
    own = [Warned(text) for fact in facts for text in _of_fact(data, fact, facts[0], now)]
    return own + _of_clusters(data, now)


def stock_warnings(place: Path, role: str, until: datetime, now: datetime) -> list[Warned]:
    """About a certificate in a stock tool's database, which nothing renews."""
    if now <= until - EXPIRES_SOON:
        return []
    hint = "take over with `thirdvote ca import-nss`, which renews the server's, or make a new database and enrol the nodes anew"
    return [Warned(f"the {role} certificate in {place} expires on {until:%Y-%m-%d}: {hint}")]


def clusters_ending(known: Iterable[Signed], authorities: Iterable[str], now: datetime) -> dict[str, datetime]:
    """When the last certificate of a cluster ends, for those where that is soon. One that has ended long ago needs nobody."""
    trusted = frozenset(authorities)
    usable = [each for each in known if each.revoked_at is None and each.authority in trusted and each.way != "demo"]
    usable.sort(key=lambda each: each.cluster)
    ends = {name: max(each.valid_until for each in those) for name, those in groupby(usable, key=lambda each: each.cluster)}
    return {name: end for name, end in ends.items() if now <= end < now + EXPIRES_SOON}


def _of_fact(data: Path, fact: material.CertificateFacts, authority: material.CertificateFacts, now: datetime) -> list[str]:
    if now < fact.valid_from:
        return [f"the clock of this host says {now:%Y-%m-%d %H:%M} UTC, and {fact.file} is valid from {fact.valid_from:%Y-%m-%d} on"]
    if now <= fact.valid_until - EXPIRES_SOON:
        return []
    return [f"{fact.file} expires on {fact.valid_until:%Y-%m-%d}: {_remedy(data, fact, authority)}"]


def _remedy(data: Path, fact: material.CertificateFacts, authority: material.CertificateFacts) -> str:
    if fact.role == "authority":
        return "let a new authority take over while all nodes are served: thirdvote ca renew --authority"
    folder = paths.folder_in(data)
    if rollover.is_under_way(folder):
        return "the old authority ends: enrol the clusters that `thirdvote ca show` names, then `thirdvote ca renew --finish`"
    if fact.valid_until >= authority.valid_until:
        return "it can not outlive its authority; let a new one take over: thirdvote ca renew --authority"
    if not files.is_there(folder.authority_key):
        return f"it renews itself where the authority's key is: put {folder.authority_key} back, at least for `thirdvote ca renew`"
    return "it is renewed at the next start, once a day, and by `thirdvote ca renew`"


def _of_clusters(data: Path, now: datetime) -> list[Warned]:
    folder = paths.folder_in(data)
    try:
        known = inventory.every(folder.path)
    except UserError as error:
        return [Warned(f"{error}: {error.hint}")]
    ending = clusters_ending(known, trusted_authorities(folder), now)
    soonest = sorted(ending.items(), key=lambda item: item[1])
    told = [Warned(f"the certificate of {name!a} expires on {end:%Y-%m-%d}: enrol it anew", name) for name, end in soonest[:NAMED_MAX]]
    more = len(soonest) - NAMED_MAX
    return told + ([Warned(f"the certificates of {more} more clusters expire soon: `thirdvote ca list` has them all")] if more > 0 else [])


def trusted_authorities(folder: paths.Folder) -> list[str]:
    """Their common names. UserError."""
    found = [folder.authority, *([folder.old_authority] if rollover.is_under_way(folder) else [])]
    return [material.common_name(material.read_certificate(path, rollover.AUTHORITY).subject) for path in found]
