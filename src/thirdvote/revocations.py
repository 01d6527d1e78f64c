"""Which certificates the voter refuses though their authority is trusted, and the file in which it is told so.

A line for each certificate, and one for each cluster of which all are refused but those that were signed afterwards:

    serial 5d3c… 2036-11-24 mycluster: node 2 was stolen
    cluster 71aa…,90fe… mycluster

Certificates are told apart by their serial number and not by a fingerprint: an ECDSA signature has a twin that is as good, and with it
the same certificate has another fingerprint. What comes behind a serial number is for people, but for the date of its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

FILE = "revoked"
"""Beside the certificates."""

TEXT_MAX = 1 << 20
"""Characters: some 10,000 certificates. When there are more, a new authority is the better way."""

_HEADER = "# certificates that the arbitrator refuses; `thirdvote ca revoke` writes this"
_NONE = "-"


class Malformed(ValueError):
    """Says which line, and why."""


@dataclass(frozen=True, slots=True)
class Revoked:
    until: str
    """Date of its end, ISO 8601."""
    text: str
    """Whose it is, and why it is refused; one line."""


@dataclass(frozen=True, slots=True)
class Revocations:
    certificates: Mapping[int, Revoked] = field(default_factory=dict)
    """By serial number."""
    clusters: Mapping[bytes, frozenset[int]] = field(default_factory=dict)
    """By name: serial numbers that are not refused."""

    def refuse(self, serial_number: int, names: Iterable[bytes]) -> bool:
        """`names` are those that the certificate is for."""
        if serial_number in self.certificates:
            return True
        return any(name in self.clusters and serial_number not in self.clusters[name] for name in names)

    def with_certificates(self, more: Mapping[int, Revoked]) -> Revocations:
        return replace(self, certificates={**self.certificates, **more})

    def with_cluster(self, name: str, keep: Iterable[int] = ()) -> Revocations:
        """All certificates of it but those are refused."""
        return replace(self, clusters={**self.clusters, name.encode(): frozenset(keep)})

    def with_kept(self, name: str, serial_number: int) -> Revocations:
        """A certificate that was signed after all others of its cluster were revoked."""
        before = self.clusters.get(name.encode())
        return self if before is None else self.with_cluster(name, before | {serial_number})

    def without_expired(self, today: str) -> Revocations:
        """`today` is a date, ISO 8601: what has ended by itself needs no line."""
        return replace(self, certificates={number: each for number, each in self.certificates.items() if each.until >= today})


def can_be_named(name: str) -> bool:
    """A line can say it, and reading it gives the same name."""
    return name.isprintable() and name == name.strip() and bool(name)


def parse(text: str) -> Revocations:
    """Malformed."""
    certificates: dict[int, Revoked] = {}
    clusters: dict[bytes, frozenset[int]] = {}
    if len(text) > TEXT_MAX:
        raise Malformed(f"it has more than {TEXT_MAX} characters")
    for count, line in enumerate(text.split("\n"), start=1):
        kind, _, rest = line.partition(" ")
        try:
            if kind == "serial":
                number, until, said = rest.split(" ", 2)
                certificates[int(number, 16)] = Revoked(until, said)
            elif kind == "cluster":
                kept, name = rest.split(" ", 1)
                clusters[name.encode()] = frozenset(int(each, 16) for each in kept.split(",") if each != _NONE)
            elif line and not line.startswith("#"):
                raise ValueError
        except ValueError:
            raise Malformed(f"line {count} is none of its lines") from None
    return Revocations(certificates, clusters)


def text_of(revocations: Revocations) -> str:
    """Malformed when there are too many."""
    certificates = [f"serial {number:x} {each.until} {_one_line(each.text)}" for number, each in sorted(revocations.certificates.items())]
    clusters = [f"cluster {_numbers(kept)} {name.decode()}" for name, kept in sorted(revocations.clusters.items())]
    text = "\n".join([_HEADER, *certificates, *clusters, ""])
    if len(text) > TEXT_MAX:
        raise Malformed(f"it would have more than {TEXT_MAX} characters")
    return text


def _numbers(numbers: Iterable[int]) -> str:
    return ",".join(f"{number:x}" for number in sorted(numbers)) or _NONE


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
