"""The SSH endpoint's host keys: made once, kept with the data, so that a node knows the endpoint again."""

from __future__ import annotations

from pathlib import Path

import asyncssh

from thirdvote.enroll.keys import fingerprint_of
from thirdvote.errors import UserError
from thirdvote.pki import files

FOLDER = "enroll"
"""Below the data directory."""

KINDS = {"ED25519": "ssh-ed25519", "ECDSA": "ecdsa-sha2-nistp256"}
"""As ssh shows them. The first is what clients prefer since OpenSSH 8.5; the second what those before do, and where only FIPS counts."""

WHAT = "host key"


def load(data: Path) -> dict[str, asyncssh.SSHKey]:
    """By kind; made where they are missing. UserError."""
    folder = data / FOLDER
    files.make_folder(folder)
    with files.locked(folder):
        return {kind: _load(folder / f"ssh_host_{kind.lower()}_key", algorithm) for kind, algorithm in KINDS.items()}


def fingerprint(key: asyncssh.SSHKey) -> str:
    """As ssh shows it to a person who is asked whether to go on."""
    return fingerprint_of(key.public_data)


def _load(path: Path, algorithm: str) -> asyncssh.SSHKey:
    if not files.is_there(path):
        files.write(path, asyncssh.generate_private_key(algorithm).export_private_key(), files.KEY_MODE, WHAT)
    files.check_private(path, WHAT)
    try:
        key = asyncssh.import_private_key(files.read(path, WHAT))
    except asyncssh.KeyImportError:
        raise UserError(
            f"{path} is no private key", f"restore it; or let a new one be made, which nodes have to learn: rm {path}"
        ) from None
    return key
