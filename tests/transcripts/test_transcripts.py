"""Every transcript comes out as it is written. After a wanted change: `python -m tests.transcripts --rewrite`, and read the diff."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.transcripts.transcript import played, transcripts


@pytest.mark.parametrize("path", transcripts(), ids=lambda path: path.stem)
def test_transcript(path: Path, tmp_path: Path) -> None:
    written = path.read_text(encoding="utf-8")
    assert played(written, tmp_path) == written


def test_there_are_transcripts() -> None:
    assert len(transcripts()) > 4


def test_a_transcript_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    wrong = "# a version\n$ thirdvote --version\nthirdvote 99\n\n$ thirdvote nothing\n"
    right = "# a version\n$ thirdvote --version\nthirdvote VERSION\n\n$ thirdvote nothing\n"
    errors = "! thirdvote: error: no such command 'nothing'\n! hint: `thirdvote --help` lists them\nexit 2\n"
    assert played(wrong, tmp_path) == right + errors
