"""What is made from the program for a package says what the program does."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts import package_files
from tests.style.tree import ROOT
from thirdvote import __version__
from thirdvote.cli.main import COMMANDS
from thirdvote.config import Settings
from thirdvote.config_options import OPTIONS
from thirdvote.config_sources import ConfigFile, resolve


def test_the_settings_file_changes_nothing_until_a_line_is_taken_in() -> None:
    assert resolve({}, {}, ConfigFile("f", package_files.settings_file()), "/var/lib/thirdvote") == resolve(
        {}, {}, ConfigFile("f", ""), "/var/lib/thirdvote"
    )


def test_every_default_in_the_settings_file_is_one() -> None:
    lines = [line.removeprefix("#") for line in package_files.settings_file().splitlines() if re.match(r"#[a-z-]+ = ", line)]
    assert [line.split(" = ")[0] for line in lines[: len(OPTIONS)]] == [option.name for option in OPTIONS]
    with_default = [line for line, option in zip(lines, OPTIONS, strict=False) if option.value(Settings()) or option.name == "data"]
    found = resolve({}, {}, ConfigFile("f", "\n".join(with_default)), "/elsewhere").settings
    assert found == resolve({}, {}, None, "/var/lib/thirdvote").settings


def test_the_man_page_has_every_command_and_option() -> None:
    page = package_files.man_page().replace("\\-", "-")
    assert [name for name in COMMANDS if f'.SS "thirdvote {name}' not in page] == []
    assert [option.name for option in OPTIONS if f".B --{option.name} " not in page] == []


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_the_man_page_is_taken_without_a_warning(tmp_path: Path) -> None:
    package_files.main(tmp_path)
    shown = subprocess.run(["groff", "-man", "-Tutf8", "-ww", tmp_path / "thirdvote.1"], capture_output=True, text=True, check=True)
    assert shown.stderr == ""
    assert "the third vote" in " ".join(shown.stdout.split())


def test_completions_are_of_this_program(tmp_path: Path) -> None:
    package_files.main(tmp_path)
    assert all("_THIRDVOTE_COMPLETE" in (tmp_path / f"thirdvote.{shell}").read_text() for shell in package_files.SHELLS)


def test_the_packages_version_is_the_programs() -> None:
    first = (ROOT / "packaging" / "debian" / "changelog").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(f"thirdvote ({__version__}) ")
