from __future__ import annotations

from pathlib import Path

import pytest

from thirdvote.errors import UserError
from thirdvote.pki import revocation_list
from thirdvote.pki.revocation_list import BYTES_MAX
from thirdvote.revocations import FILE, Revocations


def test_none(tmp_path: Path) -> None:
    assert revocation_list.read(tmp_path) == Revocations()


def test_one(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("cluster - web\n")
    assert revocation_list.read(tmp_path).refuse(1, [b"web"])


@pytest.mark.parametrize("content", [b"serial 12\n", b"\xff\n", b"#" * (BYTES_MAX + 1)], ids=["line", "text", "size"])
def test_a_damaged_one_lets_nobody_in(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(UserError, match="is damaged: "):
        revocation_list.read(tmp_path)


def test_one_that_can_not_be_read_lets_nobody_in(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(UserError, match="can not be read"):
        revocation_list.read(tmp_path)
