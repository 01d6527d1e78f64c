from __future__ import annotations

import stat
from pathlib import Path

import pytest

from thirdvote.enroll.host_keys import FOLDER, fingerprint, load
from thirdvote.errors import UserError


def test_keys_are_made_once_and_are_nobody_elses(tmp_path: Path) -> None:
    made = load(tmp_path)
    assert list(made) == ["ED25519", "ECDSA"]
    assert {kind: fingerprint(key) for kind, key in load(tmp_path).items()} == {kind: key.get_fingerprint() for kind, key in made.items()}
    files = sorted((tmp_path / FOLDER).iterdir())
    assert [path.name for path in files] == ["ssh_host_ecdsa_key", "ssh_host_ed25519_key"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / FOLDER).stat().st_mode) == 0o700


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / FOLDER / "ssh_host_ed25519_key").chmod(0o640)
    with pytest.raises(UserError, match="is open to other users"):
        load(tmp_path)


def test_a_damaged_key_is_not_replaced_in_silence(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / FOLDER / "ssh_host_ecdsa_key").write_bytes(b"x")
    with pytest.raises(UserError, match="is no private key") as caught:
        load(tmp_path)
    assert "rm " in str(caught.value.hint)
