from __future__ import annotations

import subprocess
from pathlib import Path

import asyncssh
import pytest

from thirdvote.enroll.keys import TEXT_BYTES_MAX, fingerprint_of, fingerprints
from thirdvote.errors import UserError


def public_key(kind: str) -> asyncssh.SSHKey:
    return asyncssh.generate_private_key(kind)


def line_of(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode().strip()


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"])
def test_a_key_is_known_by_its_fingerprint(kind: str) -> None:
    key = public_key(kind)
    assert fingerprints(line_of(key)) == [key.get_fingerprint()] == [fingerprint_of(key.public_data)]


def test_comments_options_and_empty_lines() -> None:
    one, other = public_key("ssh-ed25519"), public_key("ssh-ed25519")
    text = f'# nodes\n\n{line_of(one)} root@pve1 and more\r\nfrom="192.0.2.*",no-pty {line_of(other)}\n'
    assert fingerprints(text) == [one.get_fingerprint(), other.get_fingerprint()]


@pytest.mark.parametrize(
    "line",
    [
        "hello",
        "ssh-ed25519",
        "ssh-ed25519 !!!!",
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIJ2bJ0Qe8bqRrYq3g0Qe8bqRrYq3g0Qe8bqRrYq3g0Qe",
        "ssh-dss AAAAB3NzaC1kc3MAAACB",
        "\0",
    ],
)
def test_what_is_no_key(line: str) -> None:
    with pytest.raises(UserError, match="this is no public key"):
        fingerprints(line)


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing"])
def test_no_key_at_all(text: str) -> None:
    with pytest.raises(UserError, match="there is no public key"):
        fingerprints(text)


def test_too_much_text() -> None:
    with pytest.raises(UserError, match="bytes of public keys"):
        fingerprints("#" * (TEXT_BYTES_MAX + 1))


def test_the_fingerprint_is_the_one_that_ssh_shows(tmp_path: Path) -> None:
    key = public_key("ssh-ed25519")
    path = tmp_path / "key.pub"
    path.write_bytes(key.export_public_key())
    try:
        shown = subprocess.run(["ssh-keygen", "-l", "-f", path], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("ssh-keygen is not installed (openssh-client)")
    assert fingerprints(path.read_text(encoding="ascii"))[0] in shown
