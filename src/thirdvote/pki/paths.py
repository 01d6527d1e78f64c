"""Where certificates and keys are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

STOCK_DIRECTORY = Path("/etc/corosync/qnetd/nssdb")
"""Where corosync-qnetd and its tools look."""

SERVER_NICKNAME = "QNetd Cert"
AUTHORITY_NICKNAME = "QNet CA"
"""What the stock tools call the two in an NSS database; they never change it."""

FOLDER = "pki"
"""Below the data directory."""


@dataclass(frozen=True, slots=True)
class Folder:
    """All that may be in the data directory's folder of certificates. What is not there yet has its place, too."""

    path: Path

    @property
    def authority(self) -> Path:
        """Who signs; every node that is let in gets a copy."""
        return self.path / "ca.crt"

    @property
    def authority_key(self) -> Path:
        """No part of `Paths`, because the voter has no use for it."""
        return self.path / "ca.key"

    @property
    def server(self) -> Path:
        """While authorities change, with what leads from the old one to the new one behind it."""
        return self.path / "server.crt"

    @property
    def server_key(self) -> Path:
        return self.path / "server.key"

    @property
    def old_authority(self) -> Path:
        """There while authorities change: who signed before, and still signs the server's certificate."""
        return self.path / "old-ca.crt"

    @property
    def old_authority_key(self) -> Path:
        return self.path / "old-ca.key"

    @property
    def coming_authority(self) -> Path:
        """There for a moment, at the beginning of a change."""
        return self.path / "new-ca.crt"

    @property
    def trusted(self) -> Path:
        """There while authorities change: both of them, for the voter."""
        return self.path / "trusted.crt"


@dataclass(frozen=True, slots=True)
class Paths:
    """PEM files that a voter needs: who signs the nodes' certificates, and what it shows of itself."""

    ca_certificate: Path
    server_certificate: Path
    server_key: Path


def folder_in(data: Path) -> Folder:
    return Folder(data / FOLDER)


def data_directory(data: Path) -> Paths:
    """`ca_certificate` is what new nodes get; a voter trusts `folder_in(data).trusted` instead while that is there."""
    folder = folder_in(data)
    return Paths(folder.authority, folder.server, folder.server_key)


def ca_key(data: Path) -> Path:
    return folder_in(data).authority_key


def stock_directory(folder: Path) -> Paths:
    """Our copies of what is in the NSS database in `folder`, next to it."""
    return Paths(folder / "thirdvote-ca.crt", folder / "thirdvote-server.crt", folder / "thirdvote-server.key")


def cluster_certificate(folder: Path, cluster_name: str) -> Path:
    """The name that the stock tool gives to a signed certificate, and that `pvecm` fetches."""
    return folder / f"cluster-{cluster_name}.crt"
