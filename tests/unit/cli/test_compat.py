from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from thirdvote.cli.compat import STOCK_NAMES, link_all, own_program
from thirdvote.cli.main import main
from thirdvote.errors import UserError


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "bin" / "thirdvote"
    found.parent.mkdir()
    found.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(found)])
    return found


def compat(folder: Path) -> int:
    return main(["compat", str(folder)], lambda settings, reload: None)


def test_it_links_and_says_how_to_use_them(program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "links"
    assert compat(folder) == 0
    assert {name: (folder / name).readlink() for name in STOCK_NAMES} == dict.fromkeys(STOCK_NAMES, program)
    assert f'export PATH="{folder}:$PATH"' in capsys.readouterr().out


def test_twice_is_as_once(program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compat(tmp_path)
    capsys.readouterr()
    assert compat(tmp_path) == 0
    assert capsys.readouterr().out.count("(was there)") == len(STOCK_NAMES)


def test_no_advice_where_it_is_on_the_path(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", f"/bin{os.pathsep}{tmp_path}")
    compat(tmp_path)
    assert "export" not in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["file", "other link", "dangling link", "directory"])
def test_what_is_not_ours_stays_and_nothing_is_done(kind: str, program: Path, tmp_path: Path) -> None:
    folder = tmp_path / "links"
    folder.mkdir()
    foreign = folder / STOCK_NAMES[-1]
    match kind:
        case "file":
            foreign.write_text("mine")
        case "other link":
            foreign.symlink_to("/bin/sh")
        case "dangling link":
            foreign.symlink_to("/nowhere/at/all")
        case _:
            foreign.mkdir()
    with pytest.raises(UserError, match="is not a link to"):
        link_all(folder, program)
    assert [path.name for path in folder.iterdir()] == [foreign.name]


def test_a_directory_that_can_not_be_made(program: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="can not make links"):
        link_all(tmp_path / "file" / "below", program)


def test_the_program_next_to_the_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["__main__.py"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(UserError, match="not found"):
        own_program()
    (tmp_path / "thirdvote").touch(mode=0o755)
    assert own_program() == tmp_path / "thirdvote"
