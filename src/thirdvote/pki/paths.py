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
class Paths:
    """PEM files that a voter needs: who signs the nodes' certificates, and what it shows of itself."""

    ca_certificate: Path
    server_certificate: Path
    server_key: Path


def data_directory(data: Path) -> Paths:
    folder = data / FOLDER
    return Paths(folder / "ca.crt", folder / "server.crt", folder / "server.key")


def ca_key(data: Path) -> Path:
    """No part of `Paths`, because the voter has no use for it."""
    return data / FOLDER / "ca.key"


def stock_directory(folder: Path) -> Paths:
    """Our copies of what is in the NSS database in `folder`, next to it."""
    return Paths(folder / "thirdvote-ca.crt", folder / "thirdvote-server.crt", folder / "thirdvote-server.key")


def cluster_certificate(folder: Path, cluster_name: str) -> Path:
    """The name that the stock tool gives to a signed certificate, and that `pvecm` fetches."""
    return folder / f"cluster-{cluster_name}.crt"
