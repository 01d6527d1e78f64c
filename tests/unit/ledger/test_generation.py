from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from thirdvote.ledger.generation import Generation, read_generation, write_generation


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "g"
    assert read_generation(path) is None
    for generation in (Generation(1, closed=False), Generation(10**17, closed=True)):
        write_generation(path, generation)
        assert read_generation(path) == generation
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["g"]


@pytest.mark.parametrize("content", [b"", b"5", b"5 ajar\n", b"-1 open\n", b"\xff\x00", b"1" * 1_000 + b" open\n", b"5 open\nmore"])
def test_another_file_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "g").write_bytes(content)
    assert read_generation(tmp_path / "g") is None


def test_file_and_directory_are_on_the_disk_before_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name))
    write_generation(tmp_path / "g", Generation(1, closed=False))
    assert synced == ["g.new", tmp_path.name]


def test_a_write_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_generation(tmp_path / "g", Generation(1, closed=False))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_generation(tmp_path / "g", Generation(2, closed=False))
    assert read_generation(tmp_path / "g") == Generation(1, closed=False)
